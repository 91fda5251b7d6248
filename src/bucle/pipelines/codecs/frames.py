"""Data frames as Parquet: Polars, pandas and Arrow, each read back as what it was."""

import io
from pathlib import Path
from typing import Any

from bucle.artifacts import ArtifactStore
from bucle.pipelines.codecs.protocol import Codec, ValueRef


def _is(value: object, library: str, *names: str) -> bool:
    return any(kind.__module__.partition(".")[0] == library and kind.__name__ in names for kind in type(value).__mro__)


class PolarsFrame:
    """`polars.DataFrame`."""

    name = "polars"

    def takes(self, value: object) -> bool:
        return _is(value, "polars", "DataFrame")

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        buffer = io.BytesIO()
        value.write_parquet(buffer, compression="zstd")
        return ValueRef(self.name, store.put_bytes(buffer.getvalue()), size=buffer.tell())

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        import polars as pl

        return pl.read_parquet(store.path(ref.artifact))


class PolarsLazy(PolarsFrame):
    """`polars.LazyFrame`: computed when it leaves the step, scanned when it enters the next."""

    name = "polars-lazy"

    def takes(self, value: object) -> bool:
        return _is(value, "polars", "LazyFrame")

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        return super().encode(value.collect(), store)

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        import polars as pl

        return pl.scan_parquet(store.path(ref.artifact))


class PolarsSeries(PolarsFrame):
    """`polars.Series`."""

    name = "polars-series"

    def takes(self, value: object) -> bool:
        return _is(value, "polars", "Series")

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        return super().encode(value.to_frame(), store)

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        import polars as pl

        return pl.read_parquet(store.path(ref.artifact)).to_series()


class ArrowTable:
    """`pyarrow.Table`."""

    name = "arrow"

    def takes(self, value: object) -> bool:
        return _is(value, "pyarrow", "Table")

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        pq.write_table(value, buffer, compression="zstd")
        return ValueRef(self.name, store.put_bytes(buffer.getvalue()), size=buffer.tell())

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        import pyarrow.parquet as pq

        return pq.read_table(store.path(ref.artifact))


class PandasFrame(ArrowTable):
    """`pandas.DataFrame`, its index included."""

    name = "pandas"

    def takes(self, value: object) -> bool:
        return _is(value, "pandas", "DataFrame")

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        import pyarrow as pa

        return super().encode(pa.Table.from_pandas(value), store)

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        import pyarrow.parquet as pq

        return pq.read_table(store.path(ref.artifact)).to_pandas()


class PandasSeries(PandasFrame):
    """`pandas.Series`, its index and name included."""

    name = "pandas-series"

    def takes(self, value: object) -> bool:
        return _is(value, "pandas", "Series")

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        named = value.name is not None
        return super().encode(value.to_frame(value.name if named else "__unnamed__"), store)

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        frame: Any = super().decode(ref, store, scratch)
        series = frame.iloc[:, 0]
        return series.rename(None) if series.name == "__unnamed__" else series


class NumpyArray:
    """`numpy.ndarray` of numbers, texts or times: npy format 1.0 without pickle."""

    name = "numpy"

    def takes(self, value: object) -> bool:
        return _is(value, "numpy", "ndarray") and not value.dtype.hasobject  # type: ignore[attr-defined]

    def encode(self, value: Any, store: ArtifactStore) -> ValueRef:
        import numpy as np

        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return ValueRef(self.name, store.put_bytes(buffer.getvalue()), size=buffer.tell())

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        import numpy as np

        return np.load(io.BytesIO(store.get_bytes(ref.artifact)), allow_pickle=False)


FRAMES: tuple[Codec, ...] = (
    PolarsFrame(), PolarsLazy(), PolarsSeries(), PandasFrame(), PandasSeries(), ArrowTable(), NumpyArray(),
)  # fmt: skip
