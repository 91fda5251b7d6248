"""The two arms of a rollout at work: a share of the keys is the challenger's, or it scores beside what was answered.

A caller never pays for a trial: what the challenger cannot answer the champion answers, and shadow runs in a thread of its
own, with a queue that is bounded and dropped from, never waited for.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bucle.errors import BucleError
from bucle.serving.answering import Answered, AnsweredRow, Answerer, Live, all_answered
from bucle.serving.contract import Record
from bucle.serving.errors import ModelUnavailable
from bucle.serving.log import LoggedEntry, PredictionLog
from bucle.serving.observations import Arm, Observation, ShadowRow
from bucle.serving.pool import ServicePool
from bucle.serving.splits import Split

COMPARABLE_ROWS = 32
"""Up to so many rows take a model as long as one; longer parts of a request say nothing about latency."""

_PATIENCE = 2.0
"""Seconds that a challenger has for its part of a request before the champion answers it."""
_SHADOW_PATIENCE = 30.0
_WAITING = 256
"""Requests that may wait for their shadow."""
_LONGEST_CAUSE = 300
_log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Is told that something was seen of a rollout; `urgent` when an arm failed. Must be quick: it is in the request's way."""

    def __call__(self, rollout: str, urgent: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Duel:
    """A split with both of its deployments."""

    split: Split
    champion: Live
    challenger: Live

    def fields_of(self, live: Live) -> frozenset[str]:
        """Return the fields that only the other deployment takes: they are left out of this one's rows."""
        other = self.challenger if live is self.champion else self.champion
        return frozenset(other.encoder.fields) - frozenset(live.encoder.fields)


@dataclass(frozen=True, slots=True)
class Shared:
    """What became of a request under a split: each row with the deployment that answered it, and what was seen of the arms."""

    answers: list[tuple[Live, AnsweredRow]]
    observations: list[Observation]


@dataclass(frozen=True, slots=True)
class ShadowTask:
    """A request that was answered, for the challenger to score."""

    duel: Duel
    request: str
    predictions: tuple[str, ...]
    rows: list[Record]
    at_us: int


class PartFailed(Exception):
    """The champion had no answer, and nobody else is there: the request fails, but what was seen is evidence."""

    def __init__(self, error: BucleError, observations: list[Observation]) -> None:
        super().__init__(error)
        self.error, self.observations = error, observations


class Arms:
    """Divides requests between champion and challenger, runs shadows, and notes what both did."""

    def __init__(self, answerer: Answerer, pool: ServicePool, log: PredictionLog, settle: Callable[[], None]) -> None:
        """`settle` closes the children that nothing needs: a challenger may be withdrawn while its child starts."""
        self._answerer, self._pool, self._log, self._settle = answerer, pool, log, settle
        self._watchers: tuple[Watcher, ...] = ()
        self._tasks: queue.Queue[ShadowTask | None] = queue.Queue(_WAITING)
        self._busy = 0
        self._guard = threading.Lock()
        self._died: set[str] = set()
        self._warming: set[str] = set()
        self._thread: threading.Thread | None = None

    def watched_by(self, watcher: Watcher) -> None:
        """Have `watcher` called whenever something was seen of a rollout."""
        self._watchers += (watcher,)

    def answer(self, duel: Duel, rows: Sequence[Record], request: str, at_us: int) -> Shared:
        """Answer rows by both arms. Raises the errors of requests, and `PartFailed` when the champion fails."""
        own = duel.fields_of(duel.champion)
        fitted = [_without(row, own) for row in rows] if own else rows
        duel.champion.encoder.check(fitted)
        key = duel.champion.encoder.contract.key
        mine = [place for place, row in enumerate(rows) if duel.split.takes(row[key] if key else sorted(row.items()))]
        found: dict[int, tuple[Live, AnsweredRow]] = {}
        seen: list[Observation] = []
        if mine:
            seen += self._try(duel, [rows[place] for place in mine], mine, found, request, at_us)
        left = [place for place in mine if place not in found]
        own_places = [place for place in range(len(rows)) if place not in set(mine)]
        places = [*own_places, *left]
        if places:
            self._answer_rest(duel, [fitted[place] for place in places], places, len(own_places), found, seen, request, at_us)
        return Shared([found[place] for place in range(len(rows))], seen)

    def tell(self, rollout: str, urgent: bool) -> None:
        """Tell the watchers."""
        for watcher in self._watchers:
            watcher(rollout, urgent)

    def shadow(self, task: ShadowTask) -> None:
        """Have the challenger score an answered request, some time soon; when too many wait, not at all."""
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bucle-shadow", daemon=True)
                self._thread.start()
            self._busy += 1
        try:
            self._tasks.put_nowait(task)
        except queue.Full:
            with self._guard:
                self._busy -= 1

    @property
    def waiting(self) -> int:
        """How many requests wait for their shadow or are at it."""
        return self._busy

    def close(self) -> None:
        """Stop after the shadow at hand; those that wait are dropped."""
        while True:
            try:
                self._tasks.get_nowait()
            except queue.Empty:
                break
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join(timeout=_SHADOW_PATIENCE)

    def _try(
        self,
        duel: Duel,
        rows: Sequence[Record],
        places: Sequence[int],
        found: dict[int, tuple[Live, AnsweredRow]],
        request: str,
        at_us: int,
    ) -> list[Observation]:
        """Let the challenger answer its rows; those that it cannot stay open. A child that is still starting is not judged."""
        live, own = duel.challenger, duel.fields_of(duel.challenger)
        if self._pool.pid(live.candidate) is None:
            self._warm(live)
            if live.deployment.id not in self._died:
                return []
            return [_observation(duel, "challenger", request, at_us, 1, "its process died and is being started again")]
        given = [_without(row, own) for row in rows] if own else rows
        began = time.perf_counter()
        try:
            answers = self._answerer.answer(live, given, at_us, _PATIENCE)
        except ModelUnavailable as error:
            self._died.add(live.deployment.id)
            self._warm(live)
            return [_observation(duel, "challenger", request, at_us, 1, _cause(error))]
        except BucleError:
            answers = self._answerer.answer_each(live, given, at_us, _PATIENCE)
        took = time.perf_counter() - began
        for place, answer in zip(places, answers, strict=True):
            if isinstance(answer, AnsweredRow):
                found[place] = (live, answer)
        return [_of_answers(duel, "challenger", request, at_us, answers, took)]

    def _answer_rest(
        self,
        duel: Duel,
        rows: Sequence[Record],
        places: Sequence[int],
        ours: int,
        found: dict[int, tuple[Live, AnsweredRow]],
        seen: list[Observation],
        request: str,
        at_us: int,
    ) -> None:
        """Let the champion answer its own rows, `ours` of them, and those that the challenger left."""
        began = time.perf_counter()
        try:
            answers = self._answerer.answer(duel.champion, rows, at_us, checked=True)
        except ModelUnavailable as error:
            raise PartFailed(error, [*seen, _observation(duel, "champion", request, at_us, 1, _cause(error))]) from error
        took = time.perf_counter() - began
        if ours:
            part = answers if ours == len(rows) else answers[:ours]
            seen.append(_of_answers(duel, "champion", request, at_us, part, took if ours == len(rows) else None))
        try:
            answered = all_answered(answers)
        except BucleError as error:
            raise PartFailed(error, seen) from error
        found.update((place, (duel.champion, answer)) for place, answer in zip(places, answered, strict=True))

    def _warm(self, live: Live) -> None:
        """Start the challenger's child without making anybody wait for it."""
        id = live.deployment.id
        with self._guard:
            if id in self._warming:
                return
            self._warming.add(id)

        def start() -> None:
            try:
                self._pool.warm(live.candidate)
                self._died.discard(id)
                self._settle()
            except Exception:
                self._died.add(id)
                _log.exception("the challenger %s cannot be started", id)
            finally:
                with self._guard:
                    self._warming.discard(id)

        threading.Thread(target=start, name="bucle-challenger", daemon=True).start()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self._score(task)
            except Exception:  # a full disk, say: a shadow that is lost is no evidence, and nobody was waiting for it
                _log.exception("a shadow could not be scored")
            finally:
                with self._guard:
                    self._busy -= 1

    def _score(self, task: ShadowTask) -> None:
        duel, own = task.duel, task.duel.fields_of(task.duel.challenger)
        rows = [_without(row, own) for row in task.rows] if own else task.rows
        try:
            answers = self._answerer.answer(duel.challenger, rows, task.at_us, _SHADOW_PATIENCE)
            seen = _of_answers(duel, "challenger", task.request, task.at_us, answers, None)
        except ModelUnavailable as error:
            answers = [error] * len(rows)
            seen = _observation(duel, "challenger", task.request, task.at_us, 1, _cause(error))
        except BucleError:
            answers = self._answerer.answer_each(duel.challenger, rows, task.at_us, _SHADOW_PATIENCE)
            seen = _of_answers(duel, "challenger", task.request, task.at_us, answers, None)
        shadows = [_shadow(task, id, answer) for id, answer in zip(task.predictions, answers, strict=True)]
        self._log.enter(LoggedEntry([], [seen], shadows))
        self.tell(duel.split.rollout, urgent=seen.failed > 0)


def _without(row: Record, fields: frozenset[str]) -> Record:
    return {name: value for name, value in row.items() if name not in fields}


def _shadow(task: ShadowTask, prediction: str, answer: Answered) -> ShadowRow:
    output, cause = (answer.output, "") if isinstance(answer, AnsweredRow) else (None, _cause(answer))
    split, challenger = task.duel.split, task.duel.challenger.deployment.id
    return ShadowRow(prediction, split.rollout, challenger, output, cause, _now_us(), task.at_us)


def _of_answers(
    duel: Duel, arm: Arm, request: str, at_us: int, answers: Sequence[Answered], seconds: float | None
) -> Observation:
    errors = [answer for answer in answers if isinstance(answer, BucleError)]
    comparable = seconds if len(answers) <= COMPARABLE_ROWS and not errors and duel.split.mode == "canary" else None
    cause, split = (_cause(errors[0]) if errors else ""), duel.split
    seen = (split.rollout, split.step, arm, len(answers), len(errors), comparable, cause)
    return Observation(*seen, request, _now_us(), at_us)


def _observation(duel: Duel, arm: Arm, request: str, at_us: int, failed: int, cause: str) -> Observation:
    split = duel.split
    return Observation(split.rollout, split.step, arm, failed, failed, None, cause, request, _now_us(), at_us)


def _cause(error: BucleError) -> str:
    return f"{error.code}: {error.text}"[:_LONGEST_CAUSE]


def _now_us() -> int:
    return time.time_ns() // 1000
