"""Runs: one execution each of a pipeline, a step or a script, with what went in, what came out, when, and by whom."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from bucle.ledger import Reader, Row, Transaction, because, current_context, from_us, new_id
from bucle.tracking import store
from bucle.tracking.errors import NotActive, RunOver, UnknownRun
from bucle.tracking.events import FactNoted, IterationRecorded, RunFinished, RunStarted
from bucle.tracking.experiments import Stage, ensure_experiment
from bucle.tracking.logs import ArtifactLog, MetricPoint, Note, RunLog, SettingRead, checked_name, checked_param, now_us

RunKind = Literal["pipeline", "step", "script"]
RunStatus = Literal["running", "succeeded", "failed", "cancelled"]
Purpose = Literal["", "training", "evaluation", "preparation", "registration"]
"""What a run is for; "training" makes it a training iteration, whose record must be complete (K-MD)."""


class DataUse(msgspec.Struct, frozen=True):
    """A dataset version that a run read."""

    source: str
    version: str


class RunStart(msgspec.Struct, frozen=True):
    """What is known when a run begins. `id` and `started_us` are made then unless given; `lock` is the lock's digest."""

    name: str
    kind: RunKind = "script"
    experiment: str = "default"
    purpose: Purpose = ""
    parent: str | None = None
    commit: str | None = None
    dirty: bool = False
    lock: str | None = None
    as_of_us: int | None = None
    data: tuple[DataUse, ...] = ()
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    inputs: tuple[str, ...] = ()
    """Artifact ids that the run reads."""
    seed: int | None = None
    engine: str = "inline"
    id: str = ""
    started_us: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the ledger holds it. `event` is the seq of its start, `ended_event` that of its end."""

    id: str
    project: str
    environment: str
    experiment: str
    name: str
    kind: RunKind
    purpose: Purpose
    parent: str | None
    status: RunStatus
    started: datetime
    ended: datetime | None
    commit: str | None
    dirty: bool
    lock: str | None
    as_of: datetime | None
    seed: int | None
    engine: str
    error: str | None
    actor: str
    role: str
    event: int
    ended_event: int | None
    stage: Stage = "active"

    @property
    def seconds(self) -> float | None:
        """How long the run took, None while it runs."""
        return (self.ended - self.started).total_seconds() if self.ended else None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything that a run recorded; of each metric its last point (`run_metrics` has the whole series)."""

    run: Run
    data: tuple[DataUse, ...]
    params: dict[str, Any]
    tags: dict[str, str]
    metrics: tuple[MetricPoint, ...]
    artifacts: tuple[ArtifactLog, ...]
    notes: tuple[Note, ...]
    settings_read: tuple[SettingRead, ...]
    children: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs to list, newest first; each field that is given narrows. `parent=""` means runs that are nobody's child."""

    project: str | None = None
    environment: str | None = None
    experiment: str | None = None
    kind: RunKind | None = None
    status: RunStatus | None = None
    purpose: Purpose | None = None
    parent: str | None = None
    before: str | None = None
    """A run id: only runs that began before it; for paging."""
    limit: int = 100


def begin_run(tx: Transaction, start: RunStart) -> str:
    """Enter a run into the ledger with its lineage, in the scope of the context, and return its id.

    Emits `tracking.run_started`. Raises `tracking/unknown-run` for an unknown parent, `tracking/bad-name`.
    """
    scope, run_id = current_context().scope, start.id or new_id("run")
    checked_name(start.name)
    if start.parent is not None and store.select_run(tx, start.parent, scope.project) is None:
        raise UnknownRun(id=start.parent)
    experiment = ensure_experiment(tx, scope.project, start.experiment)
    event = RunStarted(
        run=run_id,
        name=start.name,
        run_kind=start.kind,
        purpose=start.purpose,
        experiment=start.experiment,
        parent=start.parent,
        commit=start.commit,
        dirty=start.dirty,
        lock=start.lock,
        data=tuple(use.version for use in start.data),
        engine=start.engine,
    )
    seq = tx.emit(event, run_id)
    started = replace_start(start, id=run_id, started_us=start.started_us or now_us())
    store.insert_run(tx, scope, started, current_context().actor, current_context().role, seq)
    _enter_lineage(tx, started, experiment, seq)
    if start.params or start.tags:
        params = {name: checked_param(name, value) for name, value in start.params.items()}
        record(tx, run_id, RunLog(params=params, tags=dict(start.tags)))
    return run_id


