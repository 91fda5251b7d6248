"""Watching rollouts: a thread that takes in what was seen of the arms, soon after each request, and does what it asks for.

What a rollout knows lies in the ledger; a process that dies takes nothing of it along, the next one goes on from there.
"""

import contextvars
import logging
import threading
from dataclasses import replace

from bucle.delivery.rollouts import store
from bucle.delivery.rollouts.moving import decide
from bucle.delivery.rollouts.rollout import Point, Rollout
from bucle.ledger import Home, StoredEvent, Subscription, Transaction, acting, within
from bucle.serving import Services, count_pairs, fresh_pairs, get_deployment, observations_after

_CALM_SECONDS = 0.25
"""How long good news may wait to be judged; a failure is judged at once."""
_POINTS_A_STEP = 50
_log = logging.getLogger(__name__)


class RolloutWatch:
    """Judges the rollouts of a home. Its thread starts with the first news."""

    def __init__(self, home: Home, services: Services) -> None:
        self._home, self._services = home, services
        self.turn = threading.RLock()
        """Held by whoever moves a rollout."""
        self._guard = threading.Lock()
        self._news, self._urgent, self._stop = threading.Event(), threading.Event(), threading.Event()
        self._told, self._judged = 0, 0
        self._labels_came = True
        self._thread: threading.Thread | None = None
        services.arms.watched_by(self.tell)

    def start(self) -> None:
        """Go on with the rollouts that an earlier process left: start their models, judge what it had seen."""
        with self._home.ledger.read() as reader:
            running = store.select_running(reader)
        if running:
            threading.Thread(target=self._warm, args=(running,), name="bucle-rollout-warm", daemon=True).start()
            self.wake()

    def tell(self, rollout: str, urgent: bool) -> None:
        """Take notice of something seen; called in the way of requests, so it only rings."""
        self.wake(urgent=urgent)

    def wake(self, *, urgent: bool = True) -> None:
        """Have the rollouts judged soon."""
        with self._guard:
            self._told += 1
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="bucle-rollouts", daemon=True)
                self._thread.start()
        if urgent:
            self._urgent.set()
        self._news.set()

    def subscription(self) -> Subscription:
        """Return what else is news: labels, and the hours, since a step may not last for ever."""

        def handle(event: StoredEvent) -> None:
            with self._home.ledger.read() as reader:
                running = store.select_running(reader)
            if running:
                self._labels_came = True
                self.wake()

        return Subscription("rollouts-news", ("serving.labels_recorded", "ledger.ticked"), handle)

    def activity(self) -> str | None:
        """Return what is not judged yet, None when all is: a replay clock waits for it."""
        if self._services.arms.waiting:
            return "a shadow"
        if self._told == self._judged or self._stop.is_set():
            return None
        self._urgent.set()  # who asks is waiting
        return "a rollout"

    def judge(self, *, labels: bool = True) -> None:
        """Take in everything that was seen until now, on nobody's account but its own; look for `labels` too."""
        self._services.ship()
        with self._home.ledger.read() as reader:
            running = store.select_running(reader)
        for rollout in running:
            contextvars.Context().run(self._judge, rollout, labels)

    def close(self) -> None:
        """Judge a last time and stop."""
        with self._guard:
            self._stop.set()
        self._news.set()
        self._urgent.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            self._news.wait()
            stopping = self._stop.is_set()
            if not stopping and not self._urgent.is_set():
                self._urgent.wait(_CALM_SECONDS)
            self._news.clear()
            self._urgent.clear()
            told, labels, self._labels_came = self._told, self._labels_came or stopping, False
            try:
                self.judge(labels=labels)
            except Exception:  # a full disk, say: what was seen lies in the spool or the ledger, and the next news tries again
                _log.exception("the rollouts could not be judged")
            self._judged = told
            if stopping:
                return

    def _judge(self, running: Rollout, labels: bool) -> None:
        with self.turn, acting("delivery", "system"), within(running.scope), self._home.ledger.write() as tx:
            rollout = store.select_rollout(tx, running.project, running.id)
            if rollout is None or rollout.state != "running":
                return
            after = taken_in(tx, rollout, labels)
            changed = after.evidence != rollout.evidence
            if changed:
                store.save_evidence(tx, after)
            moved = decide(tx, after, tx.clock.now())
            if moved or (changed and _grown(store.last_point(tx, after.id), after)):
                store.insert_point(tx, after)

    def _warm(self, running: list[Rollout]) -> None:
        for rollout in running:
            for id in (rollout.champion, rollout.challenger):
                try:
                    with self._home.ledger.read() as reader:
                        candidate = get_deployment(reader, id).candidate
                    self._services.pool.warm(candidate)
                except Exception:
                    _log.exception("a model of the rollout %s cannot be started", rollout.id)


def taken_in(tx: Transaction, rollout: Rollout, labels: bool) -> Rollout:
    """Return a rollout with all that was seen since, and if wanted the pairs whose labels came; a pair counts once."""
    evidence = rollout.evidence
    while observations := observations_after(tx, rollout.id, evidence.seen):
        evidence = evidence.after(observations, rollout.step)
    if labels and "shadow" in rollout.policy.strategy:
        pairs = fresh_pairs(tx, rollout.id, rollout.maturity)
        count_pairs(tx, rollout.id, pairs)
        evidence = evidence.with_pairs(pairs, rollout.kind)
    return replace(rollout, evidence=evidence)


def _grown(last: Point | None, rollout: Rollout) -> bool:
    """Whether there is so much more evidence than at the last point that it is worth another."""
    if last is None:
        return True
    rows = rollout.evidence.errors.challenger.requests - last.challenger_rows
    labelled = rollout.evidence.loss.rows - last.labelled
    failed = rollout.evidence.errors.challenger.failed > last.challenger_failed
    policy = rollout.policy
    return failed or rows * _POINTS_A_STEP >= policy.requests or labelled * _POINTS_A_STEP >= max(1, policy.labels)
