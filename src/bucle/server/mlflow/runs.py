"""Runs of the MLflow protocol: begun, read, ended, deleted, restored."""

from bucle.ledger import Reader, Transaction, because, within
from bucle.server.mlflow.errors import DoesNotExist, InvalidParameter
from bucle.server.mlflow.experiments import check_active, experiment_of
from bucle.server.mlflow.naming import random_name
from bucle.server.mlflow.reading import LONGEST_TAG, Field, at_most, invalid, pairs_of, values_of
from bucle.server.mlflow.scopes import run_of, scope_of
from bucle.server.mlflow.wire import (
    DEFAULT,
    DEFAULT_NAME,
    ENDED,
    STATUSES,
    Empty,
    OneInfo,
    OneRun,
    outer_id,
    run_info,
    run_message,
    user_of,
)
from bucle.server.routing import Call
from bucle.tracking import (
    Run,
    RunStart,
    Stage,
    UnknownRun,
    begin_run,
    change_run,
    continue_run,
    experiment_named,
    finish_run,
    get_run,
    run_from_hex,
    run_state,
)

ENGINE = "mlflow"
"""The engine of runs that an MLflow client began: it sends no sign of life, so its silence means nothing."""

_LONGEST_NAME = 250


def create(call: Call) -> OneRun:
    """Begin a run."""
    given = values_of(
        call, Field("experiment_id"), Field("start_time", "int"), Field("run_name"), Field("user_id"), Field("tags", "array")
    )
    tags = pairs_of(given["tags"] or (), "tags", LONGEST_TAG)
    name = _name(given["run_name"], tags.pop("mlflow.runName", ""))
    scope = scope_of(call, "tracking.write")
    if given["user_id"]:
        tags.setdefault("mlflow.user", given["user_id"])
    with within(scope), call.house.ledger.write() as tx:
        experiment = DEFAULT_NAME
        if given["experiment_id"] not in (None, "", DEFAULT):
            held = experiment_of(tx, scope.project, given["experiment_id"])
            check_active(held)
            experiment = held.name
        start = RunStart(
            name=name,
            experiment=experiment,
            parent=_parent(tx, scope.project, tags.get("mlflow.parentRunId", "")),
            commit=tags.get("mlflow.source.git.commit") or None,
            tags=tags,
            engine=ENGINE,
            started_us=(given["start_time"] or 0) * 1000 or None,
        )
        return OneRun(run_message(record := get_run(tx, begin_run(tx, start)), _experiment(tx, record.run)))


def get(call: Call) -> OneRun:
    """Return a run with what it recorded."""
    digits = values_of(call, Field("run_id", required=True))["run_id"]
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        record = get_run(reader, run_of(call, reader, scope, digits, "tracking.read").id)
        return OneRun(run_message(record, _experiment(reader, record.run)))


def update(call: Call) -> OneInfo:
    """End a run, let it go on, or rename it."""
    given = values_of(call, Field("run_id", required=True), Field("status"), Field("end_time", "int"), Field("run_name"))
    scope, status = scope_of(call, "tracking.write"), given["status"]
    if status not in (None, "", "SCHEDULED", *STATUSES.values()):
        raise invalid("status", status)
    with within(scope), call.house.ledger.write() as tx:
        run = script_of(call, tx, given["run_id"])
        if given["run_name"]:
            change_run(tx, scope.project, run.id, name=at_most("run_name", _LONGEST_NAME, given["run_name"]))
        if status:
            _move(tx, run, status, given["end_time"])
        record = get_run(tx, run.id)
        return OneInfo(run_info(record.run, _experiment(tx, record.run), user_of(record)))


def delete(call: Call) -> Empty:
    """Delete a run; what it recorded stays, and lineage holds it."""
    return _stage(call, "deleted")


def restore(call: Call) -> Empty:
    """Restore a deleted run."""
    return _stage(call, "active")


def script_of(call: Call, tx: Transaction, digits: str) -> Run:
    """Return a run that a client may write to: an active one that a script began. Raises the coded errors of this face."""
    run = run_of(call, tx, scope_of(call, "tracking.write"), digits, "tracking.write")
    if run.kind != "script":
        text = f"The run {digits} is a {run.kind}'s: only bucle writes to it."
        raise InvalidParameter(text=text, where="run_id")
    if run.stage != "active":
        text = f"The run {digits} must be in the 'active' state. Current state is {run.stage}."
        raise InvalidParameter(text=text, where="run_id")
    return run


def _name(given: str | None, tag: str) -> str:
    if given and tag and given != tag:
        text = (
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{given}', mlflow.runName='{tag}')."
        )
        raise InvalidParameter(text=text, where="run_name")
    return at_most("run_name", _LONGEST_NAME, given or tag or random_name())


def _parent(tx: Transaction, project: str, digits: str) -> str | None:
    """Return the run that a tag names as parent; MLflow does not demand that there be one."""
    try:
        return run_state(tx, run_from_hex(digits), project).id if digits else None
    except UnknownRun:
        return None


def _experiment(reader: Reader | Transaction, run: Run) -> str:
    return outer_id(experiment_named(reader, run.project, run.experiment))


def _move(tx: Transaction, run: Run, status: str, end_time: int | None) -> None:
    if status in ENDED:
        if run.status != "running":
            continue_run(tx, run.id)
        with because(run.event):
            finish_run(tx, run.id, ENDED[status], ended_us=(end_time or 0) * 1000 or None)  # type: ignore[arg-type]
    elif run.status != "running":
        continue_run(tx, run.id)


def _stage(call: Call, stage: Stage) -> Empty:
    digits = values_of(call, Field("run_id", required=True))["run_id"]
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        run = run_of(call, tx, scope, digits, "tracking.write")
        if run.kind != "script":
            raise DoesNotExist(text=f"Run with id={digits[:100]} is a {run.kind}'s: it cannot be deleted", where="run_id")
        change_run(tx, scope.project, run.id, stage=stage)
    return Empty()
