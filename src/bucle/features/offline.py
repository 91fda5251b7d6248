"""Features offline: the values of a view for the rows of a spine, each as of its own moment. Runs in a child."""

from typing import TYPE_CHECKING

import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data import Snapshot, SourceSpec, read_snapshot
from bucle.features.errors import DuplicateFeature, UnknownFeature
from bucle.features.exchange import JoinAnswer, JoinRequest
from bucle.features.frames import TIME
from bucle.features.instants import finest_unit, to_integers
from bucle.features.join import as_frame, point_in_time_join
from bucle.features.rows import contributions, join_view, known_from, require, view_rows
from bucle.features.views import AggregateView, FeatureView, RoleView, View, ViewSpec
from bucle.features.windows import Questions, window_column
from bucle.project import suggest

if TYPE_CHECKING:
    from bucle.runtimes import Child


def join_in_child(payload: JoinRequest, child: "Child") -> JoinAnswer:
    """Entry point of a child: join the views to the rows. Raises what the join and the views' functions raise."""
    from io import BytesIO

    store, definitions = ArtifactStore(child.artifacts), child.definitions()
    spine = as_frame(store.path(payload.rows))
    require(spine.columns, [payload.timestamp], "The join", payload.timestamp, "the spine")
    rows = spine.with_columns(pl.col(payload.timestamp).alias(TIME))
    found: list[pl.Series] = []
    for name in payload.views:
        view = definitions.get(View, name)
        with child.blaming(view.where):
            found += offline_features(store, payload.snapshot, view, rows)
    names = [column.name for column in found]
    for name in names:
        if name in spine.columns or names.count(name) > 1:
            raise DuplicateFeature(name=name, first="The spine or a view", second="another view")
    joined = BytesIO()
    spine.hstack(found).write_parquet(joined)
    return JoinAnswer(store.put_bytes(joined.getvalue()), len(spine), tuple(names))


def offline_features(
    store: ArtifactStore, snapshot: Snapshot, reference: View | RoleView, spine: pl.DataFrame
) -> list[pl.Series]:
    """Return the features of a view for each row of `spine`, whose column TIME holds the moments, in their order.

    Raises `features/unknown-column` for a spine without the entity's key, and what the view's function raises.
    """
    view, spec = (reference.view if isinstance(reference, RoleView) else reference), reference.spec()
    require(spine.columns, spec.spine_keys, f"The view {reference.name!r}", view.where, "the spine")
    if isinstance(view, FeatureView):
        source = source_in(snapshot, spec.source, view.where)
        joined = join_view(spec, view_rows(view, spec, read_snapshot(store, snapshot, spec.source), source))
        keys = [pl.col(column) for column in spec.spine_keys]
        result = point_in_time_join(spine.select(TIME, *keys), [joined], timestamp=TIME)
        return [result[name] for name in joined.features]
    if isinstance(view, AggregateView):
        return _windows(store, snapshot, view, spec, spine)
    raise TypeError(type(view).__name__)


def window_rows(store: ArtifactStore, snapshot: Snapshot, spec: ViewSpec, source: SourceSpec) -> pl.DataFrame:
    """Return the columns of a source that the view's windows need."""
    rows = read_snapshot(store, snapshot, spec.source)
    used = {str(spec.at), *spec.keys, *(each.column for each in spec.aggregates)}
    needed = {*used, source.timestamp, source.created, *(known_from(source).get(column) for column in used)}
    return rows.select(name for name in rows.collect_schema().names() if name in needed).collect()


def source_in(snapshot: Snapshot, name: str, where: str) -> SourceSpec:
    """Return a source of the snapshot. Raises `features/unknown` with the place that asks for it."""
    version = snapshot.versions.get(name)
    if version is None:
        raise UnknownFeature(what="ingested source", name=name, hint=suggest(name, snapshot.versions), where=where)
    return version.spec


def _windows(
    store: ArtifactStore, snapshot: Snapshot, view: AggregateView, spec: ViewSpec, spine: pl.DataFrame
) -> list[pl.Series]:
    source = source_in(snapshot, spec.source, view.where)
    held = window_rows(store, snapshot, spec, source)
    unit = finest_unit([spine[TIME], *(held[name] for name in held.columns if held[name].dtype.is_temporal())])
    asked = Questions(tuple(spine[column] for column in spec.spine_keys), to_integers(spine[TIME], unit))
    return [
        window_column(asked, contributions(view, spec, each, held, source, unit), each).alias(f"{spec.prefix}{each.name}")
        for each in spec.aggregates
    ]
