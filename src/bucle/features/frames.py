"""Training frames: rows in order of time with keys, inputs and label; what a step trains on and a gate judges by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import polars as pl

from bucle.features.columns import ColumnType, FrameColumn
from bucle.features.errors import BadColumnType, BadFrameFile
from bucle.ledger import content_id

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

KEY, TIME = "__key", "__time"
FRAME_TIME = TIME
"""The column of a frame or a spine that holds each row's moment."""

_TABLE, _FACTS = "frame.parquet", "frame.json"
_FORMAT = 1


class FrameFacts(msgspec.Struct, frozen=True):
    """Where a frame comes from: training set and digest of its rules, as-of, versions of its sources, bounds.

    Microseconds since 1970 UTC; `end_us` is exclusive. Left out were: `immature` rows, whose label is not final
    yet, and `unlabelled` ones, which got none (a cancelled flight).
    """

    training_set: str = ""
    definition: str = ""
    as_of_us: int = 0
    versions: dict[str, str] = {}
    views: dict[str, str] = {}
    start_us: int | None = None
    end_us: int | None = None
    immature: int = 0
    unlabelled: int = 0


NO_FACTS = FrameFacts()


class _Header(msgspec.Struct, frozen=True):
    format: int
    label: str
    key: str
    time: str
    seed: int
    columns: tuple[FrameColumn, ...]
    facts: FrameFacts


@dataclass(frozen=True, eq=False)
class TrainingFrame:
    """Rows of a training set. `X` are floats (categories as their place, nulls as NaN), `y` the label, both NumPy arrays.

    `table` holds keys, times, columns and label in order of time; `seed` is for whatever draws at random.
    """

    table: pl.DataFrame
    columns: tuple[FrameColumn, ...]
    label: str
    key: str
    time: str
    seed: int = 0
    facts: FrameFacts = NO_FACTS

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def X(self) -> "NDArray[np.float64]":  # noqa: N802 (the name that scikit-learn's users expect)
        """The inputs, one row each, float64."""
        numbers = [_numbers(self.table[column.name], column) for column in self.columns]
        return np.column_stack(numbers) if numbers else np.empty((len(self), 0))

    @cached_property
    def y(self) -> "NDArray[Any]":
        """The label: 0 and 1 for a boolean one, numbers or texts as they are."""
        label = self.table[self.label]
        return label.cast(pl.Int64).to_numpy() if label.dtype == pl.Boolean else label.to_numpy()

    @property
    def keys(self) -> pl.Series:
        """What tells one row from another: the key of the spine's source, or the number of the row."""
        return self.table[KEY]

    @property
    def times(self) -> pl.Series:
        """The moment of each row, UTC."""
        return self.table[TIME]

    @property
    def id(self) -> str:
        """The content id of the rows, the same for equal frames."""
        return content_id(_parquet(self.table))

    def filter(self, mask: "NDArray[np.bool_] | Sequence[bool]") -> "TrainingFrame":
        """Return the frame of the rows where `mask` is true. Raises ValueError for a mask of another length.

        What a model learns from such rows says nothing of the others: filter what it is judged by only if no request can be
        like them.
        """
        kept = pl.Series(np.asarray(mask, dtype=bool))
        if len(kept) != len(self):
            raise ValueError(f"The mask has {len(kept)} entries, the frame {len(self)} rows.")
        return replace(self, table=self.table.filter(kept))

    def to_polars(self) -> pl.DataFrame:
        """Return key, time, inputs and label as a Polars frame, categories as texts."""
        names = {KEY: self.key, TIME: self.time}
        taken = {column.name for column in self.columns} | {self.label}
        return self.table.drop([each for each, name in names.items() if name in taken]).rename(
            {each: name for each, name in names.items() if name not in taken}
        )

    def to_pandas(self) -> "pd.DataFrame":
        """Return the same as a pandas frame."""
        return self.to_polars().to_pandas()

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Return the rows as Parquet and everything else as JSON; equal frames give equal bytes."""
        header = _Header(_FORMAT, self.label, self.key, self.time, self.seed, self.columns, self.facts)
        return _parquet(self.table), msgspec.json.encode(header, order="sorted")

    @classmethod
    def from_bytes(cls, table: bytes, header: bytes, path: object = "memory") -> "TrainingFrame":
        """Read what `to_bytes` returned. Raises `features/bad-frame-file`."""
        from io import BytesIO

        try:
            facts = msgspec.json.decode(header, type=_Header)
            rows = pl.read_parquet(BytesIO(table))
        except (OSError, msgspec.MsgspecError, pl.exceptions.PolarsError) as error:
            raise BadFrameFile(path=path, reason=str(error).split("\n")[0]) from error
        if facts.format > _FORMAT:
            raise BadFrameFile(path=path, reason=f"its format {facts.format} is newer than {_FORMAT}")
        return cls(rows, facts.columns, facts.label, facts.key, facts.time, facts.seed, facts.facts)

    def pack(self) -> bytes:
        """Return the frame as one block of bytes, to be sent or kept."""
        table, header = self.to_bytes()
        return len(header).to_bytes(8, "big") + header + table

    @classmethod
    def unpack(cls, content: bytes) -> "TrainingFrame":
        """Read what `pack` returned. Raises `features/bad-frame-file`."""
        end = 8 + int.from_bytes(content[:8], "big")
        return cls.from_bytes(content[end:], content[8:end])

    def save(self, folder: Path) -> None:
        """Write the frame as Parquet and JSON; equal frames give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip((_TABLE, _FACTS), self.to_bytes(), strict=True):
            (folder / name).write_bytes(content)

    @classmethod
    def load(cls, folder: Path) -> "TrainingFrame":
        """Read what `save` wrote. Raises `features/bad-frame-file`."""
        try:
            table, header = ((folder / name).read_bytes() for name in (_TABLE, _FACTS))
        except OSError as error:
            raise BadFrameFile(path=folder, reason=error.strerror or "no such file") from error
        return cls.from_bytes(table, header, folder)

    def __repr__(self) -> str:
        return f"TrainingFrame({len(self)} rows, {len(self.columns)} columns, label {self.label!r})"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{self.to_polars().head(10)._repr_html_()}"


