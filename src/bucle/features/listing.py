"""Which columns sources have and which features views give, by running the views on a few rows. Runs in a child."""

from typing import TYPE_CHECKING

from bucle.artifacts import ArtifactStore
from bucle.data import read_snapshot
from bucle.features.exchange import ColumnsAnswer, ColumnsRequest
from bucle.features.rows import view_rows
from bucle.features.views import AggregateView, FeatureView, View

if TYPE_CHECKING:
    from bucle.runtimes import Child

_ROWS = 1000
"""Rows that a view's function gets: it treats each row on its own, so that its columns do not hang on how many there are."""


def columns_in_child(payload: ColumnsRequest, child: "Child") -> ColumnsAnswer:
    """Entry point of a child: list columns and features. Raises what the views' functions raise."""
    store, versions = ArtifactStore(child.artifacts), payload.snapshot.versions
    sources = {name: tuple(read_snapshot(store, payload.snapshot, name).collect_schema().names()) for name in versions}
    views: dict[str, tuple[str, ...]] = {}
    for view in child.definitions().of(View):
        spec = view.spec()
        if isinstance(view, AggregateView):
            views[spec.name] = tuple(each.name for each in spec.aggregates)
        elif isinstance(view, FeatureView) and spec.source in versions:
            with child.blaming(view.where):
                rows = read_snapshot(store, payload.snapshot, spec.source).head(_ROWS)
                views[spec.name] = view_rows(view, spec, rows, versions[spec.source].spec).features
    return ColumnsAnswer(sources, views)
