"""The point-in-time join: for each row of a spine, what was known of an entity at that moment (rules R1 to R10).

The rows of a view get an order in which a later place wins (R6). All that a spine row may see is then a beginning of that
order, so one binary search and one join on (key, place) find its winner; the values themselves are never joined but taken by
row number, which leaves their types, nulls and names alone. Where rows become known in another order than they win (R5), the
order is by the moment of becoming known and each place carries the winner so far of its key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from bucle.features.errors import BadFrame, DuplicateFeature, UnknownColumn
from bucle.features.instants import Unit, finest_unit, to_integers
from bucle.features.keys import comparable
from bucle.project import suggest

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd

    Rows: TypeAlias = pl.DataFrame | pl.LazyFrame | pd.DataFrame | Path | str


@dataclass(frozen=True, slots=True)
class JoinView:
    """The rows of one view, in the order of their ingestion, and how they are joined.

    `on` maps a key to the spine's column when that has another name; `known_at` maps a feature to the column that holds the
    moment since when it is true in the world; `visible` is a column with a moment before which a row as a whole is not there.
    `ttl` None or zero means unlimited.
    """

    name: str
    rows: "Rows"
    keys: tuple[str, ...]
    features: tuple[str, ...]
    timestamp: str
    created: str | None = None
    ttl: timedelta | None = None
    on: Mapping[str, str] = field(default_factory=dict)
    known_at: Mapping[str, str] = field(default_factory=dict)
    visible: str | None = None


def point_in_time_join(
    spine: "Rows",
    views: Sequence[JoinView],
    *,
    timestamp: str,
    as_known: bool = True,
    known_at: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Return the spine, row by row and untouched, with the features of each view as of each row's `timestamp`.

    `as_known` lets only rows count that had been created by then (R5), in views that state a created column. `known_at` maps
    columns of the spine itself to their moments; a value whose moment is later than the row is null.
    Raises `features/unknown-column`, `features/duplicate-name`, `features/bad-time`, `features/bad-key`, `features/bad-frame`.
    Source: `docs/features.md`, the rules.
    """
    rows = as_frame(spine)
    _require(rows.columns, [timestamp, *(known_at or {}).keys(), *(known_at or {}).values()], "The join", "the spine")
    tables = [_table(view) for view in views]
    _refuse_duplicates(rows, views)
    unit = finest_unit([rows[timestamp], *_moments(rows, known_at or {}), *_all_moments(views, tables)])
    at = to_integers(rows[timestamp], unit)
    masked = [_masked(rows[column], rows[moment], at, unit) for column, moment in (known_at or {}).items()]
    found = [_features(rows, at, view, table, unit, as_known) for view, table in zip(views, tables, strict=True)]
    return rows.with_columns(masked).hstack([column for columns in found for column in columns])


def as_frame(rows: "Rows") -> pl.DataFrame:
    """Return a Polars or pandas frame, or a Parquet file, as a Polars frame. Raises `features/bad-frame`."""
    try:
        if isinstance(rows, str | Path):
            rows = pl.scan_parquet(rows)
        if isinstance(rows, pl.LazyFrame):
            return rows.collect()
        return rows if isinstance(rows, pl.DataFrame) else pl.from_pandas(rows)
    except (pl.exceptions.PolarsError, OSError, TypeError, ValueError) as error:
        raise BadFrame(reason=f"{type(error).__name__}: {error}") from error


def _table(view: JoinView) -> pl.DataFrame:
    """Return the columns that the join needs of a view; of a file no other is read."""
    rows = pl.scan_parquet(view.rows) if isinstance(view.rows, str | Path) else view.rows
    try:
        available = rows.collect_schema().names() if isinstance(rows, pl.LazyFrame) else list(rows.columns)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadFrame(reason=f"{type(error).__name__}: {error}") from error
    own = [name for name in (view.created, view.visible) if name]
    needed = list(dict.fromkeys([*view.keys, view.timestamp, *own, *view.features, *view.known_at.values()]))
    _require(available, needed, f"The view {view.name!r}", "its rows")
    return as_frame(rows.select(needed) if isinstance(rows, pl.LazyFrame) else rows).select(needed)


def _features(
    spine: pl.DataFrame, at: pl.Series, view: JoinView, table: pl.DataFrame, unit: Unit, as_known: bool
) -> list[pl.Series]:
    keys = [view.on.get(key, key) for key in view.keys]
    _require(spine.columns, keys, f"The view {view.name!r}", "the spine")
    pairs = [comparable(spine[left], table[right]) for left, right in zip(keys, view.keys, strict=True)]
    same = [pair for pair in pairs if pair is not None]
    if len(same) < len(pairs) or table.is_empty():
        winner = pl.Series("row", [None] * at.len(), dtype=pl.UInt32)
    else:
        order = _order(table, view, [right for _, right in same], unit, as_known)
        winner = _within_ttl(_winners(at, [left for left, _ in same], order), table, view, at, unit)
    columns = table.select(view.features)
    values = columns.select(pl.all().gather(winner)) if len(columns) else columns.clear(at.len())
    moments = [(name, table[moment].gather(winner)) for name, moment in view.known_at.items()] if len(table) else []
    return values.with_columns(_masked(values[name], moment, at, unit) for name, moment in moments).get_columns()


