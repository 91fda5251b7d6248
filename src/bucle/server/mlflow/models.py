"""Logged models of the MLflow protocol, and what runs say that they read and made."""

from collections.abc import Callable
from typing import Any

import msgspec

from bucle.ledger import Reader, Transaction, within
from bucle.server.mlflow.errors import DoesNotExist, InvalidParameter
from bucle.server.mlflow.experiments import check_active, experiment_of
from bucle.server.mlflow.naming import random_name
from bucle.server.mlflow.reading import LONGEST_PARAM, LONGEST_TAG, Field, at_most, invalid, missing, pairs_of, values_of
from bucle.server.mlflow.runs import script_of
from bucle.server.mlflow.scopes import logged_model_of, run_of, scope_of
from bucle.server.mlflow.searching import condition_of, refused
from bucle.server.mlflow.wire import (
    DATASET_READ,
    MODEL_MADE,
    MODEL_READ,
    Empty,
    ModelMessage,
    OneModel,
    milliseconds,
    model_message,
    outer_id,
)
from bucle.server.routing import Call
from bucle.tracking import (
    Comparison,
    LoggedModel,
    Note,
    RunLog,
    UnknownTag,
    change_logged_model,
    get_experiment,
    get_logged_model,
    list_logged_models,
    log_model,
    matches,
    record,
    run_hex,
    tag_logged_model,
    untag_logged_model,
)

_STATUSES = {"LOGGED_MODEL_READY": "ready", "LOGGED_MODEL_UPLOAD_FAILED": "failed", 2: "ready", 3: "failed"}
_PAGE, _MOST_PAGE = 100, 1000


class Models(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of logged models."""

    models: list[ModelMessage] = []
    next_page_token: str = ""


def create(call: Call) -> OneModel:
    """Enter a logged model whose files are still to come."""
    given = values_of(
        call,
        Field("experiment_id", required=True),
        Field("name"),
        Field("model_type"),
        Field("source_run_id"),
        Field("params", "array"),
        Field("tags", "array"),
    )
    name = _checked_name(given["name"]) if given["name"] else random_name()
    params = pairs_of(given["params"] or (), "params", LONGEST_PARAM)
    tags = pairs_of(given["tags"] or (), "tags", LONGEST_TAG)
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        experiment = experiment_of(tx, scope.project, given["experiment_id"])
        check_active(experiment)
        source = run_of(call, tx, scope, given["source_run_id"], "tracking.write").id if given["source_run_id"] else None
        model_type = at_most("model_type", 250, given["model_type"] or "")
        id = log_model(tx, experiment.id, name, model_type=model_type, source_run=source, params=params, tags=tags)
        return _one(tx, get_logged_model(tx, scope.project, id))


def get(call: Call) -> OneModel:
    """Return a logged model."""
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        return _one(reader, logged_model_of(call, reader, scope, call.path["model"], "tracking.read"))


def finalize(call: Call) -> OneModel:
    """Say that a model's files are all there, or failed to come."""
    given = call_status(call)
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        held = logged_model_of(call, tx, scope, call.path["model"], "tracking.write")
        change_logged_model(tx, scope.project, held.id, status=given)
        return _one(tx, get_logged_model(tx, scope.project, held.id))


def delete(call: Call) -> Empty:
    """Delete a logged model; its files stay as long as lineage holds them."""
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        held = logged_model_of(call, tx, scope, call.path["model"], "tracking.write")
        change_logged_model(tx, scope.project, held.id, stage="deleted")
    return Empty()


def set_tags(call: Call) -> OneModel:
    """Set tags of a logged model."""
    tags = pairs_of(values_of(call, Field("tags", "array"))["tags"] or (), "tags", LONGEST_TAG)
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        held = logged_model_of(call, tx, scope, call.path["model"], "tracking.write")
        tag_logged_model(tx, scope.project, held.id, tags)
        return _one(tx, get_logged_model(tx, scope.project, held.id))


def delete_tag(call: Call) -> Empty:
    """Remove a tag of a logged model."""
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        held = logged_model_of(call, tx, scope, call.path["model"], "tracking.write")
        try:
            untag_logged_model(tx, scope.project, held.id, call.path["key"])
        except UnknownTag:
            text = f"No tag with key {call.path['key'][:100]!r} found for model with ID {held.id!r}."
            raise DoesNotExist(text=text, where="key") from None
    return Empty()


def log_inputs(call: Call) -> Empty:
    """Note the datasets and models that a run read."""
    given = values_of(call, Field("run_id", required=True), Field("datasets", "array"), Field("models", "array"))
    notes = [Note(DATASET_READ, _dataset(each, place)) for place, each in enumerate(given["datasets"] or ())]
    notes += [Note(MODEL_READ, {"model_id": _model_id(each, place)}) for place, each in enumerate(given["models"] or ())]
    return _note(call, given["run_id"], notes)


def log_outputs(call: Call) -> Empty:
    """Note the models that a run made."""
    given = values_of(call, Field("run_id", required=True), Field("models", "array"))
    notes = [
        Note(MODEL_MADE, {"model_id": _model_id(each, place), "step": int(each.get("step") or 0)})
        for place, each in enumerate(given["models"] or ())
    ]
    return _note(call, given["run_id"], notes)


def call_status(call: Call) -> Any:
    """Return the status that a request gives a model. Raises `mlflow/invalid-parameter`."""
    status = msgspec.json.decode(call.body).get("status") if call.body else None
    if status not in _STATUSES:
        raise invalid("status", status)
    return _STATUSES[status]


def _one(reader: Reader | Transaction, held: LoggedModel) -> OneModel:
    return OneModel(_message(reader, held))


def _message(reader: Reader | Transaction, held: LoggedModel) -> ModelMessage:
    return model_message(held, outer_id(get_experiment(reader, held.project, held.experiment)))


def _checked_name(name: str) -> str:
    if not name.strip() or any(each in name for each in "/:.%\"'"):
        text = f"Invalid model name ({name[:100]!r}) provided. Model name must be a non-empty string and cannot contain the "
        raise InvalidParameter(text=text + "following characters: ('/', ':', '.', '%', '\"', \"'\")", where="name")
    return at_most("name", 250, name)


def _dataset(entry: Any, place: int) -> dict[str, Any]:
    path = f"datasets[{place}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("dataset"), dict):
        raise missing(f"{path}.dataset")
    dataset = {name: value for name, value in entry["dataset"].items() if isinstance(value, str)}
    for name in ("name", "digest", "source_type", "source"):
        if not dataset.get(name):
            raise missing(f"{path}.dataset.{name}")
    tags = pairs_of(entry.get("tags") or (), f"{path}.tags", 500)
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()], "dataset": dataset}


