"""What training looked like: the profile of each input, and how unlike training as a whole its own days were."""

import bisect

import msgspec

from bucle.data import ColumnProfile

SIZES = tuple(2**power for power in range(5, 16))
"""Window sizes for which the reference holds how far days of training lie from training as a whole."""


class ColumnReference(msgspec.Struct, frozen=True):
    """An input in training. `null_share` is the highest of any day.

    `distances` holds, for each of `SIZES`, the sorted stability indices of training's days against training as a whole, as
    windows of that size would show them.
    """

    name: str
    profile: ColumnProfile
    null_share: float
    distances: tuple[tuple[float, ...], ...]


class Reference(msgspec.Struct, frozen=True):
    """The profile of a model version's training data; `days` windows of it were compared with the whole."""

    rows: int
    days: int
    window_us: int
    columns: tuple[ColumnReference, ...]


def comparable_distances(reference: ColumnReference, rows: int) -> tuple[float, ...] | None:
    """Return the distances of training's days as windows of about `rows` rows show them; None for a window that is too small.

    The next smaller size is taken: its noise is greater, so the comparison errs on the quiet side.
    """
    position = bisect.bisect_right(SIZES, rows) - 1
    return reference.distances[position] if position >= 0 else None
