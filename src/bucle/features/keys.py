"""Entity keys by type and value (R2): 1 is not "1", and (1, 11) is not (11, 1); offline as columns, online as texts."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.features.errors import BadKey, BadKeyValue

if TYPE_CHECKING:
    import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode
_LEAST, _MOST = -(2**63), 2**64 - 1


def encode_key(parts: Sequence[object]) -> str | None:
    """Return the text under which an entity's row is stored online; None when a part is null, which matches nothing.

    Whole floating point numbers equal integers and NaN is null, as in the offline join. Raises `features/bad-key` for a type
    and `features/bad-key-value` for a value that no key can have; both say which `part` it is, from 0.
    """
    try:
        if len(parts) == 1 and type(parts[0]) is str:  # the common case, five times faster
            return _encode(parts).decode()
        canonical = [_canonical(part, place) for place, part in enumerate(parts)]
        return None if any(part is None for part in canonical) else _encode(canonical).decode()
    except UnicodeEncodeError:
        place = next(place for place, part in enumerate(parts) if isinstance(part, str) and not _is_text(part))
        raise BadKeyValue(what=f"The text {parts[place]!r:.40} with half a surrogate pair", part=place) from None


def _canonical(part: object, place: int) -> object:
    if part is None or isinstance(part, str | bool):
        return part
    if isinstance(part, int | float):
        return _number(part, place)
    if isinstance(part, datetime):
        aware = part.replace(tzinfo=UTC) if part.tzinfo is None else part
        return {"us": (aware - _EPOCH) // timedelta(microseconds=1)}
    if isinstance(part, date):
        return {"date": part.isoformat()}
    if isinstance(part, bytes):
        return {"bytes": part.hex()}
    raise BadKey(what=f"{part!r:.100}", dtype=type(part).__name__, part=place)


def _number(part: int | float, place: int) -> int | float | None:
    if isinstance(part, float):
        if math.isnan(part):
            return None
        if math.isinf(part):
            raise BadKeyValue(what=f"The number {part}", part=place)
        if not part.is_integer():
            return part
    if not _LEAST <= part <= _MOST:
        raise BadKeyValue(what=f"An integer of {int(part).bit_length()} bits", part=place)
    return int(part)


def _is_text(part: str) -> bool:
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True


def comparable(left: "pl.Series", right: "pl.Series") -> "tuple[pl.Series, pl.Series] | None":
    """Return both key columns in one type in which equality is by type and value, or None if no value can be equal.

    Raises `features/bad-key` for a type that has no such equality.
    """
    import polars as pl

    families = _family(left), _family(right)
    if "null" in families or families[0] != families[1]:
        return None
    family = families[0]
    if family != "number":
        target = {"text": pl.String(), "bool": pl.Boolean(), "date": pl.Date(), "bytes": pl.Binary()}.get(family)
        return (left.cast(target), right.cast(target)) if target else (_instants(left), _instants(right))
    if left.dtype.is_float() and right.dtype.is_float():
        return _without_nan(left), _without_nan(right)
    return _whole(left), _whole(right)


def _family(column: "pl.Series") -> str:
    import polars as pl

    dtype: Any = column.dtype
    if dtype.is_integer() or dtype.is_float():
        return "number"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "text"
    names: dict[Any, str] = {pl.Boolean: "bool", pl.Date: "date", pl.Binary: "bytes", pl.Null: "null", pl.Datetime: "moment"}
    for kind, name in names.items():
        if dtype == kind:
            return name
    raise BadKey(what=f"The column {column.name!r}", dtype=dtype)


def _instants(column: "pl.Series") -> "pl.Series":
    from bucle.features.instants import to_integers

    return to_integers(column, "ns")


def _without_nan(column: "pl.Series") -> "pl.Series":
    import polars as pl

    return (column.cast(pl.Float64) + 0.0).fill_nan(None)


def _whole(column: "pl.Series") -> "pl.Series":
    """Integers, and of floating point numbers those that are whole: no rounding of large integers on the way."""
    import polars as pl

    if column.dtype in (pl.UInt64, pl.Int128):
        return column.cast(pl.Int128)
    if not column.dtype.is_float():
        return column.cast(pl.Int64)
    exact = column.cast(pl.Int64, strict=False)
    return pl.select(pl.when(exact.cast(pl.Float64) == column).then(exact)).to_series()
