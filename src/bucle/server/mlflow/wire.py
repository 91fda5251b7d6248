"""The messages of the MLflow protocol: experiments, runs and what they recorded, as their JSON has them.

Names are protobuf's; whole numbers are numbers, empty lists are left out, NaN is a text, infinities are the largest numbers.
"""

import math
from datetime import datetime
from typing import Any

import msgspec

from bucle.tracking import Experiment, LoggedModel, MetricPoint, Run, RunRecord, run_hex

STATUSES = {"running": "RUNNING", "succeeded": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}
ENDED = {"FINISHED": "succeeded", "FAILED": "failed", "KILLED": "cancelled"}
MODEL_STATUSES = {"pending": "LOGGED_MODEL_PENDING", "ready": "LOGGED_MODEL_READY", "failed": "LOGGED_MODEL_UPLOAD_FAILED"}
DATASET_READ, MODEL_READ, MODEL_MADE = "mlflow.dataset_read", "mlflow.model_read", "mlflow.model_made"
"""Kinds of the notes that keep a run's inputs and outputs as its client sent them."""

ARTIFACTS = "mlflow-artifacts:"
DEFAULT, DEFAULT_NAME = "0", "default"
"""The experiment of runs that name none: MLflow's id of it, and its name in the ledger; MLflow writes it `Default`."""

_LARGEST = 1.7976931348623157e308


class Entry(msgspec.Struct, frozen=True):
    """A parameter or a tag."""

    key: str
    value: str


class Metric(msgspec.Struct, frozen=True):
    """A point of a metric; `timestamp` in milliseconds."""

    key: str
    value: float | str
    timestamp: int
    step: int


class ExperimentMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """An experiment; times in milliseconds."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    tags: list[Entry] = []


class RunInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run is, without what it recorded; times in milliseconds."""

    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    run_id: str
    end_time: int = 0


class RunData(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run recorded, of each metric the last point."""

    metrics: list[Metric] = []
    params: list[Entry] = []
    tags: list[Entry] = []


class Inputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """Datasets and models that a run read, as its client said."""

    dataset_inputs: list[Any] = []
    model_inputs: list[Any] = []


class Outputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """Models that a run made."""

    model_outputs: list[Any] = []


class RunMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run with what it recorded."""

    info: RunInfo
    data: RunData
    inputs: Inputs
    outputs: Outputs | None = None


class ModelInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a logged model is; times in milliseconds."""

    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str = ""
    source_run_id: str = ""
    tags: list[Entry] = []


class ModelData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parameters of a logged model."""

    params: list[Entry] = []


class ModelMessage(msgspec.Struct, frozen=True):
    """A logged model."""

    info: ModelInfo
    data: ModelData


class OneModel(msgspec.Struct, frozen=True):
    """An answer with one logged model."""

    model: ModelMessage


class Created(msgspec.Struct, frozen=True):
    """The id of a new experiment."""

    experiment_id: str


class OneExperiment(msgspec.Struct, frozen=True):
    """An answer with one experiment."""

    experiment: ExperimentMessage


class OneRun(msgspec.Struct, frozen=True):
    """An answer with one run."""

    run: RunMessage


class OneInfo(msgspec.Struct, frozen=True):
    """An answer with a run's info."""

    run_info: RunInfo


class Empty(msgspec.Struct, frozen=True):
    """An answer that says nothing but that it was done."""


def experiment_message(held: Experiment) -> ExperimentMessage:
    """Return the message of an experiment."""
    id = outer_id(held)
    return ExperimentMessage(
        experiment_id=id,
        name="Default" if id == DEFAULT else held.name,
        artifact_location=f"{ARTIFACTS}/{id}",
        lifecycle_stage=held.stage,
        last_update_time=milliseconds(held.changed),
        creation_time=milliseconds(held.created),
        tags=[Entry(name, value) for name, value in held.tags.items()],
    )


def outer_id(held: Experiment) -> str:
    """Return the id by which the protocol knows an experiment."""
    return DEFAULT if held.name == DEFAULT_NAME else held.id


def run_info(run: Run, experiment: str, user: str) -> RunInfo:
    """Return the info of a run; `experiment` is its experiment's id, `user` who the client said began it."""
    digits = run_hex(run.id)
    return RunInfo(
        run_uuid=digits,
        experiment_id=experiment,
        run_name=run.name,
        user_id=user,
        status=STATUSES[run.status],
        start_time=milliseconds(run.started),
        artifact_uri=f"{ARTIFACTS}/{experiment}/{digits}/artifacts",
        lifecycle_stage=run.stage,
        run_id=digits,
        end_time=milliseconds(run.ended) if run.ended else 0,
    )


def run_message(record: RunRecord, experiment: str) -> RunMessage:
    """Return the message of a run with what it recorded; its name is also a tag, as MLflow has it."""
    tags = {**record.tags, "mlflow.runName": record.run.name}
    datasets, read, made = (_noted(record, kind) for kind in (DATASET_READ, MODEL_READ, MODEL_MADE))
    return RunMessage(
        inputs=Inputs(datasets, read),
        outputs=Outputs(made) if made else None,
        info=run_info(record.run, experiment, user_of(record)),
        data=RunData(
            metrics=[metric_message(point) for point in record.metrics],
            params=[Entry(name, _text(value)) for name, value in record.params.items()],
            tags=[Entry(name, value) for name, value in sorted(tags.items())],
        ),
    )


def model_message(held: LoggedModel, experiment: str) -> ModelMessage:
    """Return the message of a logged model; `experiment` is its experiment's id in the protocol."""
    return ModelMessage(
        info=ModelInfo(
            model_id=held.id,
            experiment_id=experiment,
            name=held.name,
            creation_timestamp_ms=milliseconds(held.created),
            last_updated_timestamp_ms=milliseconds(held.changed),
            artifact_uri=f"{ARTIFACTS}/{experiment}/models/{held.id}/artifacts",
            status=MODEL_STATUSES[held.status],
            model_type=held.model_type,
            source_run_id=run_hex(held.source_run) if held.source_run else "",
            tags=[Entry(name, value) for name, value in held.tags.items()],
        ),
        data=ModelData([Entry(name, value) for name, value in held.params.items()]),
    )


def user_of(record: RunRecord) -> str:
    """Return who began a run, as its client said, else the actor of the ledger."""
    return record.tags.get("mlflow.user", record.run.actor)


def metric_message(point: MetricPoint) -> Metric:
    """Return the message of a point."""
    number = point.number
    value: float | str = "NaN" if math.isnan(number) else max(-_LARGEST, min(_LARGEST, number))
    return Metric(point.name, value, point.at_us // 1000, point.step)


def milliseconds(moment: datetime) -> int:
    """Return milliseconds since 1970 UTC."""
    return int(moment.timestamp() * 1_000_000) // 1000


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _noted(record: RunRecord, kind: str) -> list[Any]:
    return [note.data for note in record.notes if note.kind == kind]
