"""The pool keeps runners warm, lends each to one borrower, and never one with old code."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bucle.project import Checkout, DescribeRequest, ProjectDescription
from bucle.runtimes import Runner, RunnerDied, RunnerPool, current_runtime

DESCRIBE = "bucle.project:describe_in_child"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[RunnerPool]:
    pool = RunnerPool(2, artifacts=tmp_path / "artifacts", logs=tmp_path)
    yield pool
    pool.close()


def describe(runner: Runner) -> ProjectDescription:
    return runner.call(DESCRIBE, DescribeRequest(), ProjectDescription)


def test_a_runner_is_kept_warm_for_the_next_call(pool: RunnerPool, write: Callable[[str], Checkout]) -> None:
    checkout = write('"""A project."""\n')
    with pool.lend(current_runtime(), checkout) as first:
        assert describe(first).name == "small"
    with pool.lend(current_runtime(), checkout) as second:
        assert second is first
    with pool.lend(current_runtime(), checkout, fresh=True) as third:
        assert third.pid != first.pid


def test_changed_code_never_meets_a_warm_runner(pool: RunnerPool, write: Callable[[str], Checkout]) -> None:
    with pool.lend(current_runtime(), write('"""Old."""\n')) as old:
        describe(old)
    changed = write('"""New, and of another length."""\n')
    with pool.lend(current_runtime(), changed) as new:
        assert new.pid != old.pid
    assert pool.idle == 1
    assert not old.usable


def test_two_borrowers_get_two_runners(pool: RunnerPool, write: Callable[[str], Checkout]) -> None:
    checkout = write('"""A project."""\n')
    with pool.lend(current_runtime(), checkout) as one, pool.lend(current_runtime(), checkout) as other:
        assert one.pid != other.pid


def test_threads_use_the_pool_at_once(pool: RunnerPool, write: Callable[[str], Checkout]) -> None:
    checkout, names = write('"""A project."""\n'), list[str]()

    def work() -> None:
        for _ in range(5):
            with pool.lend(current_runtime(), checkout) as runner:
                names.append(describe(runner).name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names == ["small"] * 20
    assert pool.idle <= 2


def test_a_dead_runner_is_not_lent_again(pool: RunnerPool, write: Callable[[str], Checkout]) -> None:
    checkout = write('"""A project."""\n')
    with pool.lend(current_runtime(), checkout) as runner:
        runner.kill()
    assert pool.idle == 0
    with pool.lend(current_runtime(), checkout) as another:
        assert describe(another).name == "small"


def test_an_idle_runner_is_ended_after_a_while(tmp_path: Path, write: Callable[[str], Checkout]) -> None:
    pool = RunnerPool(2, artifacts=tmp_path, idle_seconds=0.2)
    with pool.lend(current_runtime(), write('"""A project."""\n')) as runner:
        pass
    deadline = time.monotonic() + 20
    while pool.idle and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pool.idle == 0
    while runner.usable and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not runner.usable
    pool.close()


def test_closing_the_pool_ends_everything(tmp_path: Path, write: Callable[[str], Checkout]) -> None:
    pool = RunnerPool(2, artifacts=tmp_path)
    checkout = write('"""A project."""\n')
    with pool.lend(current_runtime(), checkout):
        pass
    with pool.lend(current_runtime(), checkout) as lent, pool.lend(current_runtime(), checkout) as other:
        pool.close()
        assert not lent.usable
        assert not other.usable
    assert pool.idle == 0


def test_a_runner_that_is_lent_after_the_end_is_of_no_use(tmp_path: Path, write: Callable[[str], Checkout]) -> None:
    pool = RunnerPool(2, artifacts=tmp_path)
    pool.close()
    with pool.lend(current_runtime(), write('"""A project."""\n')) as late, pytest.raises(RunnerDied):
        describe(late)
    assert not late.usable
