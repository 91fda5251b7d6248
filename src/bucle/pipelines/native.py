"""Libraries that open files natively, where no audit event tells: their functions are watched, or named as unseen (S-06).

While a step runs, reading functions of Polars, Arrow and DuckDB tell what they are given, also those that the project's modules
hold by `from polars import read_csv`, and those of a library that the step imports. What DuckDB reads by a statement that names
no file, and what libraries of `BLIND` read, cannot be told: that is noted as unseen.
"""

import builtins
import functools
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from glob import iglob
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

BLIND = (
    "adbc_driver_manager", "chdb", "cv2", "datafusion", "deltalake", "fiona", "h5py", "lance", "MySQLdb", "netCDF4", "psycopg",
    "psycopg2", "pyodbc", "pyogrio", "pyreadstat", "pysam", "pyspark", "rasterio", "tensorflow", "turbodbc",
)  # fmt: skip
"""Libraries that are there to read files or databases and do so natively."""

REMOTE = ("http://", "https://", "s3://", "gs://", "gcs://", "az://", "abfs://", "hf://")

_LIBRARIES = ("polars", "pyarrow", "duckdb")
_FILES: Mapping[str, re.Pattern[str]] = {
    "polars": re.compile("(read|scan)_"),
    "pyarrow": re.compile("memory_map$"),
    "pyarrow.csv": re.compile("(read|open)_csv$"),
    "pyarrow.dataset": re.compile("(parquet_)?dataset$"),
    "pyarrow.feather": re.compile("read_"),
    "pyarrow.json": re.compile("(read|open)_json$"),
    "pyarrow.orc": re.compile("read_table$"),
    "pyarrow.parquet": re.compile("read_"),
    "duckdb": re.compile("(read|from)_(csv|json|parquet)|connect$"),
}
_METHODS = {"pyarrow.parquet": ("ParquetFile", "ParquetDataset"), "duckdb": ("DuckDBPyConnection",)}
_STATEMENTS = re.compile("(sql|query|execute|executemany|from_query)$")
_ARGUMENTS = ("source", "where", "path", "paths", "path_or_paths", "input_file", "database", "file_glob", "path_or_buffer")
_QUOTED = re.compile(r"'((?:[^']|'')*)'|\"((?:[^\"]|\"\")*)\"")
_READS = re.compile(
    r"\b(read_\w+|\w+_scan|glob)\s*\(|\battach\b|\bfrom\s+'|\bcopy\b.+\bfrom\b|\bimport\s+database\b", re.IGNORECASE
)
_OWN = str(Path(__file__).parent.parent) + os.sep

Hook = tuple[Any, str, Any, Any]
"""Where a function stands, its name, itself, and what stands there meanwhile."""


class Listener(Protocol):
    """What is told of readings."""

    def given(self, source: object) -> None:
        """A function was given a path, a pattern, an address, or several of them."""

    def unseen(self, name: str) -> None:
        """Something reads in a way that cannot be seen."""


@contextmanager
def watching(listener: Callable[[], Listener | None], root: str) -> Iterator[None]:
    """Let reading functions tell the present listener within, in the libraries and in the modules of the project at `root`."""
    put: list[Hook] = []
    known: set[str] = set()
    imported = builtins.__import__

    def watch() -> None:
        loaded = [name for name in _FILES if name not in known and _is_loaded(name)]
        known.update(loaded)
        for hook in [hook for name in loaded for hook in _hooks(name, sys.modules[name], listener)]:
            setattr(hook[0], hook[1], hook[3])
            put.append(hook)

    def importing(name: str, *args: Any, **kwargs: Any) -> Any:
        module = imported(name, *args, **kwargs)
        if name.partition(".")[0] in _LIBRARIES:
            watch()
        return module

    watch()
    put += _held(root, {id(hook[2]): hook[3] for hook in put if isinstance(hook[0], ModuleType)})
    builtins.__import__ = importing
    try:
        yield
    finally:
        builtins.__import__ = imported
        for owner, name, before, _ in reversed(put):
            setattr(owner, name, before)


def _is_loaded(name: str) -> bool:
    """Return whether a module is there, and whole: its import imports others."""
    module = sys.modules.get(name)
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def _hooks(name: str, module: ModuleType, listener: Callable[[], Listener | None]) -> Iterator[Hook]:
    """Yield what is to be replaced in a library's module."""
    owners = [(module, 0), *((getattr(module, each), 1) for each in _METHODS.get(name, ()) if hasattr(module, each))]
    for owner, first in owners:
        for each, value in list(vars(owner).items()):
            if name == "duckdb" and _STATEMENTS.match(each) and callable(value):
                yield owner, each, value, _stating(value, first, listener)
            elif (
                callable(value) and not isinstance(value, type) and (_FILES[name].match(each) or (first and each == "__init__"))
            ):
                yield owner, each, value, _giving(value, first, listener)


def _held(root: str, wrapped: Mapping[int, Any]) -> list[Hook]:
    """Replace the functions that modules of the project hold under names of their own; return how to put them back."""
    hooks: list[Hook] = []
    for module in list(sys.modules.values()):
        file = vars(module).get("__file__") if isinstance(module, ModuleType) else None
        if isinstance(file, str) and file.startswith(root + os.sep):
            found = [(name, value) for name, value in vars(module).items() if id(value) in wrapped]
            hooks += [(module, name, value, wrapped[id(value)]) for name, value in found]
    for owner, name, _, meanwhile in hooks:
        setattr(owner, name, meanwhile)
    return hooks


def _giving(function: Callable[..., Any], first: int, listener: Callable[[], Listener | None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def tell(*args: Any, **kwargs: Any) -> Any:
        told = listener()
        if told is not None:
            named = next((kwargs[name] for name in _ARGUMENTS if name in kwargs), None)
            told.given(args[first] if len(args) > first else named)
        return function(*args, **kwargs)

    return tell


def _stating(function: Callable[..., Any], first: int, listener: Callable[[], Listener | None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def tell(*args: Any, **kwargs: Any) -> Any:
        told = listener()
        if told is not None and not sys._getframe(1).f_code.co_filename.startswith(_OWN):
            statement = args[first] if len(args) > first else kwargs.get("query")
            parameters = args[first + 1] if len(args) > first + 1 else kwargs.get("parameters")
            _tell_statement(told, str(getattr(statement, "query", statement)), parameters)
        return function(*args, **kwargs)

    return tell


def _tell_statement(told: Listener, statement: str, parameters: object) -> None:
    """Tell of the files and addresses that a statement or its parameters name; one that reads and names none is unseen."""
    given = list(parameters.values()) if isinstance(parameters, dict) else parameters
    values = given if isinstance(given, list | tuple) else ()
    texts = [single or double for single, double in _QUOTED.findall(statement)]
    texts += [each for value in values for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    named = [each for each in texts if each.startswith(REMOTE) or _there(each)]
    for each in named:
        told.given(each)
    if not named and _READS.search(statement):
        told.unseen("DuckDB")


def _there(text: str) -> bool:
    """Return whether a text is the path of a file, or a pattern with at least one; a bare `*` is none."""
    try:
        if not any(sign in text for sign in "*?["):
            return os.path.isfile(text)  # noqa: PTH113 - most texts are no paths
        return ("." in text or os.sep in text) and next(iglob(text, recursive=True), None) is not None  # noqa: PTH207
    except (OSError, ValueError):
        return False
