"""A real lock, installed by uv into a runtime of its own, and a project that runs there."""

import dataclasses
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.errors import BucleError
from bucle.ledger import EventFilter, Home
from bucle.project import create_project, export_commit, working_tree
from bucle.runtimes import (
    InstallFailed,
    Lock,
    RunnerPool,
    Runtime,
    current_runtime,
    ensure_runtime,
    installation,
    list_runtimes,
    load_code,
    lock_requirements,
    read_lock,
)
from bucle.runtimes.errors import LockFailed, NoLock, NoPython


@dataclasses.dataclass(frozen=True)
class Installed:
    home: Home
    root: Path
    lock: Lock
    runtime: Runtime


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A project made from the template `blank`, its lock and its runtime: bucle and all that it needs, once for all tests."""
    base = tmp_path_factory.mktemp("installed")
    home = Home.open(base / "home")
    made = create_project(
        base / "project", "blank", lock=lambda root: lock_requirements(root, home.folder("wheels")), name="fresh"
    )
    lock = read_lock(made.file.root / "requirements.lock")
    yield Installed(home, made.file.root, lock, ensure_runtime(home, lock.path))
    home.close()


def pin(lock: Lock, name: str) -> str:
    """The lines of one distribution in a lock."""
    text = lock.path.read_text()
    start = text.index(f"\n{name}==") + 1
    lines = text[start:].splitlines()
    end = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
    return "\n".join(lines[: end + 1]) + "\n"


def test_the_lock_names_hashes_and_no_addresses(installed: Installed) -> None:
    text = installed.lock.path.read_text()
    assert "://" not in text
    assert str(installed.home.path) not in text
    bucle = installed.lock.requirement("bucle")
    assert bucle is not None
    assert len(bucle.hashes) == 1
    assert (installed.home.folder("wheels") / bucle.hashes[0].removeprefix("sha256:")[:16]).is_dir()


def test_the_runtime_holds_bucle_itself_with_its_bytecode(installed: Installed) -> None:
    site_packages = next(installed.runtime.path.glob("lib/python*/site-packages"))
    assert installed.runtime.packages.keys() >= {"bucle", "pytest", "scikit-learn", "skops"}
    assert list(site_packages.glob("bucle/__pycache__/errors.*.pyc"))
    assert list(site_packages.glob("sklearn/__pycache__/base.*.pyc"))
    shown = subprocess.run(
        [installed.runtime.path / "bin" / "bucle", "--version"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "bucle" in shown.stdout


def test_a_runtime_is_installed_once_and_recorded(installed: Installed) -> None:
    assert ensure_runtime(installed.home, installed.lock.path) == installed.runtime
    events = installed.home.ledger.events(EventFilter(kinds=("runtimes.installed",)))
    assert [event.subject for event in events if event.subject == installed.lock.digest] == [installed.lock.digest]
    with installed.home.ledger.read() as reader:
        assert installed.lock.digest in [runtime.digest for runtime in list_runtimes(reader)]


def test_what_is_installed_does_not_wait_for_another_installation(installed: Installed) -> None:
    with installation._turn:
        waiting = threading.Thread(target=ensure_runtime, args=(installed.home, installed.lock.path), daemon=True)
        waiting.start()
        waiting.join(30)
        assert not waiting.is_alive()


def test_a_kill_after_the_installation_does_not_leave_it_unrecorded(installed: Installed, tmp_path: Path) -> None:
    path = changed(installed, tmp_path, "# Another lock.\n" + pin(installed.lock, "iniconfig"))
    runtime = ensure_runtime(installed.home, path)
    with installed.home.ledger.write() as transaction:
        transaction.execute("DELETE FROM runtime WHERE digest = ?", (runtime.digest,))
    ensure_runtime(installed.home, path)
    ensure_runtime(installed.home, path)
    events = list(installed.home.ledger.events(EventFilter(kinds=("runtimes.installed",), subject=runtime.digest)))
    assert len(events) == 2
    assert events[0].data == events[1].data
    with installed.home.ledger.read() as reader:
        assert runtime.digest in [each.digest for each in list_runtimes(reader)]


def test_a_new_projects_tests_pass_in_its_own_runtime(installed: Installed) -> None:
    done = subprocess.run(
        [installed.runtime.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=installed.root, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_code_of_a_commit_is_described_in_its_own_runtime(installed: Installed, tmp_path: Path) -> None:
    commit = working_tree(installed.root).commit
    assert commit is not None
    checkout = export_commit(installed.home, installed.root, "fresh", commit)
    pool = RunnerPool(1, artifacts=tmp_path)
    code = load_code(installed.home, pool, checkout)
    assert (code.runtime, code.description.name) == (installed.runtime, "fresh")
    pool.close()
    import bucle.runtimes.code as remembered

    remembered._described.clear()
    assert load_code(installed.home, pool, checkout) == code  # from the ledger: no runner is started
    assert pool.idle == 0


def test_a_working_tree_without_a_lock_runs_in_this_interpreter(installed: Installed, root: Path, tmp_path: Path) -> None:
    pool = RunnerPool(1, artifacts=tmp_path)
    code = load_code(installed.home, pool, working_tree(root))
    pool.close()
    assert code.runtime == current_runtime()
    assert code.description.definitions == []


def changed(installed: Installed, tmp_path: Path, text: str) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(text)
    return path


def refused(installed: Installed, path: Path, kind: type[BucleError]) -> BucleError:
    before = sorted(installed.home.folder("runtimes").iterdir())
    with pytest.raises(kind) as caught:
        ensure_runtime(installed.home, path)
    assert sorted(installed.home.folder("runtimes").iterdir()) == before, "something was left half-installed"
    return caught.value


def test_a_hash_that_differs_is_refused_with_its_line(installed: Installed, tmp_path: Path) -> None:
    line = pin(installed.lock, "iniconfig").splitlines()[0]
    path = changed(installed, tmp_path, f"# a lock\n{line}\n    --hash=sha256:{'0' * 64}\n")
    error = refused(installed, path, InstallFailed)
    assert "iniconfig" in error.text
    assert error.where == f"{path}:2"


def test_a_wheel_of_another_bucle_is_refused(installed: Installed, tmp_path: Path) -> None:
    bucle = installed.lock.requirement("bucle")
    assert bucle is not None
    text = installed.lock.path.read_text().replace(bucle.hashes[0], f"sha256:{'1' * 64}")
    path = changed(installed, tmp_path, text)
    error = refused(installed, path, InstallFailed)
    assert error.where == f"{path}:{bucle.line}", error.text
    assert "`bucle lock` makes it again" in error.text


def test_a_lock_that_lacks_what_its_packages_need_is_refused(installed: Installed, tmp_path: Path) -> None:
    path = changed(installed, tmp_path, pin(installed.lock, "jinja2"))
    assert "markupsafe" in refused(installed, path, InstallFailed).text.lower()


def test_a_lock_for_a_python_that_is_not_there_is_refused(installed: Installed, tmp_path: Path) -> None:
    path = changed(installed, tmp_path, "# Locked for Python 3.4 with bucle\n" + pin(installed.lock, "iniconfig"))
    assert "3.4" in refused(installed, path, NoPython).text


def test_a_half_installed_runtime_is_installed_again(installed: Installed, tmp_path: Path) -> None:
    path = changed(installed, tmp_path, pin(installed.lock, "iniconfig"))
    folder = installed.home.folder("runtimes") / read_lock(path).digest.removeprefix("blake3:")
    folder.mkdir()
    (folder / "rest of a killed install").write_text("")
    (folder.parent / ".new-abc").mkdir()
    runtime = ensure_runtime(installed.home, path)
    assert runtime.packages == {"iniconfig": installed.runtime.packages["iniconfig"]}
    assert not (folder / "rest of a killed install").exists()
    assert not list(folder.parent.glob(".new-*"))


def test_requirements_that_contradict_each_other_cannot_be_locked(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("iniconfig==2.0.0\niniconfig==2.1.0\n")
    with pytest.raises(LockFailed, match="iniconfig"):
        lock_requirements(tmp_path, installed.home.folder("wheels"))
    assert not (tmp_path / "requirements.lock").exists()
    with pytest.raises(NoLock):
        lock_requirements(tmp_path / "elsewhere", installed.home.folder("wheels"))


def test_a_second_lock_keeps_the_versions_of_the_first(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("iniconfig\n")
    wheels = installed.home.folder("wheels")
    lock_requirements(tmp_path, wheels)
    (tmp_path / "requirements.in").write_text("iniconfig<2.1\n")
    older = lock_requirements(tmp_path, wheels).requirement("iniconfig")
    (tmp_path / "requirements.in").write_text("iniconfig\nmarkupsafe\n")
    again = lock_requirements(tmp_path, wheels)
    assert older is not None
    assert again.requirement("iniconfig") == dataclasses.replace(older, line=again.requirement("iniconfig").line)  # type: ignore[union-attr]
    assert again.requirement("markupsafe") is not None


def test_another_home_builds_the_same_wheel_and_installs_the_same_lock(installed: Installed, tmp_path: Path) -> None:
    home = Home.open(tmp_path / "other")
    try:
        runtime = ensure_runtime(home, installed.lock.path)
        assert (runtime.digest, runtime.packages) == (installed.runtime.digest, installed.runtime.packages)
        assert runtime.path.is_relative_to(tmp_path)
    finally:
        home.close()
