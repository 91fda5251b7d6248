"""Columns of moments, whatever their type, as UTC instants in microseconds (point_in_time.md, R9). Runs in children only."""

from datetime import UTC, datetime

import polars as pl

from bucle.data.errors import BadTimestamp

INSTANT = pl.Datetime("us", "UTC")
_LARGEST_US = 2**63 - 1
_AWARE = "%Y-%m-%dT%H:%M:%S%.f%:z"
_NAIVE = "%Y-%m-%dT%H:%M:%S%.f"


def to_instants(column: pl.Series, source: str = "", where: str | None = None) -> tuple[pl.Series, int]:
    """Return the column as UTC instants in microseconds, and how many values had parts of a microsecond, which are cut off.

    Datetimes of any unit and zone, dates and ISO 8601 texts are accepted; naive ones are UTC. A moment that is cut is never
    later than it was, before 1970 too. Raises `data/bad-timestamp` for all else: numbers say nothing of their unit.
    """
    kind = column.dtype
    if kind == pl.Null:
        return column.cast(INSTANT), 0
    if isinstance(kind, pl.Datetime):
        return _datetimes(column, kind, source, where)
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"), 0
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return _texts(column.cast(pl.String), source, where), 0
    if kind == pl.Object:
        return _objects(column, source, where), 0
    reason = f"{kind} says nothing of its unit and zero"
    raise BadTimestamp(column=column.name, name=source, reason=reason, where=where)


def normalise_datetimes(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with every datetime column as UTC instants in microseconds."""
    kinds = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind != INSTANT]
    return frame.with_columns(to_instants(frame[name])[0] for name in kinds)


def _datetimes(column: pl.Series, kind: pl.Datetime, source: str, where: str | None) -> tuple[pl.Series, int]:
    ticks = column.to_physical()
    rounded = 0
    if kind.time_unit == "ns":
        rounded = int((ticks % 1000 != 0).sum())
        ticks = ticks // 1000  # floors, also before 1970
    elif kind.time_unit == "ms":
        if (ticks.len() and (ticks.max() or 0) > _LARGEST_US // 1000) or (ticks.min() or 0) < -_LARGEST_US // 1000:  # type: ignore[operator]
            raise BadTimestamp(column=column.name, name=source, reason="a moment lies beyond the year 294000", where=where)
        ticks = ticks * 1000
    return ticks.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias(column.name), rounded


def _texts(column: pl.Series, source: str, where: str | None) -> pl.Series:
    distinct = column.unique().drop_nulls()
    plain = distinct.str.strip_chars().str.replace(r"^(\d{4}-\d{2}-\d{2})[ t]", "${1}T").str.replace(r"[Zz]$", "+00:00")
    aware = plain.str.to_datetime(_AWARE, time_unit="us", strict=False).cast(INSTANT)
    naive = plain.str.to_datetime(_NAIVE, time_unit="us", strict=False).dt.replace_time_zone("UTC")
    parsed = pl.select(pl.coalesce(aware, naive)).to_series()
    rest = distinct.filter(parsed.is_null())
    slow = {text: _parse(text, column, source, where) for text in rest}
    instants = [slow[text] if value is None else value for text, value in zip(distinct, parsed.to_physical(), strict=True)]
    table = pl.DataFrame({"text": distinct, "instant": pl.Series(instants, dtype=pl.Int64)})
    joined = pl.DataFrame({"text": column}).join(table, on="text", how="left", maintain_order="left")
    return joined["instant"].cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias(column.name)


def _parse(text: str, column: pl.Series, source: str, where: str | None) -> int:
    try:
        return _microseconds(datetime.fromisoformat(text.strip()))
    except ValueError:
        count = int((column == text).sum())
        reason = f"{text[:60]!r} ({count} rows) is no ISO 8601 moment"
        raise BadTimestamp(column=column.name, name=source, reason=reason, where=where) from None


def _objects(column: pl.Series, source: str, where: str | None) -> pl.Series:
    """Python's own datetimes, as pandas hands them over when their zones differ."""
    values: list[int | None] = []
    for value in column:
        if value is None or value != value:
            values.append(None)
        elif isinstance(value, datetime):
            values.append(_microseconds(value))
        else:
            reason = f"{type(value).__name__} is no moment"
            raise BadTimestamp(column=column.name, name=source, reason=reason, where=where)
    return pl.Series(column.name, values, dtype=pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _microseconds(moment: datetime) -> int:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
