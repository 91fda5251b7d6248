"""Experiments of the MLflow protocol."""

from bucle.ledger import Reader, Transaction, within
from bucle.server.mlflow.errors import AlreadyExists, DoesNotExist, InvalidParameter, InvalidState
from bucle.server.mlflow.reading import (
    LONGEST_EXPERIMENT_TAG,
    LONGEST_KEY,
    Field,
    at_most,
    checked_key,
    pairs_of,
    values_of,
)
from bucle.server.mlflow.scopes import scope_of
from bucle.server.mlflow.wire import DEFAULT, DEFAULT_NAME, Created, Empty, OneExperiment, experiment_message
from bucle.server.routing import Call
from bucle.tracking import (
    Experiment,
    ExperimentExists,
    NotActive,
    Stage,
    UnknownExperiment,
    change_experiment,
    create_experiment,
    experiment_named,
    get_experiment,
    tag_experiment,
)

_LONGEST_NAME = 250


def create(call: Call) -> Created:
    """Create an experiment."""
    given = values_of(call, Field("name", required=True), Field("artifact_location"), Field("tags", "array"))
    name = at_most("name", _LONGEST_NAME, given["name"])
    if given["artifact_location"]:
        text = "Artifacts are kept by this server: an experiment cannot have an artifact_location of its own."
        raise InvalidParameter(text=text, where="artifact_location")
    tags = pairs_of(given["tags"] or (), "tags", LONGEST_EXPERIMENT_TAG)
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        try:
            return Created(create_experiment(tx, scope.project, name, tags))
        except ExperimentExists as error:
            text = f"Experiment(name={name}) already exists. It is {error.fields['stage']}."
            raise AlreadyExists(text=text, where="name") from None


def get(call: Call) -> OneExperiment:
    """Return an experiment by its id."""
    given = values_of(call, Field("experiment_id", required=True))
    scope = scope_of(call, "tracking.read")
    if given["experiment_id"] == DEFAULT:
        _ensure_default(call)
    with call.house.ledger.read() as reader:
        return OneExperiment(experiment_message(experiment_of(reader, scope.project, given["experiment_id"])))


def get_by_name(call: Call) -> OneExperiment:
    """Return an experiment by its name."""
    name = values_of(call, Field("experiment_name", required=True))["experiment_name"]
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        try:
            return OneExperiment(experiment_message(experiment_named(reader, scope.project, _named(name))))
        except UnknownExperiment:
            raise DoesNotExist(text=f"Could not find experiment with name '{name}'", where="experiment_name") from None


def rename(call: Call) -> Empty:
    """Rename an experiment."""
    given = values_of(call, Field("experiment_id", required=True), Field("new_name", required=True))
    return _change(call, given["experiment_id"], name=at_most("name", _LONGEST_NAME, given["new_name"]))


def delete(call: Call) -> Empty:
    """Delete an experiment; its runs stay on record."""
    return _change(call, values_of(call, Field("experiment_id", required=True))["experiment_id"], stage="deleted")


def restore(call: Call) -> Empty:
    """Restore a deleted experiment."""
    return _change(call, values_of(call, Field("experiment_id", required=True))["experiment_id"], stage="active")


def set_tag(call: Call) -> Empty:
    """Set a tag of an experiment."""
    given = values_of(call, Field("experiment_id", required=True), Field("key", required=True), Field("value"))
    key = at_most("key", LONGEST_KEY, checked_key(given["key"], "key"))
    value = at_most("value", LONGEST_EXPERIMENT_TAG, given["value"] or "")
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        held = experiment_of(tx, scope.project, given["experiment_id"])
        check_active(held)
        tag_experiment(tx, scope.project, held.id, key, value)
    return Empty()


def experiment_of(reader: Reader | Transaction, project: str, id: str) -> Experiment:
    """Return the experiment of an id; "0" is the one named "default". Raises `mlflow/does-not-exist`."""
    try:
        if id == DEFAULT:
            return experiment_named(reader, project, DEFAULT_NAME)
        return get_experiment(reader, project, id)
    except UnknownExperiment:
        raise DoesNotExist(text=f"No Experiment with id={id[:100]} exists", where="experiment_id") from None


def check_active(held: Experiment) -> None:
    """Refuse to change what is deleted, in MLflow's words."""
    if held.stage != "active":
        text = f"The experiment {held.id} must be in the 'active' state. Current state is {held.stage}."
        raise InvalidParameter(text=text, where="experiment_id")


def _named(name: str) -> str:
    return DEFAULT_NAME if name == "Default" else name


def _ensure_default(call: Call) -> None:
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        try:
            experiment_named(reader, scope.project, DEFAULT_NAME)
            return
        except UnknownExperiment:
            pass
    with within(scope), call.house.ledger.write() as tx:
        create_experiment(tx, scope.project, DEFAULT_NAME)


def _change(call: Call, id: str, *, name: str | None = None, stage: Stage | None = None) -> Empty:
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        held = experiment_of(tx, scope.project, id)
        try:
            change_experiment(tx, scope.project, held.id, name=name, stage=stage)
        except NotActive:
            raise InvalidState(text="Cannot rename a non-active experiment.", where="experiment_id") from None
        except ExperimentExists:
            raise AlreadyExists(text=f"Experiment(name={name}) already exists.", where="new_name") from None
    return Empty()