def replace_start(start: RunStart, **changes: Any) -> RunStart:
    """Return a start with some fields changed."""
    return msgspec.structs.replace(start, **changes)


def record(tx: Transaction, run_id: str, log: RunLog) -> bool:
    """Write what a run logged; return False when this numbered batch had been written before.

    Artifacts enter the lineage as the run's outputs, frames that notes name by `artifact` as its inputs. Also a run that
    has ended takes metrics and notes: the evaluation of a model is known after its training.
    Raises `tracking/unknown-run`, `tracking/not-active`, `tracking/param-changed`, and what `RunLog.check` raises.
    """
    log.check()
    row = store.select_run(tx, run_id)
    if row is None:
        raise UnknownRun(id=run_id)
    if row["stage"] != "active":
        raise NotActive(what="run", id=run_id, stage=row["stage"])
    if log.batch and log.batch <= row["batches"]:
        return False
    store.write_log(tx, run_id, log, now_us())
    for artifact in log.artifacts:
        tx.node(artifact.id, "artifact", "artifact", artifact.name, row["event"])
        tx.edge(run_id, artifact.id, f"output:{artifact.name}", row["event"])
    for note in log.notes:
        with because(row["event"]):
            tx.emit(FactNoted(run_id, note.kind, note.data), run_id)
        if isinstance(id := note.data.get("artifact"), str):
            tx.node(id, "artifact", note.kind, str(note.data.get("name", "")), row["event"])
            tx.edge(id, run_id, note.kind, row["event"])
    return True


def use_data(tx: Transaction, run_id: str, data: tuple[DataUse, ...]) -> None:
    """Record dataset versions that a run turned out to read. Raises `tracking/unknown-run`."""
    row = store.select_run(tx, run_id)
    if row is None:
        raise UnknownRun(id=run_id)
    store.insert_data(tx, run_id, data)
    _link_data(tx, run_id, data, row["event"])


def finish_run(
    tx: Transaction, run_id: str, status: RunStatus, *, error: str | None = None, ended_us: int | None = None
) -> int:
    """End a run and return the seq of `tracking.run_finished`; its cause is the run's start.

    A training iteration that succeeded is followed by `tracking.iteration_recorded`, and by another one when a run that
    evaluates what it made succeeds.
    Raises `tracking/unknown-run`, `tracking/run-over`.
    """
    row = store.select_run(tx, run_id)
    if row is None:
        raise UnknownRun(id=run_id)
    if row["status"] != "running":
        raise RunOver(id=run_id, status=row["status"])
    ended = max(ended_us or now_us(), row["started_us"])
    finished = RunFinished(run_id, row["name"], row["kind"], row["purpose"], status, ended - row["started_us"], error)
    with because(row["event"]):
        seq = tx.emit(finished, run_id)
    store.end_run(tx, run_id, status, ended, error, seq)
    if row["purpose"] == "training" and status == "succeeded":
        _record_iteration(tx, run_id, row["parent"], seq)
    if row["purpose"] == "evaluation" and status == "succeeded":
        for trained in store.trained_for(tx, run_id):  # now their metrics are known
            _record_iteration(tx, trained["id"], trained["parent"], seq)
    return seq


def reopen_run(tx: Transaction, run_id: str) -> None:
    """Let a run that failed or was cancelled go on: it is running again. Raises `tracking/unknown-run`, `tracking/run-over`."""
    row = store.select_run(tx, run_id)
    if row is None:
        raise UnknownRun(id=run_id)
    if row["status"] == "succeeded":
        raise RunOver(id=run_id, status=row["status"])
    store.reopen_run(tx, run_id)


def run_state(reader: Reader | Transaction, run_id: str, project: str | None = None) -> Run:
    """Return a run without what it recorded. Raises `tracking/unknown-run` (also for a run of another project)."""
    row = store.select_run(reader, run_id, project)
    if row is None:
        raise UnknownRun(id=run_id)
    return as_run(row)


