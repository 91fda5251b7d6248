"""Predictions: the rows of a request are answered by what is deployed, logged, and given back."""

import contextvars
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bucle.errors import BucleError
from bucle.ledger import Ledger, Reader, Scope, current_context, new_id
from bucle.runtimes import Runner
from bucle.serving import store
from bucle.serving.answering import AnsweredRow, Answerer, Live, all_answered
from bucle.serving.arms import Arms, Duel, PartFailed, ShadowTask
from bucle.serving.contract import ClassLabel, Encoder, Record, Value
from bucle.serving.deployments import Candidate, Deployment, active_deployments, get_deployment
from bucle.serving.errors import EmptyRequest, NotANumber, NothingDeployed, TooManyRows
from bucle.serving.log import LoggedEntry, LoggedRequest, LoggedRow, PredictionLog, Shipper
from bucle.serving.pool import ServicePool
from bucle.serving.readings import Readings
from bucle.serving.repeats import LoggedAnswer, Repeats
from bucle.serving.splits import Split
from bucle.serving.traffic import Meter

LARGEST_REQUEST = 1000
"""Rows that one request may have."""


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer: the probability of the label (or the value, or the place of the class), and the class decided for.

    `id` names the prediction for `bucle why`, `key` is the request's, `unseen` the inputs whose category training never saw.
    Of a regression `label` is None. During a canary `arm` says who answered, "champion" or "challenger"; where that is not
    the deployment that the request names, `deployment`, `version` and `model_version` are the row's own.
    """

    id: str
    key: Value
    prediction: float
    label: ClassLabel | None = None
    unseen: tuple[str, ...] = ()
    arm: str = ""
    deployment: str = ""
    version: int = 0
    model_version: str = ""


class Predictions(msgspec.Struct, frozen=True):
    """The answers to a request in the order of its rows, and which model version gave them (or the first of them).

    `kind` says what the number is: the "probability" of `label`, its "class" or its "value".
    """

    request: str
    service: str
    deployment: str
    model: str
    version: int
    model_version: str
    kind: str
    label: str
    threshold: float | None
    predictions: list[Prediction]


class Services:
    """All services of a home: the children that hold their models, the prediction log, the counters."""

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        start: Callable[[Candidate], Runner],
        *,
        spool_limit: int = 64 << 20,
        power: bool = False,
    ) -> None:
        """Open the prediction log in `folder`; `start` starts a runner of a candidate's runtime and code."""
        self._ledger = ledger
        self.pool = ServicePool(start)
        self.log = PredictionLog(ledger, folder, limit=spool_limit, power=power)
        self.meter = Meter()
        self.readings = Readings()
        self._repeats = Repeats(ledger, self.flush, inherited=self.log.waiting > 0)
        self._live: dict[str, Live] = {}
        self._answerer = Answerer(ledger, self.pool)
        self.arms = Arms(self._answerer, self.pool, self.log, self.settle)
        self._shipper = Shipper(self.flush)

    def start(self) -> None:
        """Ship the prediction log in the background until `close`."""
        self._shipper.start()

    def close(self) -> None:
        """Ship what waits, stop the children."""
        self._shipper.stop()
        self.arms.close()
        self.flush()
        self.log.close()
        self.pool.close()

    def ship(self) -> None:
        """Bring what was predicted and seen until now into the ledger, on nobody's account but its own."""
        waiting = self._repeats.waiting()
        contextvars.Context().run(self.log.ship)
        self._repeats.shipped(waiting)

    def flush(self) -> None:
        """Bring what was predicted, seen and counted until now into the ledger."""
        self.ship()
        contextvars.Context().run(self.meter.save, self._ledger, time.time_ns() // 1000)
        contextvars.Context().run(self.readings.save, self._ledger)

    def settle(self) -> None:
        """Close the children of deployments that neither answer nor stand by; call after a deployment changed."""
        with self._ledger.read() as reader:
            active = active_deployments(reader)
        self.pool.keep(deployment.candidate for deployment in active)
        wanted = {deployment.id for deployment in active}
        self._live = {id: live for id, live in self._live.items() if id in wanted}

    def current(self, scope: Scope, service: str) -> Deployment:
        """Return the deployment that answers now. Raises `serving/nothing-deployed`."""
        return self._answering(scope, service)[0].deployment

    def named(self, service: str) -> list[Deployment]:
        """Return what answers now under a service's name, in all projects and environments of the home."""
        with self._ledger.read() as reader:
            ids = [row[0] for row in reader.rows(store.SELECT_CURRENT_NAMED, (service,))]
            return [self._loaded(reader, id).deployment for id in ids]

    def predict(self, scope: Scope, service: str, rows: Sequence[Record], *, client: str = "") -> Predictions:
        """Answer rows with the deployed model version and features of this moment of the home's clock; the answers are logged.

        A request that comes again with its Idempotency-Key gets the answer that was logged the first time.
        Raises `serving/nothing-deployed`, `serving/missing-input` and the other errors of requests (docs/errors.md).
        """
        began = time.perf_counter()
        request = self._repeats.request_id()
        earlier = self._repeats.logged(request)
        if earlier:
            key = self.deployment(earlier[0].deployment).candidate.contract.key
            return self._again(request, earlier, [row[key] if key else None for row in rows])
        live, duel = self._answering(scope, service)
        try:
            self._check_size(rows)
            answer = self._answer(live, rows, client) if duel is None else self._share(duel, rows, client)
        except BucleError as error:
            self.meter.refused(scope, service, by_request=error.status < 500, nonfinite=isinstance(error, NotANumber))
            raise
        unseen = sum(len(prediction.unseen) for prediction in answer.predictions)
        self.meter.answered(scope, service, len(rows), unseen, time.perf_counter() - began)
        return answer

    def deployment(self, id: str) -> Deployment:
        """Return a deployment, whether it answers now or not."""
        with self._ledger.read() as reader:
            return self._loaded(reader, id).deployment

    def earlier(self, part: int) -> Predictions | None:
        """Return what a part of the request at hand was answered when it came before; None when it is new."""
        request = self._repeats.request_id(part)
        logged = self._repeats.logged(request)
        return self._again(request, logged, [each.key for each in logged]) if logged else None

    def answer(
        self, deployment: Deployment, rows: Sequence[AnsweredRow], store: str, client: str, part: int = 0
    ) -> Predictions:
        """Log what a deployment's model answered, features from `store`, and return it. Raises `serving/log-full`.

        `part` counts the pieces of a request; one that was logged when the request came before is in `earlier`.
        """
        request = self._repeats.request_id(part)
        ids = [new_id("pred") for _ in rows]
        self.log.append(_logged(request, deployment, list(zip(ids, rows, strict=True)), store, client))
        self._repeats.note(request)
        return _answer(request, [(deployment, id, row) for id, row in zip(ids, rows, strict=True)])

    def _answer(self, live: Live, rows: Sequence[Record], client: str) -> Predictions:
        answers = self._answerer.answer(live, rows, self._ledger.clock.now_us())
        return self.answer(live.deployment, all_answered(answers), "online", client)

    def _share(self, duel: Duel, rows: Sequence[Record], client: str) -> Predictions:
        """Answer by both arms of a rollout; what they did is on disk before the answer leaves, or before the error does."""
        request, at_us = self._repeats.request_id(), self._ledger.clock.now_us()
        try:
            shared = self.arms.answer(duel, rows, request, at_us)
        except PartFailed as failed:
            self.log.enter(LoggedEntry([], failed.observations))
            self.arms.tell(duel.split.rollout, urgent=True)
            raise failed.error from failed
        answers = [(live.deployment, new_id("pred"), row) for live, row in shared.answers]
        parts: dict[str, list[tuple[str, AnsweredRow]]] = {}
        for deployment, id, row in answers:
            parts.setdefault(deployment.id, []).append((id, row))
        by_id = {live.deployment.id: live.deployment for live in (duel.champion, duel.challenger)}
        logged = [_logged(request, by_id[id], part, "online", client) for id, part in parts.items()]
        self.log.enter(LoggedEntry(logged, shared.observations))
        self._repeats.note(request)
        if duel.split.mode == "shadow":
            self.arms.shadow(ShadowTask(duel, request, tuple(id for _, id, _ in answers), list(rows), at_us))
        self.arms.tell(duel.split.rollout, urgent=any(each.failed for each in shared.observations))
        return _answer(request, answers, duel)

    def _again(self, request: str, earlier: Sequence[LoggedAnswer], keys: Sequence[Value]) -> Predictions:
        """Return what a request was answered before: by the deployments of that time, whichever answer now."""
        with self._ledger.read() as reader:
            lives = {id: self._loaded(reader, id) for id in {each.deployment for each in earlier}}
        answers: list[tuple[Deployment, str, AnsweredRow]] = []
        for each, key in zip(earlier, keys, strict=True):
            live = lives[each.deployment]
            answered = AnsweredRow(key, 0, each.inputs, each.output, live.encoder.unseen(each.inputs))
            answers.append((live.deployment, each.id, answered))
        return _answer(request, answers)

    def _answering(self, scope: Scope, service: str) -> tuple[Live, Duel | None]:
        """Return what answers for a service now and, during a rollout, both of its arms."""
        with self._ledger.read() as reader:
            row = reader.row(store.SELECT_ANSWERING, (scope.project, scope.environment, service))
            if row is None:
                raise NothingDeployed(service=service, environment=scope.environment)
            live = self._loaded(reader, row["id"])
            if row["rollout"] is None:
                return live, None
            split = Split(row["rollout"], row["step"], row["challenger"], row["mode"], row["share"])
            return live, Duel(split, live, self._loaded(reader, split.challenger))

    def _loaded(self, reader: Reader, id: str) -> Live:
        live = self._live.get(id)
        if live is None:
            deployment = get_deployment(reader, id)
            live = self._live[id] = Live(deployment, Encoder(deployment.candidate.contract))
        return live

    def _check_size(self, rows: Sequence[Record]) -> None:
        if not rows:
            raise EmptyRequest()
        if len(rows) > LARGEST_REQUEST:
            raise TooManyRows(rows=len(rows), limit=LARGEST_REQUEST)


def _logged(
    request: str, deployment: Deployment, rows: Sequence[tuple[str, AnsweredRow]], store: str, client: str
) -> LoggedRequest:
    logged = [
        LoggedRow(id, None if row.key is None else str(row.key), row.moment_us, row.inputs, row.output) for id, row in rows
    ]
    return LoggedRequest(
        request=request,
        project=deployment.project,
        environment=deployment.environment,
        service=deployment.service,
        deployment=deployment.id,
        model_version=deployment.candidate.model_version,
        event=deployment.event,
        caller=current_context().actor,
        client=client,
        store=store,
        at_us=time.time_ns() // 1000,
        rows=logged,
    )


def _answer(request: str, answers: Sequence[tuple[Deployment, str, AnsweredRow]], duel: Duel | None = None) -> Predictions:
    first = answers[0][0]
    canary = duel if duel is not None and duel.split.mode == "canary" else None
    candidate, contract = first.candidate, first.candidate.contract
    return Predictions(
        request=request,
        service=candidate.service,
        deployment=first.id,
        model=candidate.model,
        version=candidate.version,
        model_version=candidate.model_version,
        kind=contract.kind,
        label=contract.label,
        threshold=contract.threshold,
        predictions=[_prediction(deployment, id, row, first, canary) for deployment, id, row in answers],
    )


def _prediction(deployment: Deployment, id: str, row: AnsweredRow, first: Deployment, canary: Duel | None) -> Prediction:
    candidate = deployment.candidate
    given = (id, row.key, row.output, candidate.contract.decision(row.output), row.unseen)
    arm = "" if canary is None else "challenger" if deployment.id == canary.split.challenger else "champion"
    if deployment.id == first.id:
        return Prediction(*given, arm)
    return Prediction(*given, arm, deployment.id, candidate.version, candidate.model_version)
