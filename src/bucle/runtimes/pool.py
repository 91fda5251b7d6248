"""Warm runners: kept after a call for the next one of the same runtime and tree."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bucle.project import Checkout
from bucle.runtimes.interpreter import Runtime
from bucle.runtimes.runner import Runner
from bucle.runtimes.seedbed import Seedbed
from bucle.runtimes.wire import Limits

_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Idle:
    key: _Key
    runner: Runner
    since: float


class RunnerPool:
    """Lends runners, each to one borrower at a time.

    Lending never waits, so that a borrower may borrow again without a deadlock; whoever starts work bounds how much runs at
    once. `limit` is how many idle runners are kept warm, `idle_seconds` for how long; `limits` hold for each child. `seeds`
    are for a process that lives long: children are forked off them, and end with the pool.
    """

    def __init__(
        self,
        limit: int,
        *,
        artifacts: Path,
        logs: Path | None = None,
        idle_seconds: float = 300,
        limits: Limits | None = None,
        preload: tuple[str, ...] = (),
        seeds: Seedbed | None = None,
    ) -> None:
        self._limit, self._idle_seconds = limit, idle_seconds
        self._artifacts, self._logs = artifacts, logs
        self._limits, self._preload = limits or Limits(), preload
        self.seeds = seeds
        self._idle: list[_Idle] = []
        self._lent: set[Runner] = set()
        self._turn = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False

    @contextlib.contextmanager
    def lend(self, runtime: Runtime, checkout: Checkout, *, fresh: bool = False) -> Iterator[Runner]:
        """Lend a runner for `checkout`; a warm one unless `fresh`. Code that has changed since never meets a warm runner."""
        key = (runtime.digest, str(checkout.root), checkout.stamp)
        runner = (None if fresh else self._take(key)) or self._start(runtime, checkout)
        with self._turn:
            self._lent.add(runner)
            closed = self._closed
        if closed:  # it was started while `close` ended the others
            runner.kill()
        try:
            yield runner
        finally:
            with self._turn:
                self._lent.discard(runner)
            self._give_back(key, runner)

    def warm(self, runtime: Runtime, checkout: Checkout) -> None:
        """Start a runner ahead of its first use."""
        with self.lend(runtime, checkout):
            pass

    @property
    def idle(self) -> int:
        """How many runners wait for work."""
        return len(self._idle)

    def close(self) -> None:
        """End all runners, also those that are lent."""
        with self._turn:
            self._closed = True
            idle, self._idle = self._idle, []
            lent = list(self._lent)
            if self._timer is not None:
                self._timer.cancel()
        for each in idle:
            each.runner.close()
        for runner in lent:
            runner.kill()
        if self.seeds is not None:
            self.seeds.close()

    def _take(self, key: _Key) -> Runner | None:
        with self._turn:
            for each in reversed(self._idle):
                if each.key == key:
                    self._idle.remove(each)
                    if each.runner.usable:
                        return each.runner
        return None

    def _start(self, runtime: Runtime, checkout: Checkout) -> Runner:
        log = None if self._logs is None else self._logs / "runners.log"
        artifacts, limits = self._artifacts, self._limits
        preload, seeds = self._preload, self.seeds
        return Runner.start(runtime, checkout.root, artifacts=artifacts, log=log, limits=limits, preload=preload, seeds=seeds)

    def _give_back(self, key: _Key, runner: Runner) -> None:
        ended: list[Runner] = []
        with self._turn:
            if not runner.usable or self._closed or self._limit <= 0:
                ended.append(runner)
            else:
                same_tree = [each for each in self._idle if each.key[:2] == key[:2] and each.key != key]
                over = self._idle[: max(len(self._idle) + 1 - self._limit, 0)]
                ended += [each.runner for each in self._idle if each in same_tree or each in over]
                self._idle = [each for each in self._idle if each.runner not in ended]
                self._idle.append(_Idle(key, runner, time.monotonic()))
                self._watch()
        for each in ended:
            each.close()

    def _watch(self) -> None:
        if self._timer is None and self._idle:
            self._timer = threading.Timer(self._idle_seconds, self._reap)
            self._timer.daemon = True
            self._timer.start()

    def _reap(self) -> None:
        with self._turn:
            self._timer = None
            oldest = time.monotonic() - self._idle_seconds
            ended = [each for each in self._idle if each.since <= oldest]
            self._idle = [each for each in self._idle if each.since > oldest]
            if not self._closed:
                self._watch()
        for each in ended:
            each.runner.close()
