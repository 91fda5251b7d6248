"""Bytecode of installed packages, compiled once for all runtimes of this user and then hard-linked.

Compiling what a model needs takes seconds; a lock that differs in one package should cost one package.
"""

import csv
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

_LONGEST_SECONDS = 600
_NOT_COMPILED = ("tests", "test", "testing", "_tests")


@dataclass(frozen=True, slots=True)
class _Distribution:
    key: str
    sources: tuple[str, ...]


def compile_bytecode(python: Path, site_packages: Path, tag: str) -> None:
    """Put bytecode beside every module of `site_packages`, from the cache where it has it. `tag` is "cpython-311".

    The packages' own tests are left out. What does not compile (another Python's syntax) has no bytecode, as usual.
    """
    cache = cache_folder() / tag
    missing: list[_Distribution] = []
    for distribution in _distributions(site_packages):
        kept = cache / distribution.key
        if kept.is_dir():
            _link_tree(kept, site_packages)
        elif distribution.sources:
            missing.append(distribution)
    if missing:
        whole = _compile(python, site_packages, [source for each in missing for source in each.sources])
        for distribution in missing if whole else ():
            _keep(distribution, site_packages, cache, tag)


def cache_folder() -> Path:
    """Return the user's folder for bytecode; it may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "bucle" / "bytecode"


def _distributions(site_packages: Path) -> Iterator[_Distribution]:
    """Yield each distribution; its RECORD holds the hash of each file, so that its own hash names the sources."""
    for record in sorted(site_packages.glob("*.dist-info/RECORD")):
        with record.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row and row[0].endswith(".py")]
        names = [row[0] for row in rows if not row[0].startswith("..") and not set(Path(row[0]).parts) & set(_NOT_COMPILED)]
        key = blake3("\n".join(",".join(row[:2]) for row in sorted(rows)).encode()).hexdigest(length=16)
        yield _Distribution(key, tuple(names))


def _compile(python: Path, site_packages: Path, sources: list[str]) -> bool:
    """Compile and return whether it came to its end; what has no bytecode is compiled whenever it is imported.

    The files of a runtime never change, so its bytecode need not look at them: `unchecked-hash`.
    """
    command = [str(python), "-I", "-m", "compileall", "-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-i", "-"]
    listed = "\n".join(str(site_packages / source) for source in sources) + "\n"
    nowhere = subprocess.DEVNULL
    try:
        subprocess.run(command, input=listed, text=True, stdout=nowhere, stderr=nowhere, check=False, timeout=_LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _keep(distribution: _Distribution, site_packages: Path, cache: Path, tag: str) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    for source in distribution.sources:
        compiled = Path(source).parent / "__pycache__" / f"{Path(source).stem}.{tag}.pyc"
        if (site_packages / compiled).is_file():
            (temporary / compiled).parent.mkdir(parents=True, exist_ok=True)
            _link(site_packages / compiled, temporary / compiled)
    try:
        temporary.rename(cache / distribution.key)
    except OSError:  # another process kept it meanwhile
        shutil.rmtree(temporary, ignore_errors=True)


def _link_tree(source: Path, target: Path) -> None:
    for folder, _, files in os.walk(source):
        into = target / Path(folder).relative_to(source)
        if files:
            into.mkdir(parents=True, exist_ok=True)
        for file in files:
            _link(Path(folder, file), into / file)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
