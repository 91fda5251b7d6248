"""Checks of a frame against its schema, by partitions of time, in one pass over the rows. Runs in children only."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from bucle.data.distances import psi
from bucle.data.profiles import Profile, add_profiles
from bucle.data.profiling import profile_frame
from bucle.data.reports import Finding, ValidationReport, judge
from bucle.data.schemas import ColumnSchema, ColumnType, Schema
from bucle.data.writings import odd_days
from bucle.ledger import format_instant, from_us, parse_duration

PARTITION = "__partition"
FEW = 100
"""Partitions of fewer rows say nothing about a distribution."""

LEAST_DAYS_OF_MONTH = 14
"""Months of fewer days say nothing about how the months before differ from them."""

LEAST_VALUES = 10
"""Days of fewer values say nothing about how a number is written."""

NEW_WORLD_DAYS = 28
"""So many days in a row that are written otherwise are the new way of writing."""


def validate_frame(
    frame: pl.DataFrame,
    schema: Schema,
    *,
    timestamp: str | None = None,
    late: dict[str, str] | None = None,
    as_of_us: int | None = None,
) -> ValidationReport:
    """Check a frame: unexpected and missing columns, types, nulls, domains, ranges, uniqueness, freshness, statistics.

    With a `timestamp` each month is a partition and judged by itself, and each day by how its numbers are written. `late` gives
    the moment column of columns that become known later: rows too young to know them are not counted as nulls.
    """
    findings = list(_columns(frame, schema))
    present = {name: column for name, column in schema.columns.items() if name in frame.columns}
    fitting = {name: column for name, column in present.items() if fits(frame.schema[name], column.type)}
    parts = with_partitions(frame, timestamp)
    findings += _counted(parts, schema, fitting, _settled(frame, timestamp, late or {}, as_of_us))
    findings += _unique(frame, schema)
    findings += _fresh(frame, schema, timestamp, as_of_us)
    findings += _skewed(parts, schema, fitting, timestamp)
    findings += _rewritten(frame, schema, fitting, timestamp)
    partitions = parts[PARTITION].unique().sort().to_list()
    checks = 2 * len(schema.columns) + sum(_count_checks(column) for column in schema.columns.values())
    checks += bool(schema.unique) + bool(schema.freshness)
    return judge(findings, rows=frame.height, partitions=partitions, checks=checks, schema=schema.digest)


def type_of(kind: pl.DataType) -> ColumnType:
    """Return the schema's word for a Polars type."""
    if kind.is_integer():
        return "integer"
    if kind.is_numeric():
        return "number"
    names: dict[Any, ColumnType] = {
        pl.String: "text",
        pl.Categorical: "text",
        pl.Enum: "text",
        pl.Boolean: "boolean",
        pl.Datetime: "instant",
        pl.Date: "date",
        pl.Duration: "duration",
    }
    return names.get(kind.base_type(), "other")


def fits(kind: pl.DataType, wanted: ColumnType) -> bool:
    """Return whether a column of this type may stand where the schema wants another: integers are numbers, nulls anything."""
    found = type_of(kind)
    return found == wanted or kind == pl.Null or (found == "integer" and wanted == "number")


def with_partitions(frame: pl.DataFrame, timestamp: str | None) -> pl.DataFrame:
    """Return the frame with a column that names each row's month, "all" without a timestamp."""
    if timestamp is None or timestamp not in frame.columns or not isinstance(frame.schema[timestamp], pl.Datetime):
        return frame.with_columns(pl.lit("all").alias(PARTITION))
    return frame.with_columns(month_of(pl.col(timestamp)).fill_null("undated").alias(PARTITION))


def month_of(moment: pl.Expr) -> pl.Expr:
    """Return the name of a moment's month in UTC, "2013-04"."""
    return moment.dt.strftime("%Y-%m")


def beyond_chance(bad: int, rows: int, share: float) -> bool:
    """Return whether more than `share` of the rows are bad, by more than three standard deviations of chance.

    Few rows are judged as if they were a hundred: what comes together (an hour's three stations) fails together.
    """
    expected = share * max(rows, FEW)
    return bad > expected + 3 * math.sqrt(expected * (1 - share)) if share > 0 else bad > 0


def _columns(frame: pl.DataFrame, schema: Schema) -> Iterator[Finding]:
    for name, column in schema.columns.items():
        where = schema.where(name)
        if name not in frame.columns:
            yield Finding("presence", name, "schema", f"The column {name!r} is missing.", frame.height, where)
        elif not fits(frame.schema[name], column.type):
            found = type_of(frame.schema[name])
            message = f"The column {name!r} is of type {found}, not {column.type}."
            yield Finding("type", name, "schema", message, frame.height, where)
    for name in frame.columns:
        if name not in schema.columns:
            message = f"The column {name!r} is unexpected: the schema does not have it."
            yield Finding("presence", name, "schema", message, frame.height, schema.where(name))


