"""The load test measures what callers would see, and says when it cannot tell."""

import os
import threading
import time
from collections.abc import Sequence

import pytest

from bucle.delivery.checks.arrivals import Sent, drive, poisson
from bucle.delivery.checks.load import Load, at_least, is_slow, judge, too_busy
from bucle.delivery.checks.memory import LEAST_REQUESTS, Memory, judge_memory, nanoseconds_without_processor, resident_bytes
from bucle.project import LoadTerms

TERMS = LoadTerms(rate=50, p99_ms=250, growth_kb=4)
STEADY = Memory("steady", 400, 0.0, "")
KILO = 1000


def load_of(seconds: Sequence[float], *, starved: float = 0.0, lag: float = 0.0, failure: str | None = None) -> Load:
    return Load(tuple(Sent(each, lag, failure) for each in seconds), STEADY, starved)


def test_arrivals_are_as_many_as_declared_and_always_the_same() -> None:
    due = poisson(50, 200)
    assert due == poisson(50, 200) and due == sorted(due) and 0 < due[0] < due[-1] < 200
    assert 9_500 < len(due) < 10_500


def test_a_pause_counts_for_every_request_that_was_due_in_it() -> None:
    """A sender that waited for answers would have seen one slow request and no other: coordinated omission."""
    due = [number / 100 for number in range(60)]
    turn = threading.Lock()

    def ask(place: int) -> None:
        with turn:
            time.sleep(0.4 if place == 10 else 0.001)

    sent = drive(due, ask, 5.0)
    assert sum(each.seconds > 0.05 for each in sent) >= 25
    assert all(each.failure is None for each in sent)


def test_what_is_not_answered_in_time_has_failed_and_counts_with_the_time_that_it_waited() -> None:
    release = threading.Event()

    def ask(place: int) -> str | None:
        if place == 1:
            raise RuntimeError("broken")
        if place == 2:
            release.wait(30)
        return "refused" if place == 0 else None

    sent = drive([0.0, 0.01, 0.02, 0.03], ask, 0.3)
    release.set()
    assert [each.failure for each in sent] == ["refused", "RuntimeError: broken", "no answer", None]
    assert sent[2].seconds >= 0.3


def test_slow_is_what_chance_does_not_explain() -> None:
    assert at_least(1, 100, 0.01) == pytest.approx(1 - 0.99**100)
    assert not is_slow(load_of([0.01] * 96 + [0.4] * 4), TERMS)
    assert is_slow(load_of([0.01] * 90 + [0.4] * 10), TERMS)
    assert not is_slow(load_of([0.4]), TERMS)


def test_slowness_of_the_machine_is_not_held_against_the_model() -> None:
    slow = [0.4] * 100
    assert judge(load_of(slow), TERMS, "delay", "a.py:1").outcome == "failed"
    for busy in (load_of(slow, starved=0.6), load_of(slow, lag=0.2)):
        assert too_busy(busy, TERMS)
        verdict = judge(busy, TERMS, "delay", "a.py:1")
        assert verdict.outcome == "skipped" and "too busy to tell" in verdict.message
    assert judge(load_of([0.01] * 100, starved=0.9), TERMS, "delay", None).outcome == "passed"


def test_failures_count_however_busy_the_machine_is() -> None:
    verdict = judge(load_of([0.01] * 100, starved=0.9, failure="ValueError: no"), TERMS, "delay", "a.py:1")
    assert verdict.outcome == "failed" and "100 of 100 requests failed: ValueError: no" in verdict.message


def test_memory_that_grows_all_the_time_is_a_leak() -> None:
    leak = [10**8 + 20 * KILO * number for number in range(400)]
    found = judge_memory(leak, 4 * KILO)
    assert (found.growth, found.per_request) == ("leak", 20 * KILO)
    verdict = judge(Load((Sent(0.01, 0),) * 100, found, 0.0), TERMS, "delay", "a.py:1")
    assert verdict.outcome == "failed" and "grows by 20.0 kB with every request" in verdict.message


def test_memory_that_settles_is_no_leak() -> None:
    warming = [10**8 + 100 * KILO * min(number, 90) for number in range(400)]
    assert judge_memory(warming, 4 * KILO).growth == "steady"
    assert judge_memory([10**8] * 400, 4 * KILO).growth == "steady"


def test_memory_says_when_it_cannot_tell() -> None:
    few = judge_memory([10**8 + 20 * KILO * number for number in range(LEAST_REQUESTS)], 4 * KILO)
    assert few.growth == "insufficient" and "are needed" in few.sentence
    one_step = [10**8] * 250 + [10**8 + 4000 * KILO] * 150
    assert judge_memory(one_step, 4 * KILO).growth == "insufficient"


def test_the_system_tells_how_long_a_process_waited_for_a_processor() -> None:
    before = nanoseconds_without_processor(os.getpid())
    sum(range(10**6))
    assert nanoseconds_without_processor(os.getpid()) >= before >= 0
    assert nanoseconds_without_processor(2**30) == 0 and resident_bytes(2**30) is None
    assert (resident_bytes(os.getpid()) or 0) > 10**6
