"""What a step's code reaches besides its arguments: user code, versions of packages, files that it names, variables."""

import functools
import importlib.metadata
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType

from blake3 import blake3

from bucle.ledger import content_id
from bucle.project import Closure, code_closure

_LONGEST = 1024
_SETTLED_NS = 2_000_000_000
"""A file that changed just now may change again within the grain of its time stamp: it is read each time."""
_known: dict[tuple[str, int, int, int], str] = {}


@dataclass(frozen=True, slots=True)
class Reached:
    """Digests of user code by label, versions of packages by distribution or module, paths of files named in the code."""

    code: Mapping[str, str]
    packages: Mapping[str, str]
    files: tuple[str, ...]


@functools.lru_cache(maxsize=1024)
def reached_by(function: object) -> Reached:
    """Return what a function reaches."""
    closure = code_closure(function)
    packages = {name: package_version(name) for name in sorted(closure.packages)}
    return Reached(dict(closure.parts), packages, tuple(sorted(_named_files(closure))))


@functools.cache
def package_version(module: str) -> str:
    """Return the version of the distribution that provides a top-level module, "?" if nothing says it."""
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        said = getattr(sys.modules.get(module), "__version__", None)
    if isinstance(said, str):
        return said
    names = _distributions().get(module, [])
    return ",".join(sorted(importlib.metadata.version(name) for name in set(names))) or "?"


def names_file(value: str | Path) -> str | None:
    """Return the path if a value names something that can be read: a file, and for a `Path` also a folder."""
    text = str(value)
    if not text or len(text) > _LONGEST or "\0" in text or "\n" in text:
        return None
    try:
        found = os.path.isfile(text) or (isinstance(value, Path) and os.path.isdir(text))  # noqa: PTH112, PTH113
    except (OSError, ValueError):
        return None
    return text if found else None


def file_digest(path: str) -> str:
    """Return the digest of what stands behind a path now: a file's content, or names and contents of a folder."""
    found = Path(path)
    if found.is_dir():
        inside = sorted(each for each in found.rglob("*") if each.is_file())
        return content_id("\n".join(f"{each.relative_to(found)}\t{file_digest(str(each))}" for each in inside).encode())
    try:
        stat = found.stat()
    except OSError:
        return "missing"
    key = (str(found.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if key in _known:
        return _known[key]
    digest = "blake3:" + blake3(max_threads=1).update_mmap(found).hexdigest()
    if time.time_ns() - stat.st_mtime_ns > _SETTLED_NS:
        _known[key] = digest
    return digest


def _named_files(closure: Closure) -> Iterable[str]:
    for label in closure.parts:
        for text in _texts(_resolve(label)):
            path = names_file(text)
            if path and not path.endswith((".py", ".pyc")):
                yield path


def _resolve(label: str) -> object:
    module, _, name = label.partition(":") if ":" in label else label.rpartition(".")
    value: object = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return getattr(value, "__wrapped__", value)


def _texts(value: object) -> Iterable[str | Path]:
    if isinstance(value, str | Path):
        yield value
    elif isinstance(value, FunctionType):
        yield from _constants(value.__code__)
    elif isinstance(value, list | tuple):
        yield from (item for item in value if isinstance(item, str | Path))
    elif isinstance(value, dict):
        yield from (item for item in value.values() if isinstance(item, str | Path))


def _constants(code: CodeType) -> Iterable[str]:
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, CodeType):
            yield from _constants(constant)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
