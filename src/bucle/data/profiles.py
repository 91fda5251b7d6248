"""Profiles: counts on bins that a reference fixed, so that any window's profile is the sum of its parts.

Pure Python: the server adds and compares profiles without Polars or NumPy.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime

import msgspec

from bucle.data.errors import ProfilesDiffer

BINS = 256
"""Bins by the reference's quantiles of a number; also how many categories of a text have a count of their own."""


class ColumnProfile(msgspec.Struct, frozen=True):
    """Counts of one column: `counts[i]` of values in `[edges[i-1], edges[i])`, or of `categories[i]`.

    `nulls` are nulls and NaN; `unseen` are numbers below `lowest` or above `highest` of the reference, or texts that are none
    of its categories. `total`, `squares`, `least`, `most` are of all finite numbers. All of it adds up.
    """

    kind: str
    counts: tuple[int, ...] = ()
    nulls: int = 0
    unseen: int = 0
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    lowest: float = 0.0
    highest: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    least: float | None = None
    most: float | None = None

    @property
    def rows(self) -> int:
        """How many values were counted, nulls among them."""
        return sum(self.counts) + self.nulls + self.unseen

    @property
    def known(self) -> int:
        """How many values were not null."""
        return sum(self.counts) + self.unseen

    @property
    def null_share(self) -> float:
        """The share of nulls, 0 of no rows."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def mean(self) -> float | None:
        """The mean of the numbers, None without any."""
        return self.total / self.known if self.kind == "number" and self.known else None

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the numbers, None without any."""
        if self.kind != "number" or not self.known:
            return None
        mean = self.total / self.known
        return math.sqrt(max(self.squares / self.known - mean * mean, 0.0))

    def quantile(self, share: float) -> float | None:
        """Return the value below which about `share` of the numbers lie, exact to the width of a bin."""
        below, wanted = 0, share * self.known
        if self.kind != "number" or not self.known:
            return None
        bounds = (self.lowest, *self.edges, self.highest)
        for position, count in enumerate(self.counts):
            if count and below + count >= wanted:
                low, high = bounds[position], bounds[position + 1]
                return low + (high - low) * max(wanted - below, 0.0) / count
            below += count
        return self.most


class Profile(msgspec.Struct, frozen=True):
    """The profile of a table: rows and each column's counts."""

    rows: int
    columns: dict[str, ColumnProfile]


def empty_like(reference: Profile) -> Profile:
    """Return a profile of no rows on the reference's bins: the zero of addition."""
    return Profile(0, {name: _blank(column) for name, column in reference.columns.items()})


def add_profiles(first: Profile, *others: Profile) -> Profile:
    """Return the profile of all rows together. Raises `data/profiles-differ` unless all count on the same bins."""
    result = first
    for other in others:
        if result.columns.keys() != other.columns.keys():
            differing = sorted(result.columns.keys() ^ other.columns.keys())
            raise ProfilesDiffer(column=", ".join(differing))
        columns = {name: _add(name, column, other.columns[name]) for name, column in result.columns.items()}
        result = Profile(result.rows + other.rows, columns)
    return result


def profile_rows(rows: Iterable[Mapping[str, object]], reference: Profile) -> Profile:
    """Return the profile of rows on the reference's bins; a column that a row lacks is null. For small windows."""
    table = list(rows)
    columns = {name: profile_values([row.get(name) for row in table], like) for name, like in reference.columns.items()}
    return Profile(len(table), columns)


def profile_values(values: Sequence[object], like: ColumnProfile) -> ColumnProfile:
    """Return the profile of one column's values on the bins of `like`."""
    if like.kind == "number":
        return _numbers(values, like)
    positions = {category: position for position, category in enumerate(like.categories)}
    counts, nulls, unseen = [0] * len(like.categories), 0, 0
    for value in values:
        position = positions.get(category_text(value)) if value is not None else None
        if value is None:
            nulls += 1
        elif position is None:
            unseen += 1
        else:
            counts[position] += 1
    return msgspec.structs.replace(_blank(like), counts=tuple(counts), nulls=nulls, unseen=unseen)


def category_text(value: object) -> str:
    """Return the text that stands for a category: booleans in lower case, as Polars casts them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _numbers(values: Sequence[object], like: ColumnProfile) -> ColumnProfile:
    counts, nulls, unseen = [0] * (len(like.edges) + 1), 0, 0
    known: list[float] = []
    for value in values:
        number = _number(value)
        if number is None:
            nulls += 1
            continue
        known.append(number)
        if like.lowest <= number <= like.highest:
            counts[bisect_right(like.edges, number)] += 1
        else:
            unseen += 1
    return msgspec.structs.replace(
        _blank(like),
        counts=tuple(counts),
        nulls=nulls,
        unseen=unseen,
        total=math.fsum(known),
        squares=math.fsum(number * number for number in known),
        least=min(known, default=None),
        most=max(known, default=None),
    )


def _number(value: object) -> float | None:
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
        return aware.timestamp() * 1e6
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days * 86_400e6
    if not isinstance(value, int | float):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _blank(like: ColumnProfile) -> ColumnProfile:
    blank = msgspec.structs.replace(like, counts=(0,) * len(like.counts), nulls=0, unseen=0, total=0.0, squares=0.0)
    return msgspec.structs.replace(blank, least=None, most=None)


def _add(name: str, a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    same = (a.kind, a.edges, a.categories, a.lowest, a.highest) == (b.kind, b.edges, b.categories, b.lowest, b.highest)
    if not same or len(a.counts) != len(b.counts):
        raise ProfilesDiffer(column=name)
    return msgspec.structs.replace(
        a,
        counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
        nulls=a.nulls + b.nulls,
        unseen=a.unseen + b.unseen,
        total=a.total + b.total,
        squares=a.squares + b.squares,
        least=min((x for x in (a.least, b.least) if x is not None), default=None),
        most=max((x for x in (a.most, b.most) if x is not None), default=None),
    )
