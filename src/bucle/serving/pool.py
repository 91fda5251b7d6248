"""The children that hold models: one warm child for each package and runtime; what waits for it is answered together."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from bucle.errors import BucleError
from bucle.runtimes import Runner, RunnerDied, RunnerTimeout
from bucle.serving.deployments import Candidate
from bucle.serving.errors import ModelUnavailable
from bucle.serving.worker import InferOrder, Inferred, Loaded, LoadOrder, Output

Vector = list[float | None]

_LARGEST_BATCH = 4096
_LOAD_SECONDS = 120.0
INFER_SECONDS = 30.0
"""How long a child may take to answer a batch, unless who asks has less patience."""


@dataclass(frozen=True, slots=True)
class ChildKey:
    """Candidates that agree in these share a child."""

    package: str
    runtime: str
    root: str
    commit: str


@dataclass(slots=True)
class _Waiting:
    vectors: list[Vector]
    answer: "Future[list[Output]]"


class _ModelChild:
    """One warm child. Whoever comes while it computes waits, and all that wait go as one batch (adaptive micro-batching)."""

    def __init__(self, candidate: Candidate, start: Callable[[Candidate], Runner]) -> None:
        self._candidate, self._start = candidate, start
        self._runner: Runner | None = None
        self._turn = threading.Lock()
        self._queue_lock = threading.Lock()
        self._queue: list[_Waiting] = []
        self._closed = False

    @property
    def pid(self) -> int | None:
        return self._runner.pid if self._runner is not None else None

    def warm(self) -> None:
        with self._turn:
            self._running()
            self._end_if_closed()

    def infer(self, vectors: list[Vector], patience: float = INFER_SECONDS) -> list[Output]:
        waiting = _Waiting(vectors, Future())
        with self._queue_lock:
            self._queue.append(waiting)
        while not waiting.answer.done():
            with self._turn:
                if not waiting.answer.done():
                    self._answer(self._take(), patience)
                    self._end_if_closed()
        return waiting.answer.result()

    def close(self) -> None:
        self._closed = True
        with self._turn:
            self._discard()

    def _end_if_closed(self) -> None:
        """Nobody would end the process of a child that the pool gave up while a request was on its way to it."""
        if self._closed:
            self._discard()

    def _take(self) -> list[_Waiting]:
        with self._queue_lock:
            taken, size = 0, 0
            while taken < len(self._queue) and (taken == 0 or size + len(self._queue[taken].vectors) <= _LARGEST_BATCH):
                size += len(self._queue[taken].vectors)
                taken += 1
            batch, self._queue = self._queue[:taken], self._queue[taken:]
        return batch

    def _answer(self, batch: list[_Waiting], patience: float) -> None:
        try:
            outputs = self._call([vector for waiting in batch for vector in waiting.vectors], patience)
        except BaseException as error:
            for waiting in batch:
                waiting.answer.set_exception(error)
            return
        start = 0
        for waiting in batch:
            end = start + len(waiting.vectors)
            waiting.answer.set_result(outputs[start:end])
            start = end

    def _call(self, vectors: list[Vector], patience: float) -> list[Output]:
        order = InferOrder(self._candidate.package, vectors)
        try:
            outputs = self._running().call("bucle.serving.worker:infer", order, Inferred, timeout=patience).outputs
        except (RunnerDied, RunnerTimeout) as error:
            self._discard()
            raise self._unavailable(error) from error
        if len(outputs) != len(vectors):
            raise self._unavailable(f"it gave {len(outputs)} answers to {len(vectors)} rows")
        return outputs

    def _running(self) -> Runner:
        if self._runner is None:
            runner = self._start(self._candidate)
            try:
                runner.call("bucle.serving.worker:load", LoadOrder(self._candidate.package), Loaded, timeout=_LOAD_SECONDS)
            except (RunnerDied, RunnerTimeout) as error:
                runner.kill()
                raise self._unavailable(error) from error
            except BucleError:
                runner.close()
                raise
            self._runner = runner
        return self._runner

    def _discard(self) -> None:
        if self._runner is not None:
            self._runner.kill()
            self._runner = None

    def _unavailable(self, reason: object) -> ModelUnavailable:
        return ModelUnavailable(model=self._candidate.model, version=self._candidate.version, reason=reason)


class ServicePool:
    """Children for the candidates that answer, started on first use. `start` starts a runner for a candidate's code."""

    def __init__(self, start: Callable[[Candidate], Runner]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._children: dict[ChildKey, _ModelChild] = {}

    def warm(self, candidate: Candidate) -> None:
        """Start the candidate's child and load its model, unless it is warm. Raises `serving/model-unavailable`."""
        self._child(candidate).warm()

    def infer(self, candidate: Candidate, vectors: list[Vector], patience: float = INFER_SECONDS) -> list[Output]:
        """Return the output of each vector; a child that takes longer than `patience` seconds is ended.

        Raises `serving/model-unavailable`.
        """
        return self._child(candidate).infer(vectors, patience)

    def pid(self, candidate: Candidate) -> int | None:
        """Return the process id of the candidate's child, None while there is none."""
        child = self._children.get(_key(candidate))
        return child.pid if child else None

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Close the children of all other candidates."""
        wanted = {_key(candidate) for candidate in candidates}
        with self._lock:
            gone = [self._children.pop(key) for key in list(self._children) if key not in wanted]
        for child in gone:
            child.close()

    def close(self) -> None:
        """Close all children."""
        self.keep(())

    def _child(self, candidate: Candidate) -> _ModelChild:
        key = _key(candidate)
        with self._lock:
            child = self._children.get(key)
            if child is None:
                child = self._children[key] = _ModelChild(candidate, self._start)
            return child


def _key(candidate: Candidate) -> ChildKey:
    return ChildKey(candidate.package, candidate.runtime, candidate.root, candidate.commit)