def _model_id(entry: Any, place: int) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("model_id"), str):
        raise missing(f"models[{place}].model_id")
    return str(entry["model_id"])


def _note(call: Call, digits: str, notes: list[Note]) -> Empty:
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        record(tx, script_of(call, tx, digits).id, RunLog(notes=notes))
    return Empty()


def search(call: Call) -> Models:
    """Return the logged models of experiments, newest first, a page at a time."""
    given = values_of(
        call, Field("experiment_ids", "strings"), Field("filter"), Field("max_results", "int"), Field("page_token")
    )
    condition = condition_of(given["filter"])
    limit = min(given["max_results"] or _PAGE, _MOST_PAGE)
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        ids = tuple(experiment_of(reader, scope.project, each).id for each in given["experiment_ids"] or ())
        held = [each for each in list_logged_models(reader, scope.project, ids) if matches(condition, _lookup(each))]
        start = next((place + 1 for place, each in enumerate(held) if each.id == given["page_token"]), 0)
        page = held[start : start + limit]
        more = len(held) > start + limit
        return Models([_message(reader, each) for each in page], page[-1].id if more else "")


def _lookup(held: LoggedModel) -> Callable[[Comparison], str | float | None]:
    attributes: dict[str, str | float | None] = {
        "name": held.name,
        "model_id": held.id,
        "model_type": held.model_type,
        "status": held.status.upper(),
        "source_run_id": run_hex(held.source_run) if held.source_run else None,
        "creation_timestamp": float(milliseconds(held.created)),
        "last_updated_timestamp": float(milliseconds(held.changed)),
    }

    def lookup(asked: Comparison) -> str | float | None:
        if asked.entity in ("param", "params"):
            return held.params.get(asked.key)
        if asked.entity in ("tag", "tags"):
            return held.tags.get(asked.key)
        if asked.entity not in ("", "attribute", "attributes") or asked.key not in attributes:
            raise refused(asked, f"Invalid attribute key '{asked.key}' specified. Valid keys are '{sorted(attributes)}'")
        return attributes[asked.key]

    return lookup
