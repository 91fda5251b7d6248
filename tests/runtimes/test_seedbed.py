"""Children forked off a seed have the packages in memory, and nothing of one another; they end as others do."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner_entries import Facts, Seen, Text
from tests.runtimes.test_runner import LOCKED, alive, eventually, forked, with_entries

from bucle.runtimes import Limits, Runner, RunnerDied, Seedbed, current_runtime
from bucle.runtimes.seedbed import Forked, Process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are forked on Linux only")


@pytest.fixture(scope="module")
def shared() -> Iterator[Seedbed]:
    seeds = Seedbed()
    yield seeds
    seeds.close()


def seed_of(runner: Runner) -> int:
    return int(Path(f"/proc/{runner.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def test_a_child_has_the_packages_and_nothing_of_a_project(shared: Seedbed, root: Path, tmp_path: Path) -> None:
    one, other = forked(shared, root, tmp_path), forked(shared, root, tmp_path)
    try:
        first, second = one.call("runner_entries:look", Text(), Seen), other.call("runner_entries:look", Text(), Seen)
        assert "sklearn.ensemble" in first.modules
        assert "small" not in first.modules and "polars" not in first.modules
        assert one.call("runner_entries:import_project", Text(), Seen).modules.count("small") == 1
        assert "small" not in other.call("runner_entries:look", Text(), Seen).modules
        assert first.drawn != second.drawn, "each draws random numbers of its own"
        assert seed_of(one) == seed_of(other) != os.getpid()
    finally:
        one.kill()
        other.kill()


def test_the_interpreter_that_runs_bucle_is_no_seed(shared: Seedbed, root: Path, tmp_path: Path) -> None:
    runner = Runner.start(with_entries(current_runtime()), root, artifacts=tmp_path, seeds=shared)
    assert not isinstance(runner._process, Forked)
    runner.kill()


def test_limits_are_those_of_the_child_alone(shared: Seedbed, root: Path, tmp_path: Path) -> None:
    plain = forked(shared, root, tmp_path)
    limited = Runner.start(LOCKED, root, artifacts=tmp_path, seeds=shared, limits=Limits(open_files=64))
    try:
        assert isinstance(limited._process, Forked)
        assert limited.call("runner_entries:facts", Text(), Facts).open_files == 64
        assert plain.call("runner_entries:facts", Text(), Facts).open_files != 64
    finally:
        plain.kill()
        limited.kill()


def test_the_end_of_a_child_is_told_and_none_is_left_behind(shared: Seedbed, root: Path, tmp_path: Path) -> None:
    closed, killed, ended = (forked(shared, root, tmp_path) for _ in range(3))
    processes: list[Process] = [each._process for each in (closed, killed, ended)]
    closed.close()
    killed.kill()
    os.kill(ended.pid, signal.SIGTERM)
    assert [each.wait(20) for each in processes] == [0, -signal.SIGKILL, -signal.SIGTERM]
    assert not ended.usable
    assert eventually(lambda: not any(Path(f"/proc/{each.pid}").exists() for each in processes))
    ended.kill()


def test_the_death_of_a_seed_is_that_of_its_children_and_another_grows(root: Path, tmp_path: Path) -> None:
    seeds = Seedbed()
    try:
        child = forked(seeds, root, tmp_path)
        seed = seed_of(child)
        with pytest.raises(RunnerDied):
            child.call("runner_entries:spin", Text(), Text, answer=lambda question: end(seed))
        assert not child.usable and eventually(lambda: not alive(child.pid))
        again = forked(seeds, root, tmp_path)
        assert again.call("runner_entries:echo", Text("again"), Text) == Text("again")
    finally:
        seeds.close()
    assert eventually(lambda: not alive(again.pid))
    again.kill()


def end(process: int) -> bytes:
    os.kill(process, signal.SIGKILL)
    return b""
