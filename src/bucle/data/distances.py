"""How far two profiles of a column lie apart. Pure Python, on the counts alone."""

import math
from collections.abc import Sequence

from bucle.data.errors import ProfilesDiffer
from bucle.data.profiles import ColumnProfile, Profile

COARSE = 16
"""Bins that a comparison merges the 256 into: fewer bins need fewer rows to tell a change from chance."""


def psi(reference: ColumnProfile, current: ColumnProfile, bins: int = COARSE) -> float:
    """Return the population stability index: the sum of (p - q) ln(p / q) over merged bins, nulls and unseen.

    Corrected for chance: two samples of n and m rows from one distribution differ by about (bins - 1)(1/n + 1/m), which is
    subtracted. Below 0.1 is usually called stable, above 0.25 changed (Siddiqi 2006). 0 when either has no rows.
    """
    p, q = _merged(reference, current, bins)
    n, m = sum(p), sum(q)
    if not n or not m:
        return 0.0
    used = sum(1 for a, b in zip(p, q, strict=True) if a or b)
    total = 0.0
    for a, b in zip(p, q, strict=True):
        share, other = (a + 0.5) / (n + 0.5 * len(p)), (b + 0.5) / (m + 0.5 * len(q))
        total += (share - other) * math.log(share / other)
    return max(total - (used - 1) * (1 / n + 1 / m), 0.0)


def jensen_shannon(reference: ColumnProfile, current: ColumnProfile, bins: int = COARSE) -> float:
    """Return the Jensen-Shannon distance with logarithms of base 2: 0 for equal shares, 1 for nothing in common."""
    p, q = _merged(reference, current, bins)
    n, m = sum(p), sum(q)
    if not n or not m:
        return 0.0
    total = 0.0
    for a, b in zip(p, q, strict=True):
        share, other = a / n, b / m
        middle = (share + other) / 2
        total += sum(x * math.log2(x / middle) / 2 for x in (share, other) if x)
    return math.sqrt(max(total, 0.0))


def kolmogorov(reference: ColumnProfile, current: ColumnProfile) -> float:
    """Return the largest difference of the two cumulative shares over all bins; for texts, half the sum of differences."""
    p, q = _merged(reference, current, len(reference.counts) or 1)
    n, m = sum(p), sum(q)
    if not n or not m:
        return 0.0
    differences = [a / n - b / m for a, b in zip(p, q, strict=True)]
    if reference.kind != "number":
        return sum(abs(each) for each in differences) / 2
    running, largest = 0.0, 0.0
    for each in differences:
        running += each
        largest = max(largest, abs(running))
    return largest


def profile_distances(reference: Profile, current: Profile, bins: int = COARSE) -> dict[str, float]:
    """Return the population stability index of each column that both have on the same bins."""
    shared = [name for name in reference.columns if name in current.columns]
    return {name: psi(reference.columns[name], current.columns[name], bins) for name in shared}


def _merged(reference: ColumnProfile, current: ColumnProfile, bins: int) -> tuple[list[int], list[int]]:
    if reference.edges != current.edges or reference.categories != current.categories:
        raise ProfilesDiffer(column="these")
    groups = _groups(reference.counts, bins) if reference.kind == "number" else _largest(reference.counts, bins)
    tails = [(reference.nulls, current.nulls), (reference.unseen, current.unseen)]
    pairs = [(sum(reference.counts[i] for i in group), sum(current.counts[i] for i in group)) for group in groups] + tails
    return [a for a, _ in pairs], [b for _, b in pairs]


def _groups(counts: Sequence[int], bins: int) -> list[list[int]]:
    """Neighbouring bins that hold about the same share of the reference each."""
    total, running, groups = sum(counts), 0, [[]]  # type: int, int, list[list[int]]
    for position, count in enumerate(counts):
        if groups[-1] and running >= total * len(groups) / bins and len(groups) < bins:
            groups.append([])
        groups[-1].append(position)
        running += count
    return groups


def _largest(counts: Sequence[int], bins: int) -> list[list[int]]:
    """The most frequent categories each by itself, the rest together."""
    order = sorted(range(len(counts)), key=lambda position: -counts[position])
    rest = order[bins - 1 :]
    return [[position] for position in order[: bins - 1]] + ([rest] if rest else [])