def _order(table: pl.DataFrame, view: JoinView, keys: Sequence[pl.Series], unit: Unit, as_known: bool) -> pl.DataFrame:
    """Return the rows that can ever win, in an order in which of any beginning the last of each key wins.

    `known` is the moment from which a place of that order may be seen, `row` the number of the row that wins there.
    """
    bounds = [view.created] if view.created and as_known else []
    bounds += [view.visible] if view.visible else []
    rows = pl.DataFrame(
        {_key(number): column for number, column in enumerate(keys)}
        | {"row": pl.int_range(len(table), dtype=pl.UInt32, eager=True), "event": to_integers(table[view.timestamp], unit)}
        | {f"bound{number}": to_integers(table[bound], unit) for number, bound in enumerate(bounds)}
    ).with_columns(known=pl.max_horizontal("event", *(f"bound{number}" for number in range(len(bounds)))))
    if view.created:
        rows = rows.with_columns(created=to_integers(table[view.created], unit).fill_null(-(2**63)))
    rows = _by_rank(rows.drop_nulls(), created=bool(view.created))
    if not rows["known"].is_sorted():
        rows = _running_winners(rows, [_key(number) for number in range(len(keys))])
    return rows


def _by_rank(rows: pl.DataFrame, *, created: bool) -> pl.DataFrame:
    """Sort so that later wins: by event, then created (null lowest), then ingestion (R6); what is sorted already stays."""
    if not created:
        return rows if rows["event"].is_sorted() else rows.sort("event", maintain_order=True)
    later, same = pl.col("event") > pl.col("event").shift(), pl.col("event") == pl.col("event").shift()
    in_order = rows.select((later | (same & (pl.col("created") >= pl.col("created").shift()))).all()).item()
    return rows if in_order else rows.sort("event", "created", maintain_order=True)


def _running_winners(rows: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """R5 where rows become known in another order than they win: each place carries the best row so far of its key."""
    rank = pl.int_range(pl.len(), dtype=pl.UInt32)
    by_moment = rows.with_columns(rank=rank).sort("known", "rank")
    best = pl.col("rank").cum_max().over(keys) if keys else pl.col("rank").cum_max()
    return by_moment.with_columns(row=rows["row"].gather(by_moment.select(best).to_series()))


def _winners(at: pl.Series, keys: Sequence[pl.Series], order: pl.DataFrame) -> pl.Series:
    """Return for each moment the number of the row that wins there, null where none may be seen."""
    seen = order["known"].search_sorted(at.fill_null(-(2**63)), side="right").cast(pl.Int64) - 1
    seen = pl.select(pl.when(at.is_not_null() & (seen >= 0)).then(seen)).to_series()
    if not keys:
        return order["row"].gather(seen)
    names = [_key(number) for number in range(len(keys))]
    left = pl.DataFrame(dict(zip(names, keys, strict=True)) | {"place": seen}).with_row_index("spine").drop_nulls()
    right = order.select(*names, "row").with_columns(place=pl.int_range(pl.len(), dtype=pl.Int64))
    joined = left.sort("place").join_asof(right, on="place", by=names, check_sortedness=False)
    found = pl.DataFrame({"spine": pl.int_range(at.len(), dtype=pl.UInt32, eager=True)})
    return found.join(joined.select("spine", "row"), on="spine", how="left", maintain_order="left")["row"]


def _within_ttl(winner: pl.Series, table: pl.DataFrame, view: JoinView, at: pl.Series, unit: Unit) -> pl.Series:
    """R4 on the winner: an older row could only be older still."""
    if not view.ttl:
        return winner
    ttl = (view.ttl // timedelta(microseconds=1)) * (1000 if unit == "ns" else 1)
    event = to_integers(table[view.timestamp], unit).gather(winner)
    return pl.select(pl.when(event >= at - ttl).then(winner)).to_series()


def _masked(values: pl.Series, moment: pl.Series, at: pl.Series, unit: Unit) -> pl.Series:
    """R3: null while the value's own moment is later than the row's, or never comes."""
    return pl.select(pl.when(to_integers(moment, unit) <= at).then(values)).to_series().alias(values.name)


def _moments(rows: pl.DataFrame, known_at: Mapping[str, str]) -> list[pl.Series]:
    return [rows[column] for column in known_at.values()]


def _all_moments(views: Sequence[JoinView], tables: Sequence[pl.DataFrame]) -> list[pl.Series]:
    named = [[view.timestamp, view.created, view.visible, *view.known_at.values()] for view in views]
    return [table[name] for names, table in zip(named, tables, strict=True) for name in names if name in table.columns]


def _require(available: Sequence[str], columns: Sequence[str], definition: str, source: str) -> None:
    for column in columns:
        if column not in available:
            raise UnknownColumn(definition=definition, column=column, source=source, hint=suggest(column, available))


def _refuse_duplicates(rows: pl.DataFrame, views: Sequence[JoinView]) -> None:
    owners = dict.fromkeys(rows.columns, "the spine")
    for view in views:
        for feature in view.features:
            if feature in owners:
                raise DuplicateFeature(name=feature, first=owners[feature], second=f"the view {view.name!r}")
            owners[feature] = f"the view {view.name!r}"


def _key(number: int) -> str:
    return f"key{number}"
