"""What the registry reads of a training frame: slices, the identity of its rows, and its columns as a model knows them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bucle.features import FrameColumn
from bucle.project import nearest
from bucle.registry.errors import BadEvaluation, UnknownSlice

if TYPE_CHECKING:
    from bucle.features import TrainingFrame

Floats = NDArray[np.float64]

MOST_VALUES = 20
"""A numeric column with more distinct values is sliced into quarters."""

MOST_SLICES = 50
"""Of a category with more values the most frequent are slices; the others are one slice together."""

OTHERS = "(others)"


def aligned(frame_columns: Sequence[FrameColumn], rows: Floats, inputs: Sequence[FrameColumn]) -> Floats:
    """Return the rows as a model with these inputs takes them: its columns, in its order, with its category codes.

    A category that the model does not know becomes a missing value. Raises `registry/bad-evaluation` for a missing column.
    """
    if tuple(frame_columns) == tuple(inputs):
        return rows
    place = {column.name: index for index, column in enumerate(frame_columns)}
    missing = [column.name for column in inputs if column.name not in place]
    if missing:
        raise BadEvaluation(reason=f"the rows lack {', '.join(missing)}")
    taken = [_recoded(rows[:, place[each.name]], frame_columns[place[each.name]], each) for each in inputs]
    return np.column_stack(taken) if taken else rows[:, :0]


def _recoded(values: Floats, column: FrameColumn, wanted: FrameColumn) -> Floats:
    if column.dtype != wanted.dtype and "category" in (column.dtype, wanted.dtype):
        raise BadEvaluation(reason=f"{column.name} is {column.dtype} in the rows and {wanted.dtype} for the model")
    if column.categories == wanted.categories:
        return values
    codes = {category: code for code, category in enumerate(wanted.categories)}
    table = np.array([codes.get(category, np.nan) for category in column.categories] + [np.nan], dtype=np.float64)
    held = np.where(np.isnan(values), len(column.categories), values).astype(np.int64)
    return np.asarray(table[held], dtype=np.float64)


def slices_of(frame: "TrainingFrame", name: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each value of a column, as text, with the rows that have it. Raises `registry/unknown-slice`."""
    columns = list(frame.columns)
    position = next((index for index, column in enumerate(columns) if column.name == name), None)
    if position is None:
        names = [column.name for column in columns]
        close = nearest(name, names)
        raise UnknownSlice(name=name, hint=f"Did you mean {close!r}?" if close else f"The columns are {', '.join(names)}.")
    values, column = np.asarray(frame.X[:, position], dtype=np.float64), columns[position]
    missing = np.isnan(values)
    if missing.any():
        yield "null", missing
    if column.dtype == "category":
        yield from _categories(values, column)
        return
    for text, low, high in _ranges(values[~missing], column):
        yield text, (values >= low) & (values <= high)


def _categories(values: Floats, column: FrameColumn) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    codes, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    frequent = set(codes[np.argsort(-counts, kind="stable")][:MOST_SLICES])
    for code in codes:
        if code in frequent:
            yield column.categories[int(code)], values == code
    if len(codes) > MOST_SLICES:
        yield OTHERS, ~np.isnan(values) & ~np.isin(values, list(frequent))


def _ranges(values: Floats, column: FrameColumn) -> Iterator[tuple[str, float, float]]:
    distinct = np.unique(values)
    if len(distinct) <= MOST_VALUES:
        for value in distinct:
            yield str(bool(value)) if column.dtype == "bool" else f"{value:g}", value, value
    else:
        edges = np.unique(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))
        for low, high in pairwise(edges):
            upper = high if high == edges[-1] else float(np.nextafter(high, low))
            yield f"{low:g} to {high:g}", low, upper


def rows_id(frame: "TrainingFrame") -> str:
    """Return the identity of a frame's rows: their keys, moments and labels, not their features."""
    from bucle.ledger import content_id

    parts = [_bytes(frame.y), _bytes(frame.times), _bytes(frame.keys)]
    return content_id(b"".join(len(part).to_bytes(8, "little") + part for part in parts))


def _bytes(values: Any) -> bytes:
    array = np.asarray(values)
    return repr(array.tolist()).encode() if array.dtype.kind in "OUS" else array.tobytes()
