"""Columns of moments as integers: every accepted type becomes UTC microseconds, nanoseconds where that is needed (R9)."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import polars as pl

from bucle.features.errors import BadTime

if TYPE_CHECKING:
    from collections.abc import Callable

Unit = Literal["us", "ns"]
_NANO_LIMIT = (2**63 - 1) // 1000
_FRACTION = re.compile(r"^(.*[0-9])[.,]([0-9]+)(.*)$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def finest_unit(columns: Sequence[pl.Series]) -> Unit:
    """Return "ns" when some moment has a part below a microsecond, so that no comparison is made on a truncated instant."""
    return "ns" if any(_has_nanoseconds(column) for column in columns) else "us"


def to_integers(column: pl.Series, unit: Unit = "us") -> pl.Series:
    """Return the moments of `column` as Int64 since 1970 UTC. Naive ones are UTC, aware ones are converted.

    In microseconds a moment with a finer part is the next one, never an earlier one, so that nothing is seen before it was.
    Raises `features/bad-time` for a column that holds no moments, with the first text that is none.
    """
    if column.dtype == pl.Null:
        return column.cast(pl.Int64)
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return _from_texts(column, unit)
    if column.dtype == pl.Date:
        return _scaled(column.cast(pl.Int64) * 86_400_000_000, unit)
    if not isinstance(column.dtype, pl.Datetime):
        raise BadTime(column=column.name, dtype=column.dtype, reason="the type has no moments")
    physical = column.to_physical()
    if column.dtype.time_unit == "ns":
        return physical if unit == "ns" else -(-physical // 1000)
    return _scaled(physical * 1000 if column.dtype.time_unit == "ms" else physical, unit)


def _scaled(microseconds: pl.Series, unit: Unit) -> pl.Series:
    """Moments beyond the years 1677 to 2262 do not fit nanoseconds; they keep their place at the end of the scale."""
    return microseconds if unit == "us" else microseconds.clip(-_NANO_LIMIT, _NANO_LIMIT) * 1000


def _has_nanoseconds(column: pl.Series) -> bool:
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_unit == "ns":
        return bool((column.to_physical() % 1000 != 0).any())
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return bool(column.cast(pl.String).str.contains(r"[.,][0-9]{6}[0-9]*[1-9]").any())
    return False


def _from_texts(column: pl.Series, unit: Unit) -> pl.Series:
    texts = column.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    parse: Callable[[str], int] = _nanoseconds if unit == "ns" else (lambda text: -(-_nanoseconds(text) // 1000))
    try:
        numbers = pl.Series("number", [parse(text) for text in distinct], dtype=pl.Int64)
    except ValueError as error:
        raise BadTime(column=column.name, dtype=column.dtype, reason=str(error)) from None
    return texts.replace_strict(distinct, numbers, default=None, return_dtype=pl.Int64).alias(column.name)


def _nanoseconds(text: str) -> int:
    """Return nanoseconds of an ISO 8601 text with up to nine digits of a second."""
    found = _FRACTION.match(text.strip())
    whole, digits = (found[1] + found[3], found[2]) if found else (text.strip(), "")
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO 8601 moment") from None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = aware - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    return (seconds * 1_000_000 + since.microseconds) * 1000 + int(digits[:9].ljust(9, "0") or 0)
