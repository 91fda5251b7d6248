"""How a number is written: a feed that changes its unit or its rounding writes values that were never written before.

Measured values come from instruments and tables that know few values (a wind in whole knots, a temperature in tenths of a
degree): almost all of a new day's values have been written on another day. Where that is so, a day full of values that lie
among the known ones, but are none of them, was written otherwise. A mere change of the world keeps to the known writings.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

MOST_VALUES = 4096
"""Numbers of more distinct values than this have no writing."""

LEAST_DAYS = 14
"""Days without which nobody knows which values a number takes."""

_RARELY = 0.01
"""A number has a writing if at most this share of its values was written on a single day only."""

CHANGED = 0.25
"""The share of a day's values, never written before, from which on the day was written otherwise."""

_CLOSE = 1e-6
_EXPLAINED = 0.9

_UNITS: tuple[tuple[str, str, float], ...] = (
    ("mi", "km", 1.609344),
    ("mph", "km/h", 1.609344),
    ("mph", "m/s", 0.44704),
    ("kn", "mph", 1.150779),
    ("km/h", "m/s", 1 / 3.6),
    ("kn", "m/s", 1 / 1.943844),
    ("kn", "km/h", 1.852),
    ("in", "mm", 25.4),
    ("ft", "m", 0.3048),
    ("lb", "kg", 0.45359237),
    ("%", "1", 0.01),
    ("k", "1", 1000.0),
    ("min", "s", 60.0),
    ("h", "min", 60.0),
)
FACTORS: tuple[tuple[str, float], ...] = tuple(
    change for here, there, factor in _UNITS for change in ((f"{here} -> {there}", factor), (f"{there} -> {here}", 1 / factor))
)
"""Changes of unit that are recognised by their factor."""


class Writing(msgspec.Struct, frozen=True):
    """The values that a number takes, ascending; `rarely` is the share of values that were written on a single day only."""

    values: tuple[float, ...]
    rarely: float

    def knows(self, value: float) -> bool:
        """Return whether the value was written before, or lies beyond all that were: then it is another matter."""
        if not self.values or not self.values[0] <= value <= self.values[-1]:
            return True
        return self.values[bisect_left(self.values, value)] == value


@dataclass(frozen=True, slots=True)
class OddDay:
    """A day of which `count` of `rows` values were never written before; `unit` names the change of unit that explains it."""

    day: str
    rows: int
    count: int
    unit: str | None


def writing_of(days: Iterable[Mapping[float, int]]) -> Writing | None:
    """Return how a number is written, given how often each value occurs on each day; None if it has no writing."""
    total, seen = dict[float, int](), dict[float, int]()
    count = 0
    for day in days:
        count += 1
        for value, times in day.items():
            total[value] = total.get(value, 0) + times
            seen[value] = seen.get(value, 0) + 1
        if len(total) > MOST_VALUES:
            return None
    rows = sum(total.values())
    if count < LEAST_DAYS or not rows or len(total) < 3:
        return None
    rarely = sum(times for value, times in total.items() if seen[value] == 1) / rows
    return Writing(tuple(sorted(total)), rarely) if rarely <= _RARELY else None


def unit_of(values: Mapping[float, int] | Sequence[float], writing: Writing) -> str | None:
    """Return the changes of unit that make values out of known ones, None where no factor explains nearly all of them."""
    counted = values if isinstance(values, Mapping) else dict.fromkeys(values, 1)
    total = sum(counted.values())
    if not total:
        return None
    for factor in dict.fromkeys(factor for _, factor in FACTORS):
        explained = sum(times for value, times in counted.items() if _near(value / factor, writing.values))
        if explained >= _EXPLAINED * total:
            return " or ".join(name for name, each in FACTORS if each == factor)
    return None


def odd_days(days: Iterable[tuple[str, Mapping[float, int]]], changed: float, least: int, settled: int) -> list[OddDay]:
    """Return the days that were written otherwise, given the days in order of time with how often each value occurs.

    An odd day's values do not become known, unless `settled` odd days follow each other: then this is the new writing, and
    nothing was odd. Days of fewer than `least` values are not judged.
    """
    known: list[Mapping[float, int]] = []
    odd: list[tuple[OddDay, Mapping[float, int]]] = []
    found: list[OddDay] = []
    writing: Writing | None = None
    for day, counts in days:
        rows = sum(counts.values())
        judged = _odd(day, counts, rows, writing, changed) if writing is not None and rows >= least else None
        if judged is not None:
            odd.append((judged, counts))
            if len(odd) == settled:
                known, odd = [each for _, each in odd], []
                writing = writing_of(known)
            continue
        found += [each for each, _ in odd]
        odd = []
        known.append(counts)
        writing = writing_of(known) if writing is None else _with(writing, counts)
    return found + [each for each, _ in odd]


def _odd(day: str, counts: Mapping[float, int], rows: int, writing: Writing, changed: float) -> OddDay | None:
    new = {value: times for value, times in counts.items() if not writing.knows(value)}
    count = sum(new.values())
    return OddDay(day, rows, count, unit_of(new, writing)) if count > changed * rows else None


def _with(writing: Writing, counts: Mapping[float, int]) -> Writing:
    more = [value for value in counts if not _in(value, writing.values)]
    return Writing(tuple(sorted((*writing.values, *more))), writing.rarely) if more else writing


def _in(value: float, ascending: Sequence[float]) -> bool:
    place = bisect_left(ascending, value)
    return place < len(ascending) and ascending[place] == value


def _near(value: float, ascending: Sequence[float]) -> bool:
    place = bisect_left(ascending, value)
    return any(abs(each - value) <= _CLOSE * max(1.0, abs(value)) for each in ascending[max(0, place - 1) : place + 1])
