"""What is held online of a window: the values themselves with the time in which each counts, so that any moment is exact."""

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from bucle.features.views import AggregateSpec

Value = tuple[int, int, float]
"""When a value begins to count, when it no longer does (exclusive), and the value."""


_MARGIN_US = 3_600_000_000


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    horizon_us: int
    columns: dict[str, tuple[bytes, bytes, bytes]]


def column_group(feature: AggregateSpec) -> str:
    """Return the name under which the values of a feature's column are held; counting needs no numbers."""
    return f"#{feature.column}" if feature.how == "count" else feature.column


def window_margin(window_us: int) -> int:
    """Return how long values are kept after they have left: an hour, or the window, so that reads a little back are exact."""
    return min(window_us, _MARGIN_US)


@dataclass(frozen=True, slots=True)
class WindowState:
    """The values of one entity by column, in order of leaving; nothing is missing from `horizon_us` on."""

    horizon_us: int
    columns: Mapping[str, "_Column"] = field(default_factory=dict)

    def value(self, feature: AggregateSpec, at_us: int) -> int | float | None:
        """Return the aggregate at a moment not before the horizon: 0 for an empty "count", else None."""
        column = self.columns.get(column_group(feature))
        return aggregate(column.seen(at_us) if column else (), feature.how)

    def pack(self) -> bytes:
        """Return the state as bytes."""
        packed = {
            name: (each.enter.tobytes(), each.leave.tobytes(), each.values.tobytes()) for name, each in self.columns.items()
        }
        return msgspec.msgpack.encode(_Packed(self.horizon_us, packed))

    @classmethod
    def unpack(cls, content: bytes) -> "WindowState":
        """Read what `pack` returned."""
        packed = msgspec.msgpack.decode(content, type=_Packed)
        return cls(packed.horizon_us, {name: _Column.read(parts) for name, parts in packed.columns.items()})


def merge_window(held: WindowState | None, arrived: Mapping[str, Iterable[Value]], horizon_us: int) -> WindowState:
    """Return the state with the values that arrived and without those that no longer count at the horizon."""
    horizon = max(held.horizon_us, horizon_us) if held else horizon_us
    names = dict.fromkeys([*(held.columns if held else ()), *arrived])
    columns: dict[str, _Column] = {}
    for name in names:
        before = held.columns[name].triples() if held and name in held.columns else ()
        values = sorted(
            (
                value
                for source in (before, arrived.get(name, ()))
                for value in source
                if value[1] > horizon and value[0] < value[1]
            ),
            key=lambda value: (value[1], value[0], value[2]),
        )
        columns[name] = _Column.of(values)
    return WindowState(horizon, columns)


def aggregate(values: "array[float] | tuple[()]", how: str) -> int | float | None:
    """Return count, mean, sum, min or max; sums are correctly rounded, as offline."""
    if how == "count":
        return len(values)
    if not values:
        return None
    if how == "min":
        return min(values)
    if how == "max":
        return max(values)
    total = math.fsum(values)
    return total / len(values) if how == "mean" else total


@dataclass(frozen=True, slots=True)
class _Column:
    enter: "array[int]"
    leave: "array[int]"
    values: "array[float]"

    @classmethod
    def of(cls, values: Iterable[Value]) -> "_Column":
        listed = list(values)
        return cls(
            array("q", (each[0] for each in listed)),
            array("q", (each[1] for each in listed)),
            array("d", (each[2] for each in listed)),
        )

    @classmethod
    def read(cls, parts: tuple[bytes, bytes, bytes]) -> "_Column":
        column = cls(array("q"), array("q"), array("d"))
        for target, content in zip((column.enter, column.leave, column.values), parts, strict=True):
            target.frombytes(content)  # type: ignore[attr-defined]
        return column

    def triples(self) -> Iterable[Value]:
        return zip(self.enter, self.leave, self.values, strict=True)

    def seen(self, at_us: int) -> "array[float]":
        """Return the values that count at a moment: of those that have not left, the ones that have come."""
        first = bisect_right(self.leave, at_us)
        values = self.values[first:]
        if not values or max(self.enter[first:]) <= at_us:
            return values
        return array("d", (value for value, enter in zip(values, self.enter[first:], strict=True) if enter <= at_us))
