"""Predictions: from the rows of a request, through features and model, to logged answers."""

import contextvars
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from bucle.errors import BucleError
from bucle.ledger import Ledger, Reader, Scope, current_context, from_us, new_id
from bucle.runtimes import Runner
from bucle.serving import store
from bucle.serving.contract import ClassLabel, Contract, Encoded, Encoder, Record, Value
from bucle.serving.deployments import Candidate, Deployment, active_deployments, get_deployment
from bucle.serving.errors import EmptyRequest, NotANumber, NothingDeployed, TooManyRows
from bucle.serving.log import LoggedRequest, LoggedRow, PredictionLog, Shipper
from bucle.serving.pool import ServicePool
from bucle.serving.repeats import LoggedAnswer, Repeats
from bucle.serving.traffic import Meter

LARGEST_REQUEST = 1000
"""Rows that one request may have."""


class Prediction(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer: the probability of the label (or the value, or the place of the class), and the class decided for.

    `id` names the prediction for `bucle why`, `key` is the request's, `unseen` the inputs whose category training never saw.
    Of a regression `label` is None.
    """

    id: str
    key: Value
    prediction: float
    label: ClassLabel | None = None
    unseen: tuple[str, ...] = ()


class Predictions(msgspec.Struct, frozen=True):
    """The answers to a request in the order of its rows, and which model version gave them.

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


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A row that a model answered: its key, the moment of its features (microseconds UTC), inputs in signature order."""

    key: Value
    moment_us: int
    inputs: list[Value]
    output: float
    unseen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Live:
    """A deployment with what its first use compiled."""

    deployment: Deployment
    encoder: Encoder


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
        self._repeats = Repeats(ledger, self.flush, inherited=self.log.waiting > 0)
        self._live: dict[str, _Live] = {}
        self._shipper = Shipper(self.flush)

    def start(self) -> None:
        """Ship the prediction log in the background until `close`."""
        self._shipper.start()

    def close(self) -> None:
        """Ship what waits, stop the children."""
        self._shipper.stop()
        self.flush()
        self.log.close()
        self.pool.close()

    def flush(self) -> None:
        """Bring what was predicted and counted until now into the ledger, on nobody's account but its own."""
        waiting = self._repeats.waiting()
        contextvars.Context().run(self.log.ship)
        self._repeats.shipped(waiting)
        contextvars.Context().run(self.meter.save, self._ledger, time.time_ns() // 1000)

    def settle(self) -> None:
        """Close the children of deployments that neither answer nor stand by; call after a deployment changed."""
        with self._ledger.read() as reader:
            active = active_deployments(reader)
        self.pool.keep(deployment.candidate for deployment in active)
        wanted = {deployment.id for deployment in active}
        self._live = {id: live for id, live in self._live.items() if id in wanted}

    def current(self, scope: Scope, service: str) -> Deployment:
        """Return the deployment that answers now. Raises `serving/nothing-deployed`."""
        return self._current(scope, service).deployment

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
        earlier = self._repeats.logged(self._repeats.request_id())
        if earlier:
            return self._again(earlier, rows)
        live = self._current(scope, service)
        try:
            self._check_size(rows)
            live.encoder.check(rows)
            as_of_us = self._ledger.clock.now_us()
            features = self._features(scope, live.encoder.contract, rows, as_of_us)
            encoded = live.encoder.encode(rows, features)
            answered = self._answered(live.deployment, rows, encoded, as_of_us)
            answer = self.answer(live.deployment, answered, "online", client)
        except BucleError as error:
            self.meter.refused(scope, service, by_request=error.status < 500, nonfinite=isinstance(error, NotANumber))
            raise
        unseen = sum(len(prediction.unseen) for prediction in answer.predictions)
        self.meter.answered(scope, service, len(rows), unseen, time.perf_counter() - began)
        return answer

    def answer(
        self, deployment: Deployment, rows: Sequence[AnsweredRow], store: str, client: str, part: int = 0
    ) -> Predictions:
        """Log what a deployment's model answered, features from `store`, and return it. Raises `serving/log-full`.

        `part` counts the pieces of a request; one that was logged when the request came before is not logged again.
        """
        request = self._repeats.request_id(part)
        ids = [each.id for each in self._repeats.logged(request)] if store == "offline" else []
        if not ids:
            ids = [new_id("pred") for _ in rows]
            keys = (None if row.key is None else str(row.key) for row in rows)
            entries = zip(ids, keys, rows, strict=True)
            logged = [LoggedRow(id, key, row.moment_us, row.inputs, row.output) for id, key, row in entries]
            self._log(request, deployment, logged, store, client)
        return _answer(deployment, request, ids, rows)

    def _again(self, earlier: Sequence[LoggedAnswer], rows: Sequence[Record]) -> Predictions:
        """Return what a request was answered before: by the deployment of that time, whichever answers now."""
        with self._ledger.read() as reader:
            live = self._loaded(reader, earlier[0].deployment)
        key = live.encoder.contract.key
        answered = [
            AnsweredRow(row[key] if key else None, 0, each.inputs, each.output, live.encoder.unseen(each.inputs))
            for each, row in zip(earlier, rows, strict=True)
        ]
        return _answer(live.deployment, self._repeats.request_id(), [each.id for each in earlier], answered)

    def _answered(self, deployment: Deployment, rows: Sequence[Record], encoded: Encoded, at_us: int) -> list[AnsweredRow]:
        key = deployment.candidate.contract.key
        outputs = self._infer(deployment, encoded)
        return [
            AnsweredRow(row[key] if key else None, at_us, values, output, unseen)
            for row, values, output, unseen in zip(rows, encoded.values, outputs, encoded.unseen, strict=True)
        ]

    def _infer(self, deployment: Deployment, encoded: Encoded) -> list[float]:
        candidate = deployment.candidate
        finite: list[float] = []
        for number, output in enumerate(self.pool.infer(candidate, encoded.vectors)):
            if output is None:
                raise NotANumber(model=candidate.model, version=candidate.version, row=number, service=candidate.service)
            finite.append(output)
        return finite

    def _log(self, request: str, deployment: Deployment, rows: list[LoggedRow], store: str, client: str) -> None:
        self.log.append(
            LoggedRequest(
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
                rows=rows,
            )
        )
        self._repeats.note(request)

    def _current(self, scope: Scope, service: str) -> _Live:
        with self._ledger.read() as reader:
            row = reader.row(store.SELECT_CURRENT_ID, (scope.project, scope.environment, service))
            if row is None:
                raise NothingDeployed(service=service, environment=scope.environment)
            return self._loaded(reader, row[0])

    def _loaded(self, reader: Reader, id: str) -> _Live:
        live = self._live.get(id)
        if live is None:
            deployment = get_deployment(reader, id)
            live = self._live[id] = _Live(deployment, Encoder(deployment.candidate.contract))
        return live

    def _check_size(self, rows: Sequence[Record]) -> None:
        if not rows:
            raise EmptyRequest()
        if len(rows) > LARGEST_REQUEST:
            raise TooManyRows(rows=len(rows), limit=LARGEST_REQUEST)

    def _features(self, scope: Scope, contract: Contract, rows: Sequence[Record], at_us: int) -> list[Record]:
        """Read the features of each distinct entity once, as of `at_us`."""
        from bucle.features import read_online_rows

        if not contract.views:
            return [{}] * len(rows)
        names = sorted({key for view in contract.views for key in view.spine_keys})
        entities = [tuple(row[name] for name in names) for row in rows]
        distinct = list(dict.fromkeys(entities))
        keys = [dict(zip(names, entity, strict=True)) for entity in distinct]
        values = read_online_rows(self._ledger, scope, contract.views, keys, from_us(at_us))
        found = dict(zip(distinct, cast(list[Record], values), strict=True))
        return [found[entity] for entity in entities]


def _answer(deployment: Deployment, request: str, ids: Sequence[str], rows: Sequence[AnsweredRow]) -> Predictions:
    candidate, contract = deployment.candidate, deployment.candidate.contract
    return Predictions(
        request=request,
        service=candidate.service,
        deployment=deployment.id,
        model=candidate.model,
        version=candidate.version,
        model_version=candidate.model_version,
        kind=contract.kind,
        label=contract.label,
        threshold=contract.threshold,
        predictions=[
            Prediction(id, row.key, row.output, contract.decision(row.output), row.unseen)
            for id, row in zip(ids, rows, strict=True)
        ],
    )