def get_run(reader: Reader | Transaction, run_id: str, project: str | None = None) -> RunRecord:
    """Return a run with everything that it recorded. Raises `tracking/unknown-run` (also for a run of another project)."""
    run = run_state(reader, run_id, project)
    return RunRecord(
        run=run,
        data=tuple(DataUse(row["source"], row["version"]) for row in store.entries(reader, "run_data", run_id)),
        params={row["name"]: json.loads(row["value"]) for row in store.entries(reader, "run_param", run_id)},
        tags={row["name"]: row["value"] for row in store.entries(reader, "run_tag", run_id)},
        metrics=tuple(_point(row) for row in store.entries(reader, "run_metric_last", run_id)),
        artifacts=tuple(
            ArtifactLog(row["name"], row["artifact"], row["size"]) for row in store.entries(reader, "run_artifact", run_id)
        ),
        notes=tuple(Note(row["kind"], json.loads(row["data"])) for row in store.entries(reader, "run_note", run_id)),
        settings_read=tuple(SettingRead(row["name"], row["value"]) for row in store.entries(reader, "run_setting", run_id)),
        children=tuple(row["id"] for row in store.children(reader, run_id)),
    )


def list_runs(reader: Reader, wanted: RunFilter | None = None) -> list[Run]:
    """Return the runs that pass the filter, newest first."""
    return [as_run(row) for row in store.select_runs(reader, wanted or RunFilter())]


def run_metrics(reader: Reader, run_id: str, name: str, limit: int = 100_000) -> list[MetricPoint]:
    """Return the points of one metric in the order of their steps."""
    return [_point(row) for row in store.series(reader, run_id, name, limit)]


def metric_series(reader: Reader, run_id: str, name: str, offset: int = 0, limit: int | None = None) -> list[MetricPoint]:
    """Return the points of one metric in the order in which they were logged, from `offset` on, all unless `limit` is given."""
    return [_point(row) for row in store.logged(reader, run_id, name, offset, -1 if limit is None else limit)]


def last_metrics(reader: Reader, run_ids: list[str]) -> dict[str, dict[str, float]]:
    """Return the last value of each metric of several runs: {run: {metric: value}}."""
    found: dict[str, dict[str, float]] = {run_id: {} for run_id in run_ids}
    for row in store.last_points(reader, run_ids):
        found[row["run"]][row["name"]] = _point(row).number
    return found


def as_run(row: Row) -> Run:
    """Return the run of a row of the table `run`."""
    return Run(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        experiment=row["experiment"],
        name=row["name"],
        kind=row["kind"],
        purpose=row["purpose"],
        parent=row["parent"],
        status=row["status"],
        started=from_us(row["started_us"]),
        ended=from_us(row["ended_us"]) if row["ended_us"] is not None else None,
        commit=row["commit_sha"],
        dirty=bool(row["dirty"]),
        lock=row["lock_digest"],
        as_of=from_us(row["as_of_us"]) if row["as_of_us"] is not None else None,
        seed=row["seed"],
        engine=row["engine"],
        error=row["error"],
        actor=row["actor"],
        role=row["role"],
        event=row["event"],
        ended_event=row["ended_event"],
        stage=row["stage"],
    )


def _point(row: Row) -> MetricPoint:
    return MetricPoint(row["name"], row["special"] or row["value"], row["step"], row["at_us"])


def _enter_lineage(tx: Transaction, start: RunStart, experiment: str, seq: int) -> None:
    run_id = start.id
    tx.node(run_id, "execution", start.kind, start.name, seq)
    tx.edge(experiment, run_id, "experiment", seq)
    if start.parent:
        tx.edge(start.parent, run_id, "parent", seq)
    if start.commit:
        tx.node(f"commit:{start.commit}", "artifact", "commit", start.commit[:12], seq)
        tx.edge(f"commit:{start.commit}", run_id, "code", seq)
    if start.lock:
        tx.node(f"lock:{start.lock}", "artifact", "lock", start.lock[:20], seq)
        tx.edge(f"lock:{start.lock}", run_id, "runtime", seq)
    for artifact in start.inputs:
        tx.node(artifact, "artifact", "artifact", "", seq)
        tx.edge(artifact, run_id, "input", seq)
    _link_data(tx, run_id, start.data, seq)


def _link_data(tx: Transaction, run_id: str, data: tuple[DataUse, ...], seq: int) -> None:
    for use in data:
        tx.node(use.version, "artifact", "dataset_version", use.source, seq)
        tx.edge(use.version, run_id, f"data:{use.source}", seq)


def _record_iteration(tx: Transaction, run_id: str, parent: str | None, finished: int) -> None:
    from bucle.tracking.completeness import completeness

    with because(finished):
        tx.emit(
            IterationRecorded(run_id, parent, store.iteration_number(tx, run_id, parent), completeness(tx, run_id).missing),
            run_id,
        )
