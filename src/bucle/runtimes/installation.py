"""Installing a lock into the home: by its digest, all or nothing, with bytecode."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bucle.ledger import Home, Reader, aside
from bucle.runtimes import store
from bucle.runtimes.bytecode import compile_bytecode
from bucle.runtimes.errors import InstallFailed, NoPython
from bucle.runtimes.events import RuntimeInstalled
from bucle.runtimes.interpreter import Runtime, installed_packages
from bucle.runtimes.locks import OWN_PYTHON, Lock, read_lock
from bucle.runtimes.uv import run_uv
from bucle.runtimes.wheel import own_wheel, wheel_folder

_FACTS = "bucle-runtime.json"
_ASK = (
    "import json, sys, sysconfig;"
    "print(json.dumps([sys.version.split()[0], sys.implementation.cache_tag, sysconfig.get_path('purelib')]))"
)
_turn = threading.Lock()


class _Facts(msgspec.Struct, frozen=True):
    """Written last into a runtime's folder: a folder without it was never finished."""

    digest: str
    python: str
    packages: dict[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Interpreter:
    version: str
    tag: str
    site_packages: Path


def ensure_runtime(home: Home, lock_path: Path, wheels: Sequence[Path] = ()) -> Runtime:
    """Return the runtime of a lock, installed if it is not there yet.

    `wheels` are folders with more wheels; a wheel of this bucle is built where the lock wants it. Nothing is built from
    source, and every file must have a hash that the lock names. Raises `runtimes/no-lock`, `runtimes/bad-lock`,
    `runtimes/install-failed`, `runtimes/no-python`, `runtimes/no-uv`.
    """
    lock = read_lock(lock_path)
    folder = home.folder("runtimes") / lock.digest.removeprefix("blake3:")
    facts = _read_facts(folder)  # an installation of another lock may take minutes: what is there does not wait for it
    if facts is None or not _is_recorded(home, lock.digest):
        with _turn:
            facts = _read_facts(folder)
            if facts is None:
                for rest in (folder, *folder.parent.glob(".new-*")):  # of an installer that was killed
                    shutil.rmtree(rest, ignore_errors=True)
                facts = _install(lock, folder, [*wheels, *_own_wheels(home, lock)])
                _record(home, facts)
            elif not _is_recorded(home, lock.digest):  # it was killed between the one and the other
                _record(home, facts)
    return Runtime(lock.digest, folder, folder / "bin" / "python", facts.packages)


def list_runtimes(reader: Reader) -> list[Runtime]:
    """Return the runtimes that the home has installed, oldest first; `path` and `python` are relative to its folder."""
    rows = reader.rows(store.SELECT_RUNTIMES)
    names = [(row, Path("runtimes", row["digest"].removeprefix("blake3:"))) for row in rows]
    return [Runtime(row["digest"], path, path / "bin" / "python", json.loads(row["packages"])) for row, path in names]


def _read_facts(folder: Path) -> _Facts | None:
    try:
        return msgspec.json.decode((folder / _FACTS).read_bytes(), type=_Facts)
    except (OSError, msgspec.DecodeError):
        return None


def _install(lock: Lock, folder: Path, wheels: Sequence[Path]) -> _Facts:
    started = time.monotonic()
    temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        interpreter = _make_environment(lock, temporary)
        _install_packages(lock, temporary, wheels)
        compile_bytecode(temporary / "bin" / "python", interpreter.site_packages, interpreter.tag)
        seconds = round(time.monotonic() - started, 3)
        facts = _Facts(lock.digest, interpreter.version, installed_packages(interpreter.site_packages), seconds)
        (temporary / _FACTS).write_bytes(msgspec.json.encode(facts, order="sorted"))
        temporary.chmod(0o755)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return facts


def _make_environment(lock: Lock, folder: Path) -> _Interpreter:
    """A relocatable environment: it is made under a temporary name and then renamed."""
    wanted = sys.executable if lock.python == OWN_PYTHON else lock.python
    done = run_uv(["venv", "--relocatable", "--allow-existing", "--no-project", "--python", wanted, str(folder)], cwd=folder)
    if not done.ok:
        raise NoPython(wanted=lock.python, own=OWN_PYTHON, where=str(lock.path))
    try:
        command = [str(folder / "bin" / "python"), "-I", "-c", _ASK]
        asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoPython(wanted=lock.python, own=OWN_PYTHON, where=str(lock.path)) from error
    version, tag, site_packages = json.loads(asked.stdout)
    return _Interpreter(version, tag, Path(site_packages))


def _install_packages(lock: Lock, folder: Path, wheels: Sequence[Path]) -> None:
    python = str(folder / "bin" / "python")
    arguments = ["pip", "install", "--require-hashes", "--no-build", "--python", python, "-r", str(lock.path)]
    for each in wheels:
        arguments += ["--find-links", str(each)]
    if lock.requirements and not run_uv([*arguments, "--offline"], cwd=folder).ok:  # what is cached needs no index
        done = run_uv(arguments, cwd=folder)
        if not done.ok:
            where = _blamed_line(lock, done.reason)
            raise InstallFailed(reason=done.reason + _other_build(lock, wheels), where=where)


def _own_wheels(home: Home, lock: Lock) -> list[Path]:
    wanted = lock.requirement("bucle")
    if wanted is None:
        return []
    wheels = home.folder("wheels")
    known = [wheels / wheel_folder(each.partition(":")[2]) for each in wanted.hashes]
    return [folder for folder in known if folder.is_dir()] or [own_wheel(wheels).parent]


def _other_build(lock: Lock, wheels: Sequence[Path]) -> str:
    """A lock made by another build of bucle is the likeliest cause, and uv cannot know it."""
    wanted = lock.requirement("bucle")
    known = {wheel_folder(each.partition(":")[2]) for each in wanted.hashes} if wanted else set()
    other = known and not known & {each.name for each in wheels}
    return " The lock wants another build of bucle than the one that runs here; `bucle lock` makes it again." if other else ""


def _blamed_line(lock: Lock, reason: str) -> str:
    """uv names the package that it stumbled over; find its line."""
    said = reason.lower().replace("_", "-")
    matches = ((re.search(rf"(?<![\w/-]){re.escape(each.name)}(?![\w/])", said), each.line) for each in lock.requirements)
    found = sorted((match.start(), line) for match, line in matches if match)
    return f"{lock.path}:{found[0][1]}" if found else str(lock.path)


def _is_recorded(home: Home, digest: str) -> bool:
    with home.ledger.read() as reader:
        return reader.row(store.SELECT_RUNTIME, (digest,)) is not None


def _record(home: Home, facts: _Facts) -> None:
    with aside(), home.ledger.write() as transaction:
        installed = RuntimeInstalled(facts.digest, facts.python, len(facts.packages), facts.seconds)
        transaction.node(facts.digest, "artifact", "runtime")
        event = transaction.emit(installed, facts.digest)
        packages = json.dumps(facts.packages, sort_keys=True)
        transaction.execute(store.UPSERT_RUNTIME, (facts.digest, facts.python, packages, transaction.clock.now_us(), event))
