"""The child's part of an ingestion: read raw files, apply the cleaning rules, make moments instants. Children only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from bucle.data.errors import CleaningFailed, MissingColumn
from bucle.data.files import format_of
from bucle.data.instants import normalise_datetimes, to_instants
from bucle.data.reading import find_malformed, scan_files
from bucle.data.sources import Source, SourceSpec
from bucle.errors import BucleError
from bucle.project import describe_exception, user_line


def clean(source: Source, spec: SourceSpec, paths: list[str], root: Path) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the cleaned rows of raw files, sorted by timestamp, and how many moments were cut to microseconds, by column.

    Rows of one timestamp keep the order of the files. Raises `data/malformed-file`, `data/cleaning-failed`,
    `data/missing-column`, `data/bad-timestamp`.
    """
    raw = scan_files(paths, spec.nulls)
    try:
        cleaned = apply_rules(source, spec, raw, root)
    except CleaningFailed as failure:
        broken = find_malformed(paths, spec.nulls) if isinstance(failure.__cause__, pl.exceptions.PolarsError) else None
        raise broken or failure from failure.__cause__
    settled, rounded = settle_moments(cleaned, spec)
    return settled.sort(spec.timestamp, nulls_last=True, maintain_order=True), rounded


def apply_rules(source: Source, spec: SourceSpec, raw: pl.LazyFrame, root: Path) -> pl.DataFrame:
    """Return what the cleaning function makes of raw rows. Raises `data/cleaning-failed` at the user's line."""
    with _blaming(spec, root):
        given: Any = raw.collect().to_pandas() if _wants_pandas(source) else raw
        return as_frame(source.__wrapped__(given), spec)


def as_frame(result: object, spec: SourceSpec) -> pl.DataFrame:
    """Return the rows that a cleaning function returned: lazy or not, Polars or pandas. Raises `data/cleaning-failed`."""
    if isinstance(result, pl.LazyFrame):
        return result.collect()
    if isinstance(result, pl.DataFrame):
        return result
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(result, pandas.DataFrame):
        return pl.from_pandas(result)
    reason = f"it returned {type(result).__name__}, not a frame"
    raise CleaningFailed(name=spec.name, reason=reason, where=spec.where)


def settle_moments(frame: pl.DataFrame, spec: SourceSpec) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the frame with every moment as a UTC instant. Raises `data/missing-column`, `data/bad-timestamp`."""
    check_columns(frame.columns, spec)
    rounded: dict[str, int] = {}
    declared = [spec.timestamp, *spec.known_at.values(), *([spec.created] if spec.created else [])]
    for name in dict.fromkeys(declared):
        instants, cut = to_instants(frame[name], spec.name, spec.where)
        frame = frame.with_columns(instants)
        rounded |= {name: cut} if cut else {}
    return normalise_datetimes(frame), rounded


def check_columns(columns: list[str], spec: SourceSpec) -> None:
    """Raise `data/missing-column` for the first column that the declaration names and the rows lack."""
    wanted = [(spec.timestamp, "timestamp"), *((name, "key") for name in spec.key)]
    wanted += [(name, "late column in known_at") for name in spec.known_at]
    wanted += [(moment, "moment in known_at") for moment in spec.known_at.values()]
    wanted += [(spec.created, "created time")] if spec.created else []
    wanted += [(name, "accepted column") for name in spec.accepted]
    for name, role in wanted:
        if name not in columns:
            shown = ", ".join(columns)
            raise MissingColumn(name=spec.name, column=name, role=role, columns=shown, where=spec.where)


def formats_of(paths: list[str]) -> str:
    """Return the formats of the files, "parquet" or "csv" or both."""
    return ", ".join(sorted({format_of(path) for path in paths}))


def _wants_pandas(source: Source) -> bool:
    """Whether the parameter of the cleaning function is annotated as a pandas DataFrame."""
    annotations = dict(getattr(source.__wrapped__, "__annotations__", {}))
    annotations.pop("return", None)
    wanted = next(iter(annotations.values()), None)
    text = wanted if isinstance(wanted, str) else f"{getattr(wanted, '__module__', '')}.{getattr(wanted, '__qualname__', '')}"
    return text.startswith(("pandas.", "pd."))


@contextmanager
def _blaming(spec: SourceSpec, root: Path) -> Iterator[None]:
    """Turn what the user's function raises into one coded error at the user's line, the function's for a lazy expression."""
    try:
        yield
    except BucleError:
        raise
    except Exception as error:
        where = user_line(root, error) or spec.where
        raise CleaningFailed(name=spec.name, reason=describe_exception(error), where=where) from error