def _counted(
    parts: pl.DataFrame, schema: Schema, fitting: dict[str, ColumnSchema], settled: dict[str, pl.Expr]
) -> Iterator[Finding]:
    """All checks that count rows, as one aggregation."""
    sums: list[pl.Expr] = [pl.len().alias("rows")]
    for name, column in fitting.items():
        known = settled.get(name, pl.lit(True))
        if column.nulls < 1:
            sums.append((_is_null(name, parts.schema[name]) & known).sum().alias(f"nulls:{name}"))
            if name in settled:
                sums.append(known.sum().alias(f"known:{name}"))
        outside = _outside(name, column, parts.schema[name])
        if outside is not None:
            sums.append(outside.fill_null(False).sum().alias(f"outside:{name}"))
    counted = parts.lazy().group_by(PARTITION).agg(sums).sort(PARTITION).collect()
    for row in counted.iter_rows(named=True):
        for name, column in fitting.items():
            yield from _judge_counts(row, name, column, schema.where(name))


def _judge_counts(row: dict[str, Any], name: str, column: ColumnSchema, where: str | None) -> Iterator[Finding]:
    rows, partition = row["rows"], row[PARTITION]
    nulls, of = row.get(f"nulls:{name}", 0), row.get(f"known:{name}", rows)
    if nulls and beyond_chance(nulls, of, column.nulls):
        message = f"{name!r} is null in {nulls / of:.1%} of {of} rows of {partition}; at most {column.nulls:.1%} is expected."
        yield Finding("nulls", name, "schema", message, nulls, where, partition)
    outside = row.get(f"outside:{name}", 0)
    if outside and beyond_chance(outside, rows, column.tolerance):
        check, what = ("domain", "its values") if column.values else ("range", _range(column))
        message = f"{name!r} lies outside of {what} in {outside} of {rows} rows of {partition} ({outside / rows:.1%})."
        yield Finding(check, name, "schema", message, outside, where, partition)


def _range(column: ColumnSchema) -> str:
    if column.least is None:
        return f"at most {column.most:g}"
    return f"at least {column.least:g}" if column.most is None else f"{column.least:g} to {column.most:g}"


def _is_null(name: str, kind: pl.DataType) -> pl.Expr:
    null = pl.col(name).is_null()
    return null | pl.col(name).is_nan().fill_null(False) if kind.is_float() else null


def _outside(name: str, column: ColumnSchema, kind: pl.DataType) -> pl.Expr | None:
    value = pl.col(name)
    if kind == pl.Null:
        return None
    if column.values:
        return ~value.cast(pl.String).is_in(list(column.values))
    bounds = []
    if column.least is not None:
        bounds.append(value < column.least)
    if column.most is not None:
        bounds.append(value > column.most)
    if kind.is_float() and bounds:
        bounds.append(value.is_infinite())
        return pl.any_horizontal(bounds) & value.is_not_nan()
    return pl.any_horizontal(bounds) if bounds else None


def _unique(frame: pl.DataFrame, schema: Schema) -> Iterator[Finding]:
    key = [name for name in schema.unique if name in frame.columns]
    if not key or len(key) < len(schema.unique):
        return
    known = frame.select(key).drop_nulls()
    repeated = known.height - known.n_unique()
    if repeated:
        example = known.filter(known.is_duplicated()).row(0)
        message = f"{', '.join(key)} identify a row, but {repeated} rows repeat one, for instance {example}."
        yield Finding("uniqueness", ", ".join(key), "schema", message, repeated, schema.where(key[0]))


def _fresh(frame: pl.DataFrame, schema: Schema, timestamp: str | None, as_of_us: int | None) -> Iterator[Finding]:
    if schema.freshness is None or timestamp is None or as_of_us is None or timestamp not in frame.columns:
        return
    newest = frame[timestamp].dt.epoch("us").max() if frame.height else None
    oldest_allowed = as_of_us - parse_duration(schema.freshness).total_seconds() * 1e6
    if not isinstance(newest, int) or newest < oldest_allowed:
        when = format_instant(from_us(newest)) if isinstance(newest, int) else "none"
        message = f"The newest row ({when}) is older than {schema.freshness} at {format_instant(from_us(as_of_us))}."
        yield Finding("freshness", timestamp, "value", message, 0, schema.where(timestamp))


