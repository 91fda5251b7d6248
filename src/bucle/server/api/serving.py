"""Routes of serving: predictions, labels, the prediction log, what is deployed."""

from pathlib import Path

import msgspec

from bucle.ledger import Scope, Subscription, UnknownId
from bucle.server.errors import BadParameter
from bucle.server.house import Explanation, House
from bucle.server.routing import MEBIBYTE, Body, Call, Route, act_again
from bucle.serving import (
    KINDS,
    LARGEST_LABEL_BATCH,
    Batches,
    Caller,
    Deployment,
    LabelReceipt,
    LabelRow,
    LoggedPrediction,
    Predictions,
    Services,
    TooManyRows,
    Value,
    callers,
    current_deployment,
    get_prediction,
    list_deployments,
    prediction_causes,
    recent_predictions,
    record_labels,
    runner_starter,
    standby_deployment,
)

_SERVICE = "/api/v1/projects/{project}/services/{service}"


def compose(house: House) -> None:
    """Put the services in: children are started on first use, the prediction log is shipped in the background."""
    folder = house.home.folder("spool") / "predictions"
    power = house.ledger.durability == "power"
    starter = runner_starter(house.home, house.artifacts.root, seeds=house.runners.seeds)
    services = Services(house.ledger, folder, starter, power=power)
    house.add(services)
    changes = ("serving.deployed", "serving.withdrawn", "serving.challenger_withdrawn")
    house.subscribe(Subscription("serving-settle", changes, lambda event: services.settle()))
    house.add(Batches(house.home, house.artifacts, house.runners, services))
    house.on_start(services.start)
    house.on_stop(services.close)
    house.explain_with(lambda id: _explain(house, id))


class PredictBody(Body, frozen=True):
    """Rows to predict: an object for each, with the fields that the service takes."""

    rows: list[dict[str, Value]]


class LabelsBody(Body, frozen=True):
    """Outcomes that became known."""

    labels: list[LabelRow]


class ServiceView(msgspec.Struct, frozen=True):
    """A service and what answers for it; `fields` are the inputs that a request gives, with their types.

    `pid` is the child that holds the model, None while there is none; `standby` is what a rollback would restore.
    """

    name: str
    environment: str
    deployment: str
    model: str
    version: int
    model_version: str
    release: str
    state: str
    since: str
    event: int
    key: str | None
    threshold: float | None
    label: str
    fields: dict[str, str]
    features: list[str]
    pid: int | None
    standby: str | None


def read_services(call: Call) -> list[ServiceView]:
    """Return the services of an environment that have ever been deployed."""
    with call.house.ledger.read() as reader:
        names = sorted({each.service for each in list_deployments(reader, call.scope, limit=1000)})
    return [_view(call, name) for name in names]


def read_service(call: Call) -> ServiceView:
    """Return a service and what answers for it. Raises `serving/nothing-deployed`."""
    return _view(call, call.path["service"])


def read_deployments(call: Call) -> list[Deployment]:
    """Return the deployments of a service, newest first."""
    with call.house.ledger.read() as reader:
        return list_deployments(reader, call.scope, call.path["service"], call.number("limit", 50, 1, 1000))


def predict(call: Call) -> Predictions:
    """Answer rows."""
    body: PredictBody = call.body
    return call.house.part(Services).predict(call.scope, call.path["service"], body.rows, client=call.client)


def predict_file(call: Call) -> Predictions:
    """Answer the rows of a file, each with the features of its own moment from the offline store."""
    kind = call.query.get("format", "")
    if kind not in KINDS:
        raise BadParameter(name="format", value=kind[:100], expected=", ".join(KINDS), where="query.format")
    batches = call.house.part(Batches)
    return batches.predict(call.scope, call.path["service"], call.body, kind, name="the file", client=call.client)


def label(call: Call) -> LabelReceipt:
    """Record outcomes, all or none."""
    body: LabelsBody = call.body
    if len(body.labels) > LARGEST_LABEL_BATCH:
        raise TooManyRows(rows=len(body.labels), limit=LARGEST_LABEL_BATCH)
    call.house.part(Services).flush()
    with call.house.ledger.write() as tx:
        return record_labels(tx, call.scope, call.path["service"], body.labels)


