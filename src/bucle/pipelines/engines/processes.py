"""Orders in child processes of the code's runtime, warm ones where there are any."""

import os
import threading
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from bucle.errors import BucleError, RemoteError
from bucle.pipelines.executing import timed_out
from bucle.pipelines.orders import Failure, Result, Usage, WorkOrder
from bucle.project import Checkout
from bucle.runtimes import Runner, RunnerDied, RunnerPool, RunnerTimeout, Runtime

ENTRY = "bucle.pipelines.engines.worker:execute_in_child"
_GRACE = 2.0
"""Seconds after a step's timeout at which its process is killed: the attempt's own clock begins only in the process."""


class WorkerSlots:
    """How many cores all runs of a house may occupy together. First come, first served."""

    def __init__(self, cores: int | None = None) -> None:
        self.cores = cores or os.cpu_count() or 1
        self._free = self.cores
        self._turn = threading.Condition()
        self._waiting: deque[object] = deque()

    def take(self, cores: int) -> int:
        """Wait for free cores and occupy them; return how many (never more than there are)."""
        wanted, ticket = min(cores, self.cores), object()
        with self._turn:
            self._waiting.append(ticket)
            self._turn.wait_for(lambda: self._waiting[0] is ticket and self._free >= wanted)
            self._waiting.popleft()
            self._free -= wanted
            self._turn.notify_all()
        return wanted

    def give_back(self, cores: int) -> None:
        """Let others have them."""
        with self._turn:
            self._free += cores
            self._turn.notify_all()


class Deliver(Protocol):
    """Takes a result; `lost` says that the worker died, so that the attempt does not count as the step's own failure."""

    def __call__(self, result: Result, *, lost: bool = False) -> None: ...


class ProcessEngine:
    """The process engine of one run."""

    name = "processes"

    def __init__(
        self,
        pool: RunnerPool,
        runtime: Runtime,
        checkout: Checkout,
        slots: WorkerSlots,
        deliver: Deliver,
        log_of: Callable[[WorkOrder], Path],
    ) -> None:
        self._pool, self._runtime, self._checkout, self._slots = pool, runtime, checkout, slots
        self._deliver, self._log_of = deliver, log_of
        self._queue: deque[WorkOrder] = deque()
        self._runners: dict[str, Runner] = {}
        self._cancelled: set[tuple[str, int]] = set()
        self._active: dict[str, WorkOrder] = {}
        self._turn = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._closed = False

    def submit(self, order: WorkOrder, delay: float = 0.0) -> None:
        """See `Engine`."""
        if delay > 0:
            timer = threading.Timer(delay, self.submit, (order,))
            timer.daemon = True
            timer.start()
            return
        with self._turn:
            if self._closed:
                return
            self._queue.append(order)
            if len(self._threads) < self._slots.cores:
                thread = threading.Thread(target=self._work, name=f"bucle-{order.run}", daemon=True)
                self._threads.add(thread)
                thread.start()

    def cancel(self, steps: Collection[str]) -> None:
        """See `Engine`."""
        with self._turn:
            self._queue = deque(order for order in self._queue if order.step not in steps)
            self._cancelled |= {(step, self._active[step].attempt) for step in steps if step in self._active}
            runners = [runner for step, runner in self._runners.items() if step in steps]
        for runner in runners:
            runner.kill()

    def capacity(self) -> int:
        """See `Engine`."""
        return self._slots.cores

    def close(self) -> None:
        """See `Engine`."""
        with self._turn:
            self._closed = True
            steps = [*self._active, *(order.step for order in self._queue)]
        self.cancel(steps)

    def join(self, seconds: float) -> None:
        """Wait until nothing is delivered any more, at most so long."""
        with self._turn:
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(seconds)

    def _work(self) -> None:
        while True:
            with self._turn:
                if not self._queue:
                    self._threads.discard(threading.current_thread())
                    return
                order = self._queue.popleft()
                self._active[order.step] = order
            cores = self._slots.take(order.options.cpu)
            try:
                self._run(order)
            finally:
                self._slots.give_back(cores)
                with self._turn:
                    self._active.pop(order.step, None)
                    self._runners.pop(order.step, None)

    def _run(self, order: WorkOrder) -> None:
        if self._closed or (order.step, order.attempt) in self._cancelled:
            return
        timeout = order.options.timeout
        pid = 0
        try:
            with self._pool.lend(self._runtime, self._checkout, fresh=order.options.isolated) as runner:
                pid = runner.pid
                with self._turn:
                    self._runners[order.step] = runner
                result = runner.call(
                    ENTRY, order, Result, timeout=None if timeout is None else timeout + _GRACE, log=self._log_of(order)
                )
        except RunnerTimeout:
            self._fail(order, pid, timed_out(timeout or 0))
        except RunnerDied as error:
            self._fail(order, pid, Failure(error.code, error.text, None, error.next_step), lost=True)
        except (BucleError, RemoteError) as error:
            following = error.next_step
            self._fail(order, pid, Failure(error.code, str(error), error.where, following, retry=False))
        else:
            if not self._closed:
                self._deliver(result)

    def _fail(self, order: WorkOrder, pid: int, failure: Failure, *, lost: bool = False) -> None:
        if not self._closed and (order.step, order.attempt) not in self._cancelled:
            usage = Usage(pid, os.uname().nodename, 0.0, 0.0, 0.0)
            self._deliver(Result(order.step, order.attempt, usage, failure=failure), lost=lost)