def _skewed(parts: pl.DataFrame, schema: Schema, fitting: dict[str, ColumnSchema], timestamp: str | None) -> Iterator[Finding]:
    """Months whose statistics differ from those before them, unless the month after is like them: then the world has changed.

    A month in doubt does not become part of what later ones are compared with. A month of a few days is not judged: days that
    follow each other are alike.
    """
    allowed = {name: column.skew for name, column in fitting.items() if column.skew > 0}
    before: Profile | None = None
    doubtful: list[tuple[str, Profile, dict[str, float]]] = []
    short = _short_months(parts, timestamp)
    for partition, profile in partition_profiles(parts, list(allowed)):
        if partition in short:
            continue
        far = _far(before, profile, allowed)
        if before is not None and far and doubtful and not _far(doubtful[-1][1], profile, allowed):
            before = add_profiles(doubtful.pop()[1], profile)
        elif far:
            doubtful.append((partition, profile, far))
        else:
            before = profile if before is None else add_profiles(before, profile)
    for partition, profile, far in doubtful:
        for name, distance in far.items():
            change = f"is {distance:.2f} from those before (allowed {allowed[name]:g})"
            message = f"The distribution of {name!r} in {partition} {change}."
            yield Finding("skew", name, "value", message, profile.rows, schema.where(name), partition)


def _short_months(parts: pl.DataFrame, timestamp: str | None) -> set[str]:
    if timestamp is None or timestamp not in parts.columns or not isinstance(parts.schema[timestamp], pl.Datetime):
        return set()
    days = parts.group_by(PARTITION).agg(pl.col(timestamp).dt.date().n_unique().alias("days"))
    return set(days.filter(pl.col("days") < LEAST_DAYS_OF_MONTH)[PARTITION])


def _rewritten(
    frame: pl.DataFrame, schema: Schema, fitting: dict[str, ColumnSchema], timestamp: str | None
) -> Iterator[Finding]:
    """Days on which a number was written as never before, as another unit or rounding makes it."""
    for name, column in fitting.items():
        if column.rewritten > 0 and timestamp in frame.columns:
            for odd in odd_days(values_by_day(frame, name, timestamp), column.rewritten, LEAST_VALUES, NEW_WORLD_DAYS):
                cause = (
                    f"a change of unit ({odd.unit}) makes them" if odd.unit else "another unit or rounding makes such values"
                )
                message = f"{odd.count} of {odd.rows} values of {name!r} on {odd.day} were never written before; {cause}."
                yield Finding("unit", name, "value", message, odd.count, schema.where(name), odd.day)


def values_by_day(frame: pl.DataFrame, name: str, timestamp: str) -> Iterator[tuple[str, dict[float, int]]]:
    """Yield each day (UTC) with how often each value of a number occurs on it, in order of time."""
    value, day = pl.col(name).cast(pl.Float64), pl.col(timestamp).dt.strftime("%Y-%m-%d")
    finite = frame.lazy().filter(value.is_finite() & pl.col(timestamp).is_not_null())
    counted = finite.group_by(day.alias("day"), value.alias("value")).len().sort("day").collect()
    for (key,), rows in counted.partition_by("day", as_dict=True, include_key=False, maintain_order=True).items():
        yield str(key), dict(rows.rows())


def _far(before: Profile | None, profile: Profile, allowed: dict[str, float]) -> dict[str, float]:
    """The columns whose distance is more than allowed; none where there are too few rows to tell."""
    if before is None or min(before.rows, profile.rows) < FEW:
        return {}
    distances = {name: psi(before.columns[name], profile.columns[name]) for name in allowed}
    return {name: distance for name, distance in distances.items() if distance > allowed[name]}


def partition_profiles(parts: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[str, Profile]]:
    """Yield each month and its profile on the bins of all months together, in order of time."""
    if not names or parts.height < 2 * FEW:
        return
    whole = profile_frame(parts, columns=names)
    for (partition,), rows in sorted(parts.select(*names, PARTITION).partition_by(PARTITION, as_dict=True).items()):
        if partition != "undated":
            yield str(partition), profile_frame(rows, whole)


def _settled(frame: pl.DataFrame, timestamp: str | None, late: dict[str, str], as_of_us: int | None) -> dict[str, pl.Expr]:
    """For late columns, which rows are old enough to have them: older than almost all took to become known."""
    if timestamp is None or as_of_us is None or timestamp not in frame.columns:
        return {}
    settled: dict[str, pl.Expr] = {}
    for name, moment in late.items():
        if moment not in frame.columns or not isinstance(frame.schema[moment], pl.Datetime):
            continue
        lag = (frame[moment] - frame[timestamp]).dt.total_microseconds().quantile(0.999)
        settled[name] = pl.col(timestamp).dt.epoch("us") <= as_of_us - int(lag or 0)
    return settled


def _count_checks(column: ColumnSchema) -> int:
    return (
        (column.nulls < 1)
        + bool(column.values or column.least is not None or column.most is not None)
        + (column.skew > 0)
        + (column.rewritten > 0)
    )
