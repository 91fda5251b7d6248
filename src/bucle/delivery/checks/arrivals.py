"""Open-loop load: requests are sent when they are due, whether or not earlier ones were answered (no coordinated omission)."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

_SEED = 20130101
_MOST_WAITING = 128

Ask = Callable[[int], str | None]
"""Sends the request of a number and waits for its answer; returns why there was none."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: seconds from when it was due to its answer, by how much it was sent late, and why it failed if it did."""

    seconds: float
    lag: float
    failure: str | None = None


def poisson(rate: float, seconds: float) -> list[float]:
    """Return the moments, from 0 on, at which requests are due: independent of each other, always the same."""
    chance, due, at = random.Random(_SEED), [], 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        due.append(at)
    return due


def drive(due: Sequence[float], ask: Ask, patience: float) -> list[Sent]:
    """Send a request at each moment of `due` and return what became of them, in that order.

    What has no answer `patience` seconds after the last was due has failed, and counts with the time that it waited. The
    caller ends what is still asked, so that its threads can leave.
    """
    found: list[Sent | None] = [None] * len(due)
    begun = time.monotonic()
    open_requests = threading.Semaphore(0)

    def send(place: int) -> None:
        lag = time.monotonic() - begun - due[place]
        try:
            failure = ask(place)
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
        if found[place] is None:
            found[place] = Sent(time.monotonic() - begun - due[place], lag, failure)
        open_requests.release()

    senders = ThreadPoolExecutor(min(_MOST_WAITING, len(due) or 1), thread_name_prefix="bucle-load")
    for place, moment in enumerate(due):
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        senders.submit(send, place)
    deadline = time.monotonic() + patience
    for _ in due:
        if not open_requests.acquire(timeout=max(0.0, deadline - time.monotonic())):
            break
    senders.shutdown(wait=False, cancel_futures=True)
    ended = time.monotonic() - begun
    return [each or Sent(ended - due[place], 0.0, "no answer") for place, each in enumerate(found)]
