"""Children answer for whoever waits: one caller's rows cannot fail another's, and no process outlives the pool's interest."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from bucle.serving import Candidate
from bucle.serving.pool import ServicePool
from bucle.serving.worker import InferOrder, Inferred, LoadOrder


class Process:
    """A child as the pool sees it: it doubles numbers, and a negative one makes its model raise."""

    pid = 1

    def __init__(self) -> None:
        self.alive = True
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def call(self, entry: str, order: InferOrder | LoadOrder, returns: type, *, timeout: float) -> Any:
        assert self.alive
        if isinstance(order, LoadOrder):
            return None
        self.entered.set()
        assert self.go_on.wait(30)
        numbers = [number for (number,) in order.vectors]
        return Inferred(["ValueError: unknown category" if number is None or number < 0 else 2 * number for number in numbers])

    def kill(self) -> None:
        self.alive = False

    close = kill


@pytest.fixture
def started() -> list[Process]:
    return []


@pytest.fixture
def pool(started: list[Process]) -> ServicePool:
    def start(candidate: Candidate) -> Any:
        started.append(Process())
        return started[-1]

    return ServicePool(start)


def test_rows_that_make_the_model_raise_fail_their_own_request_alone(
    pool: ServicePool, started: list[Process], candidate: Callable[[int], Candidate]
) -> None:
    pool.warm(candidate(1))
    (process,) = started
    process.go_on.clear()
    answers: dict[float, object] = {}

    def ask(number: float) -> None:
        answers[number] = pool.infer(candidate(1), [[number]])

    threads = [threading.Thread(target=ask, args=(number,)) for number in (1.0, -2.0, 3.0, 4.0)]
    threads[0].start()
    assert process.entered.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len(pool._child(candidate(1))._queue) < 3:
        threads[0].join(0.001)
    process.go_on.set()
    for thread in threads:
        thread.join(30)
    assert answers == {1.0: [2.0], -2.0: ["ValueError: unknown category"], 3.0: [6.0], 4.0: [8.0]}


def test_a_request_that_comes_late_to_a_child_that_was_given_up_is_answered_and_leaves_no_process(
    pool: ServicePool, started: list[Process], candidate: Callable[[int], Candidate]
) -> None:
    pool.warm(candidate(1))
    late = pool._child(candidate(1))
    pool.keep([])
    assert late.infer([[4.0]]) == [8.0]
    assert [process.alive for process in started] == [False, False]
    pool.warm(candidate(1))
    assert started[-1].alive