def frame_columns(
    table: pl.DataFrame, origins: Mapping[str, str | None], fixed: Sequence[FrameColumn] | None = None, where: str | None = None
) -> tuple[FrameColumn, ...]:
    """Return the inputs of `table` named in `origins` (name to view); categories are those of `fixed`, else of the table.

    Raises `features/bad-column-type`.
    """
    known = {column.name: column for column in fixed or ()}
    return tuple(known.get(name) or _column(table[name], view, where) for name, view in origins.items())


def _column(values: pl.Series, view: str | None, where: str | None) -> FrameColumn:
    dtype = _type(values.dtype)
    if dtype is None:
        raise BadColumnType(column=values.name, dtype=values.dtype, where=where)
    nullable = values.null_count() > 0
    if dtype != "category":
        return FrameColumn(values.name, dtype, view, (), nullable)
    return FrameColumn(values.name, dtype, view, tuple(values.cast(pl.String).drop_nulls().unique().sort()), nullable)


def _type(dtype: pl.DataType) -> ColumnType | None:
    if dtype.is_integer():
        return "int"
    if dtype.is_numeric() or dtype == pl.Null:
        return "float"
    if dtype == pl.Boolean:
        return "bool"
    return "category" if dtype in (pl.String, pl.Categorical, pl.Enum) else None


def _numbers(values: pl.Series, column: FrameColumn) -> "NDArray[np.float64]":
    if column.dtype == "category":
        places = pl.Series(range(len(column.categories)), dtype=pl.Float64)
        texts = pl.Series(column.categories, dtype=pl.String)
        values = values.cast(pl.String).replace_strict(texts, places, default=None, return_dtype=pl.Float64)
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _parquet(table: pl.DataFrame) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    table.rechunk().write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()
