"""Locks: requirements with exact versions and hashes, and nothing else; how they are read and made."""

import hashlib
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bucle
from bucle.ledger import content_id
from bucle.project import LOCK_NAME
from bucle.runtimes.errors import BadLock, LockFailed, NoLock
from bucle.runtimes.interpreter import canonical_name
from bucle.runtimes.uv import run_uv
from bucle.runtimes.wheel import own_wheel

REQUIREMENTS_NAME = "requirements.in"
OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*==\s*(?P<version>[^\s;\\]+)\s*(;(?P<marker>.*))?")
_HASH = re.compile(r"--hash=(sha(?:256|384|512)):([0-9a-f]{64,128})")
_PYTHON = re.compile(r"#.*\bPython (\d+\.\d+)\b")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One pinned distribution; `marker` says on which machines, empty for all. `hashes` are "sha256:..."."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that has been read and checked; `digest` names the runtime that it installs, `python` is "3.11"."""

    path: Path
    digest: str
    python: str
    requirements: tuple[Requirement, ...]

    def requirement(self, name: str) -> Requirement | None:
        """Return the first requirement of a distribution, or None."""
        return next((each for each in self.requirements if each.name == canonical_name(name)), None)


def read_lock(path: Path) -> Lock:
    """Read a lock. Every line must be an exact version with hashes: no options, addresses, files or editable projects.

    Raises `runtimes/no-lock`, `runtimes/bad-lock` with file and line.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise NoLock(path=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadLock(reason="it cannot be read as text", where=str(path)) from error
    requirements = tuple(_requirement(path, line, joined) for line, joined in _joined_lines(text))
    python = _PYTHON.search(text.partition("==")[0])
    return Lock(path, content_id(text.encode()), python[1] if python else OWN_PYTHON, requirements)


def lock_requirements(root: Path, wheels: Path) -> Lock:
    """Make the requirements.lock of the project in `root` from its requirements.in, for the Python that runs now.

    Versions that are locked already stay where they can. `wheels` gets a wheel of this bucle, and the lock its hash.
    Raises `runtimes/no-lock`, `runtimes/lock-failed`.
    """
    source, target = root / REQUIREMENTS_NAME, root / LOCK_NAME
    if not source.is_file():
        raise NoLock(path=source)
    own = own_wheel(wheels)
    with tempfile.TemporaryDirectory(prefix="bucle-lock-") as folder:
        fresh = Path(folder, LOCK_NAME)
        fresh.write_text(_without_bucle(target.read_text("utf-8")) if target.is_file() else "", "utf-8")
        options = ("--universal", "--python-version", OWN_PYTHON, "--generate-hashes", "--no-header", "--no-annotate")
        arguments = ["pip", "compile", *options, "--find-links", str(own.parent), "-o", str(fresh), str(source)]
        done = run_uv(arguments, cwd=root)
        if done.unreachable:
            done = run_uv([*arguments, "--offline"], cwd=root)
        if not done.ok:
            raise LockFailed(reason=done.reason, path=source, where=str(source))
        header = f"# Locked for Python {OWN_PYTHON} with bucle {bucle.__version__}; `bucle lock` makes it again.\n"
        text = header + _with_own_hash(fresh.read_text("utf-8"), own)
    temporary = target.with_name(f".{LOCK_NAME}.new")
    temporary.write_text(text, "utf-8")
    temporary.replace(target)
    return read_lock(target)


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each logical line with the number of its first, without comments."""
    start, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        start = start or number
        joined += line.removesuffix("\\").strip() + " "
        if not line.endswith("\\"):
            if joined.strip():
                yield start, joined.strip()
            start, joined = 0, ""
    if joined.strip():
        yield start, joined.strip()


def _requirement(path: Path, line: int, text: str) -> Requirement:
    where = f"{path}:{line}"
    pinned, *options = re.split(r"\s+(?=--)", text)
    match = _PIN.fullmatch(pinned.strip())
    if match is None:
        raise BadLock(reason=f"{pinned[:100]!r} is not a package with an exact version", where=where)
    hashes = [_HASH.fullmatch(option.strip()) for option in options]
    if not hashes:
        raise BadLock(reason=f"{match['name']} has no hash", where=where)
    if not all(hashes):
        raise BadLock(reason=f"{match['name']} has something else than hashes behind its version", where=where)
    found = tuple(f"{each[1]}:{each[2]}" for each in hashes if each)
    return Requirement(canonical_name(match["name"]), match["version"], (match["marker"] or "").strip(), found, line)


def _with_own_hash(text: str, own: Path) -> str:
    """Only the wheel that was built here may be installed as bucle, whatever an index has under this name and version."""
    pin = f"bucle=={bucle.__version__} \\\n    --hash=sha256:{hashlib.sha256(own.read_bytes()).hexdigest()}"
    return re.sub(rf"^bucle=={re.escape(bucle.__version__)}.*(\n .*)*", lambda _: pin, text, flags=re.MULTILINE)


def _without_bucle(text: str) -> str:
    """A build of bucle may change without its version: its old hash must not be kept."""
    return re.sub(r"^bucle==.*(\n .*)*\n?", "", text, flags=re.MULTILINE)
