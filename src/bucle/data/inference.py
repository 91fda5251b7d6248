"""Inferring a schema from what is there: generous where chance moves a column, strict about what identifies a row."""

import math
from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from bucle.data.distances import psi
from bucle.data.profiles import Profile, add_profiles
from bucle.data.schemas import ColumnSchema, ColumnType, Schema
from bucle.data.validation import (
    FEW,
    LEAST_VALUES,
    NEW_WORLD_DAYS,
    PARTITION,
    partition_profiles,
    type_of,
    values_by_day,
    with_partitions,
)
from bucle.data.writings import CHANGED, MOST_VALUES, odd_days, writing_of

_LARGEST_DOMAIN = 64
_LEAST_SKEW = 0.5
_SEASONAL = 0.25
_UNKNOWN = 1.0
_TOLERANCE = 0.01


def infer_schema(
    frame: pl.DataFrame,
    source: str,
    *,
    key: Sequence[str] = (),
    timestamp: str | None = None,
    late: Mapping[str, str] | None = None,
) -> Schema:
    """Return a schema that the frame itself passes, for a person to review.

    Nulls: none in key and timestamp, elsewhere twice the largest share of a month and one percent. Domain: texts of at most 64
    values. Range: what was seen and half its span beyond, more for what moves with the seasons; not below zero if values begin
    there. Skew: three times the largest change from month to month, at least 0.5; none for identifiers, moments, and what has
    changed by more than 0.25 already, such as a temperature, or for numbers of less than three months.
    Rewritten: for numbers that take few values, none of which is new to a day as a rule. Freshness: ten times the longest gap.
    """
    moments = set((late or {}).values()) | ({timestamp} if timestamp else set())
    parts = with_partitions(frame, timestamp)
    types = {name: type_of(kind) for name, kind in frame.schema.items()}
    skewable = [name for name in frame.columns if name not in moments and _has_distribution(frame[name], types[name], key)]
    changes = _changes(parts, skewable)
    columns = {
        name: _column(frame[name], types[name], name in key or name == timestamp, parts, changes.get(name))
        for name in frame.columns
    }
    if timestamp is not None:
        written = [name for name in frame.columns if types[name] in ("integer", "number") and name not in {*key, *moments}]
        rewritten = {name: _rewritten(frame, name, timestamp) for name in written}
        columns |= {name: msgspec.structs.replace(columns[name], rewritten=share) for name, share in rewritten.items()}
    unique = tuple(key) if key and frame.select(key).drop_nulls().is_unique().all() else ()
    return Schema(source, columns, unique, _freshness(frame, timestamp))


def _column(column: pl.Series, type: ColumnType, identifies: bool, parts: pl.DataFrame, change: float | None) -> ColumnSchema:
    nulls = 0.0 if identifies and not column.null_count() else min(1.0, round(2 * _largest_null_share(column, parts) + 0.01, 3))
    values: tuple[str, ...] = ()
    least, most = None, None
    if type == "text" and not identifies:
        found = column.cast(pl.String).drop_nulls().unique().sort()
        if found.len() <= min(_LARGEST_DOMAIN, max(column.len() // 20, 2)):
            values = tuple(found)
    elif type in ("integer", "number"):
        least, most = _range(column, change or 0.0)
    tolerance = _TOLERANCE if values or least is not None else 0.0
    skew = 0.0 if change is None or change > _SEASONAL else round(max(_LEAST_SKEW, 3 * change), 2)
    return ColumnSchema(type, nulls, values, least, most, tolerance, skew)


def _rewritten(frame: pl.DataFrame, name: str, timestamp: str) -> float:
    """The share of values never written before that a day may have: none is asked of numbers that have no writing."""
    if frame[name].n_unique() > MOST_VALUES:
        return 0.0
    days = list(values_by_day(frame, name, timestamp))
    if writing_of(counts for _, counts in days) is None or odd_days(days, CHANGED, LEAST_VALUES, NEW_WORLD_DAYS):
        return 0.0
    return CHANGED


def _has_distribution(column: pl.Series, type: ColumnType, key: Sequence[str]) -> bool:
    if column.name in key or type not in ("integer", "number", "text", "boolean"):
        return False
    return type != "text" or column.n_unique() <= min(256, max(column.len() // 2, 1))


def _changes(parts: pl.DataFrame, names: Sequence[str]) -> dict[str, float]:
    """The largest change of each column from one month to all before it; numbers need three months to show any of it."""
    largest = dict.fromkeys(names, 0.0)
    before: Profile | None = None
    months = 0
    for _, profile in partition_profiles(parts, names):
        months += profile.rows >= FEW
        if before is not None and min(before.rows, profile.rows) >= FEW:
            largest = {name: max(known, psi(before.columns[name], profile.columns[name])) for name, known in largest.items()}
        before = profile if before is None else add_profiles(before, profile)
    if months < 3:
        largest |= {name: _UNKNOWN for name in names if parts.schema[name].is_numeric()}
    return largest


def _largest_null_share(column: pl.Series, parts: pl.DataFrame) -> float:
    shares = parts.group_by(PARTITION).agg(pl.col(column.name).is_null().mean().alias("share"), pl.len().alias("rows"))
    enough = shares.filter(pl.col("rows") >= min(100, parts.height))
    largest = enough["share"].max()
    return float(largest) if isinstance(largest, float) else 0.0


def _range(column: pl.Series, change: float) -> tuple[float | None, float | None]:
    finite = column.cast(pl.Float64).drop_nulls().drop_nans()
    finite = finite.filter(finite.is_finite())
    if finite.is_empty():
        return None, None
    low, high = float(finite.min()), float(finite.max())  # type: ignore[arg-type]
    span = high - low
    if span == 0:
        return None, None
    beyond = span * (0.5 + min(change, 2.5))
    least = 0.0 if 0 <= low <= span / 10 else _round(low - beyond, math.floor)
    return least, _round(high + beyond, math.ceil)


def _round(value: float, direction: object) -> float:
    """To three digits, away from the values."""
    if value == 0 or not callable(direction):
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 2)
    return float(f"{direction(value / unit) * unit:.6g}")


def _freshness(frame: pl.DataFrame, timestamp: str | None) -> str | None:
    if timestamp is None or frame.height < 10:
        return None
    gaps = frame[timestamp].drop_nulls().sort().diff().dt.total_seconds().max()
    hours = max(math.ceil(10 * gaps / 3600), 1) if isinstance(gaps, int | float) else 24
    return f"{math.ceil(hours / 24)}d" if hours >= 48 else f"{hours}h"
