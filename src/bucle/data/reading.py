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
    frames = [_without_empty_texts(path, frame, schemas) for path, frame in zip(paths, frames, strict=True)]
    _refuse_clashes(paths, [frame.collect_schema() for frame in frames])
    return pl.concat(frames, how="diagonal_relaxed")


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


def _without_empty_texts(path: str, frame: pl.LazyFrame, schemas: Sequence[pl.Schema]) -> pl.LazyFrame:
    """A CSV column without a single value is read as text; let it be null where other files say what it is."""
    if format_of(path) != "csv":
        return frame
    texts = [name for name, kind in frame.collect_schema().items() if kind == pl.String]
    doubtful = [name for name in texts if any(schema.get(name, pl.String) != pl.String for schema in schemas)]
    if not doubtful:
        return frame
    empty = frame.select(pl.col(doubtful).is_null().all()).collect().row(0, named=True)
    return frame.with_columns(pl.lit(None).alias(name) for name, is_empty in empty.items() if is_empty)


def _refuse_clashes(paths: Sequence[str], schemas: Sequence[pl.Schema]) -> None:
    """Raise for the first column whose types in different files do not belong together."""
    first: dict[str, tuple[pl.DataType, str]] = {}
    for path, schema in zip(paths, schemas, strict=True):
        for name, kind in schema.items():
            known, where = first.setdefault(name, (kind, path))
            if known == pl.Null:
                first[name] = (kind, path)
            elif not _belong(known, kind):
                reason = f"the column {name!r} is {kind} here and {known} in {where}"
                raise MalformedFile(file=path, format="part of one table", reason=reason, where=path)


def _belong(one: pl.DataType, two: pl.DataType) -> bool:
    if one == two or two == pl.Null or (one.is_numeric() and two.is_numeric()):
        return True
    texts = {pl.String, pl.Categorical, pl.Enum}
    if one.base_type() in texts and two.base_type() in texts:
        return True
    if isinstance(one, pl.Datetime) and isinstance(two, pl.Datetime):
        return one.time_zone == two.time_zone
    return False


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