def read_predictions(call: Call) -> list[LoggedPrediction]:
    """Return the newest predictions of a service with their labels."""
    call.house.part(Services).flush()
    with call.house.ledger.read() as reader:
        found = recent_predictions(reader, call.scope, call.path["service"], call.number("limit", 100, 1, 10_000))
    note_reading(call, call.scope, call.path["service"], len(found))
    return found


def read_prediction(call: Call) -> LoggedPrediction:
    """Return one prediction with its inputs and its label. Raises `ledger/unknown-id`."""
    call.house.part(Services).flush()
    with call.house.ledger.read() as reader:
        found = get_prediction(reader, call.path["prediction"])
    if found is None or Scope(found.project, found.environment) != call.scope:
        raise UnknownId(id=call.path["prediction"])
    note_reading(call, call.scope, found.service, 1)
    return found


def note_reading(call: Call, scope: Scope, service: str, predictions: int) -> None:
    """Count that the caller was given stored predictions, if it was given any (S-03)."""
    if predictions:
        now_us = call.house.ledger.clock.now_us()
        call.house.part(Services).readings.note(scope, service, call.client, predictions, now_us)


def read_callers(call: Call) -> list[Caller]:
    """Return who has called a service, by which client (S-03)."""
    call.house.part(Services).flush()
    with call.house.ledger.read() as reader:
        return callers(reader, call.scope, call.path["service"])


def _explain(house: House, id: str) -> Explanation | None:
    """Say what a prediction goes back to: predictions are not events, but each names its deployment."""
    if not id.startswith("pred_"):
        return None
    house.part(Services).flush()
    with house.ledger.read() as reader:
        found = get_prediction(reader, id)
        causes = prediction_causes(reader, id)
    if found is None:
        return None
    made_from = ((found.deployment, "answered"), (found.model_version, "model"))
    return Explanation("prediction", found.project, found.environment, causes, made_from)


def _view(call: Call, service: str) -> ServiceView:
    services = call.house.part(Services)
    with call.house.ledger.read() as reader:
        deployment = current_deployment(reader, call.scope, service)
        standby = standby_deployment(reader, call.scope, service)
    deployment = deployment or services.current(call.scope, service)
    candidate, contract = deployment.candidate, deployment.candidate.contract
    return ServiceView(
        name=service,
        environment=deployment.environment,
        deployment=deployment.id,
        model=candidate.model,
        version=candidate.version,
        model_version=candidate.model_version,
        release=candidate.release,
        state=deployment.state,
        since=deployment.as_of.isoformat(),
        event=deployment.event,
        key=contract.key,
        threshold=contract.threshold,
        label=contract.label,
        fields=contract.fields,
        features=[column.name for column in contract.inputs if column.view is not None],
        pid=services.pool.pid(candidate),
        standby=standby.id if standby else None,
    )


ROUTES = [
    Route("GET", "/api/v1/projects/{project}/services", read_services, "serving.read", "Services and what answers for them"),
    Route("GET", _SERVICE, read_service, "serving.read", "One service"),
    Route("GET", f"{_SERVICE}/deployments", read_deployments, "serving.read", "Its deployments", query=("limit",)),
    Route("GET", f"{_SERVICE}/predictions", read_predictions, "serving.read", "Its newest predictions", query=("limit",)),
    Route("GET", f"{_SERVICE}/callers", read_callers, "serving.read", "Who calls it"),
    Route(
        "POST",
        f"{_SERVICE}/predict",
        predict,
        "serving.predict",
        "Predict rows",
        PredictBody,
        limit=8 * MEBIBYTE,
        recall=act_again,
    ),
    Route(
        "POST",
        f"{_SERVICE}/batch",
        predict_file,
        "serving.predict",
        "Predict the rows of a file, features as of each row's moment",
        Path,
        query=("format",),
        recall=act_again,
        limit=256 * MEBIBYTE,
    ),
    Route("POST", f"{_SERVICE}/labels", label, "serving.label", "Send outcomes", LabelsBody, limit=8 * MEBIBYTE),
    Route(
        "GET",
        "/api/v1/projects/{project}/predictions/{prediction}",
        read_prediction,
        "serving.read",
        "One prediction and its label",
    ),
]
