"""Running a project's views for the online store. Runs in a child; the parent writes what it returns (materialization.py)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data import SourceSpec, read_snapshot
from bucle.features.errors import BadKeyValue
from bucle.features.exchange import Extract, ExtractedRow, ExtractedValue, ExtractRequest, ViewExtract, WantedView
from bucle.features.instants import to_integers
from bucle.features.keys import encode_key
from bucle.features.offline import window_rows
from bucle.features.online import NEVER
from bucle.features.online.windows import column_group, window_margin
from bucle.features.rows import CREATED, EVENT, ORDER, VISIBLE, ViewRows, contributions, view_key, view_rows
from bucle.features.views import AggregateView, FeatureView, View, ViewSpec

if TYPE_CHECKING:
    from bucle.runtimes import Child


def extract_in_child(payload: ExtractRequest, child: "Child") -> Extract:
    """Entry point of a child: return the news of the views that are wanted."""
    store = ArtifactStore(child.artifacts)
    definitions = child.definitions()
    extracts = []
    for wanted in payload.views:
        view = definitions.get(View, wanted.name)
        with child.blaming(view.where):
            extracts.append(extract_view(store, payload, view, wanted))
    return Extract(tuple(extracts))


def extract_view(store: ArtifactStore, request: ExtractRequest, view: View, wanted: WantedView) -> ViewExtract:
    """Return the news of one view. Raises what its function raises."""
    spec = view.spec()
    source = request.snapshot.versions[spec.source].spec
    if isinstance(view, FeatureView):
        return _function_view(store, request, view, spec, source, wanted)
    if isinstance(view, AggregateView):
        return _window_view(store, request, view, spec, source, wanted)
    raise TypeError(type(view).__name__)


def _function_view(
    store: ArtifactStore, request: ExtractRequest, view: FeatureView, spec: ViewSpec, source: SourceSpec, wanted: WantedView
) -> ViewExtract:
    plain = not source.known_at and not source.created  # then a row is known at its timestamp, and older ones are no news
    start_us = wanted.since_us if plain else None
    rows = read_snapshot(store, request.snapshot, spec.source, start_us=start_us)
    made = view_rows(view, spec, rows, source)
    news = _news(made, wanted, request.snapshot.as_of_us)
    values = news.select(made.features).iter_rows(named=True)
    keys = news.select(view_key(key) for key in made.keys).iter_rows()
    numbers = news.select("known", "event", "created", "tie").iter_rows()
    encoder = msgspec.msgpack.Encoder()
    extracted = [
        ExtractedRow(known, text, event, created, tie, encoder.encode((known, row)))
        for (known, event, created, tie), parts, row in zip(numbers, keys, values, strict=True)
        if (text := _online_key(parts)) is not None
    ]
    return ViewExtract(spec.name, spec.digest, made.features, len(made.frame), rows=tuple(extracted))


def _online_key(parts: Sequence[object]) -> str | None:
    """Return an entity's key, None for one that nobody can ask for: a number of the source's that no request may send."""
    try:
        return encode_key(parts)
    except BadKeyValue:
        return None


def _news(made: ViewRows, wanted: WantedView, as_of_us: int) -> pl.DataFrame:
    """Return rows with `known`, `event`, `created`, `tie`, in the order in which they become known and win."""
    keys = [view_key(key) for key in made.keys]
    created = to_integers(made.frame[CREATED])
    known = [to_integers(made.frame[VISIBLE]), *([created] if made.created else [])]
    rows = made.frame.with_columns(
        event=to_integers(made.frame[EVENT]), created=created, known=pl.max_horizontal(to_integers(made.frame[EVENT]), *known)
    ).drop_nulls([*keys, "event", "known", *(["created"] if made.created else [])])
    rows = rows.with_columns(pl.col("created").fill_null(NEVER), place=pl.int_range(pl.len()))
    tie = pl.col(ORDER).rank("dense").over([*keys, "event", "created"])  # of source rows: their later states come one by one
    rows = rows.with_columns(tie=tie.cast(pl.Int64))
    rows = rows.filter(pl.col("known") <= as_of_us)
    if wanted.since_us is not None:
        return rows.filter(pl.col("known") > wanted.since_us).sort("known", "event", "created", "place")
    ranked = rows.filter(pl.col("known") <= wanted.until_us).sort("event", "created", "place")
    winners = ranked.unique(subset=keys, keep="last", maintain_order=True) if keys else ranked.tail(1)
    later = rows.filter(pl.col("known") > wanted.until_us)
    return pl.concat([winners, later]).sort("known", "event", "created", "place")


def _window_view(
    store: ArtifactStore, request: ExtractRequest, view: AggregateView, spec: ViewSpec, source: SourceSpec, wanted: WantedView
) -> ViewExtract:
    held = window_rows(store, request.snapshot, spec, source)
    values: list[ExtractedValue] = []
    for group, feature in {column_group(each): each for each in spec.aggregates}.items():
        parts = contributions(view, spec, feature, held, source)
        keys = {f"key{number}": column for number, column in enumerate(parts.keys)}
        table = pl.DataFrame({"enter": parts.enter, "leave": parts.leave, "value": parts.value} | keys).drop_nulls()
        table = table.filter((pl.col("enter") < pl.col("leave")) & (pl.col("enter") <= request.snapshot.as_of_us))
        if wanted.since_us is not None:
            table = table.filter(pl.col("enter") > wanted.since_us)
        else:
            table = table.filter(pl.col("leave") > wanted.until_us - window_margin(spec.window_us or 0))
        values += [
            ExtractedValue(enter, leave, text, group, value)
            for enter, leave, value, *key in table.iter_rows()
            if (text := _online_key(key)) is not None
        ]
    values.sort(key=lambda each: each.enter_us)
    return ViewExtract(spec.name, spec.digest, tuple(each.name for each in spec.aggregates), len(held), values=tuple(values))
