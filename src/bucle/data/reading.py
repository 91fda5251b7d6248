"""Reading raw files as one lazy frame. Runs in children only."""

from collections.abc import Sequence

import polars as pl
from polars.exceptions import PolarsError

from bucle.data.errors import MalformedFile
from bucle.data.files import format_of


def scan_files(paths: Sequence[str], nulls: Sequence[str] = ()) -> pl.LazyFrame:
    """Return the rows of all files in order; columns that a file lacks are null there, narrow types widen to the others'.

    Raises `data/malformed-file`, `data/unknown-format`.
    """
    frames = [_scan(path, nulls) for path in paths]
    schemas = [frame.collect_schema() for frame in frames]
    if all(schema == schemas[0] for schema in schemas):
        return pl.concat(frames, how="vertical")
    try:
        together = pl.concat(frames, how="diagonal_relaxed")
        together.collect_schema()
    except PolarsError as error:
        raise MalformedFile(
            file=", ".join(paths[:3]), format="one table", reason=_clash(schemas) or _first_line(error)
        ) from error
    return together


def find_malformed(paths: Sequence[str], nulls: Sequence[str]) -> MalformedFile | None:
    """Return the error of the first file that cannot be read to its end: a sound head says nothing of the rest."""
    for path in paths:
        try:
            _scan(path, nulls).collect()
        except MalformedFile as error:
            return error
        except (PolarsError, OSError) as error:
            return MalformedFile(file=path, format=format_of(path), reason=_first_line(error), where=path)
    return None


def _scan(path: str, nulls: Sequence[str]) -> pl.LazyFrame:
    kind = format_of(path)
    try:
        if kind == "parquet":
            frame = pl.scan_parquet(path, glob=False)
        else:
            frame = pl.scan_csv(path, glob=False, infer_schema_length=None, null_values=list(nulls) or None)
        frame.collect_schema()
    except (PolarsError, OSError) as error:
        raise MalformedFile(file=path, format=kind, reason=_first_line(error), where=path) from error
    return frame


def _clash(schemas: Sequence[pl.Schema]) -> str:
    """Name the first column whose types cannot be one."""
    types: dict[str, pl.DataType] = {}
    for schema in schemas:
        for name, kind in schema.items():
            if types.setdefault(name, kind) != kind and not (types[name].is_numeric() and kind.is_numeric()):
                return f"the column {name!r} is {types[name]} in one file and {kind} in another"
    return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
