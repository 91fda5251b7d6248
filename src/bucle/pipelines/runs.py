"""A run of a pipeline: what was asked for, where it stands, and what it left."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from bucle.ledger import Reader, Row, Scope, from_us
from bucle.pipelines import store
from bucle.pipelines.codecs import ValueRef
from bucle.pipelines.errors import UnknownRun
from bucle.pipelines.orders import Failure

RunState = Literal["running", "done", "failed", "cancelled"]
StepState = Literal["waiting", "running", "done", "failed", "skipped", "cancelled"]
EngineName = Literal["inline", "processes"]


class RunRequest(msgspec.Struct, frozen=True):
    """What was asked for, and from which code and data: enough to drive the run again. `snapshot` is an artifact id."""

    pipeline: str
    parameters: dict[str, Any]
    engine: str
    seed: int
    as_of_us: int
    root: str
    commit: str | None
    dirty: bool
    lock: str
    runtime: str
    model: str | None
    versions: dict[str, str] = {}
    snapshot: str | None = None
    settings: dict[str, Any] = {}
    remote: bool = False


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """A run as the ledger holds it. Its parameters, metrics and lineage are those of the tracking run of the same id."""

    id: str
    scope: Scope
    pipeline: str
    trigger: str
    engine: str
    state: RunState
    request: RunRequest
    epoch: int
    actor: str
    role: str
    started: datetime
    ended: datetime | None
    failure: Failure | None
    model_version: str | None
    event: int
    ended_event: int | None


@dataclass(frozen=True, slots=True)
class StepRun:
    """A step of a run: hit or run, why it had to run, how often it was tried, what it made."""

    id: str
    call: str
    name: str
    state: StepState
    hit: bool
    miss: tuple[str, ...]
    attempts: int
    seconds: float | None
    output: ValueRef | None
    failure: Failure | None
    tracking_run: str | None
    needs: tuple[str, ...]
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a step; `state` is running, done, failed, timeout, lost or cancelled."""

    number: int
    state: str
    started: datetime
    ended: datetime | None
    pid: int | None
    node: str | None
    reason: str | None
    log: str | None


@dataclass(frozen=True, slots=True)
class StepRead:
    """A file or host that a step of a run read beside its inputs, or that its code names (S-06).

    `opened` says that it was seen to be read, `in_key` that its content is part of the step's cache key; `where` is the line
    of the project that led to it; `event` is the seq of the step's `pipelines.step_finished`. For a step that was taken from
    the cache it is what the step that was executed had read.
    """

    run: str
    call: str
    kind: str
    name: str
    where: str | None
    opened: bool
    in_key: bool
    event: int


def list_reads(reader: Reader, run_id: str) -> list[StepRead]:
    """Return what the steps of a run read beside their inputs, in the order of the steps."""
    return [
        StepRead(
            row["run"], row["call"], row["kind"], row["name"], row["place"], bool(row["opened"]), bool(row["in_key"]),
            row["event"],
        )
        for row in reader.rows(store.SELECT_READS, (run_id,))
    ]  # fmt: skip


def get_pipeline_run(reader: Reader, run_id: str, project: str | None = None) -> PipelineRun:
    """Return a run. Raises `pipelines/unknown-run` (also for a run of another project)."""
    row = store.one(reader, store.SELECT_RUN, run_id)
    if row is None or project not in (None, row["project"]):
        raise UnknownRun(run=run_id)
    return as_run(row)


def list_pipeline_runs(reader: Reader, scope: Scope, limit: int = 100) -> list[PipelineRun]:
    """Return the runs of an environment, newest first."""
    return [as_run(row) for row in reader.rows(store.SELECT_RUNS, (scope.project, scope.environment, limit))]


def list_steps(reader: Reader, run_id: str) -> list[StepRun]:
    """Return the steps of a run in the order in which they were planned."""
    return [as_step(row) for row in reader.rows(store.SELECT_STEPS, (run_id,))]


def list_attempts(reader: Reader, step_id: str) -> list[Attempt]:
    """Return the attempts at a step, first to last."""
    return [
        Attempt(
            row["number"], row["state"], from_us(row["started_us"]), _moment(row["ended_us"]),
            row["pid"], row["node"], row["reason"], row["log"],
        )
        for row in reader.rows(store.SELECT_ATTEMPTS, (step_id,))
    ]  # fmt: skip


def as_run(row: Row) -> PipelineRun:
    """Return the run of a row."""
    return PipelineRun(
        id=row["id"],
        scope=Scope(row["project"], row["environment"]),
        pipeline=row["pipeline"],
        trigger=row["trigger_kind"],
        engine=row["engine"],
        state=row["state"],
        request=msgspec.json.decode(row["request"], type=RunRequest),
        epoch=row["epoch"],
        actor=row["actor"],
        role=row["role"],
        started=from_us(row["started_us"]),
        ended=_moment(row["ended_us"]),
        failure=msgspec.json.decode(row["failure"], type=Failure) if row["failure"] else None,
        model_version=row["model_version"],
        event=row["event"],
        ended_event=row["ended_event"],
    )


def as_step(row: Row) -> StepRun:
    """Return the step of a row."""
    from bucle.pipelines.protocol import PlanStep, StepOutput

    plan = msgspec.json.decode(row["plan"], type=PlanStep)
    started, ended = row["started_us"], row["ended_us"]
    return StepRun(
        id=row["id"],
        call=row["call"],
        name=row["name"],
        state=row["state"],
        hit=row["hit_of"] is not None,
        miss=tuple(msgspec.json.decode(row["miss"], type=list[str])),
        attempts=row["attempts"],
        seconds=(ended - started) / 1e6 if started is not None and ended is not None else None,
        output=msgspec.json.decode(row["output"], type=ValueRef) if row["output"] else None,
        failure=msgspec.json.decode(row["failure"], type=Failure) if row["failure"] else None,
        tracking_run=row["tracking_run"],
        needs=tuple(dict.fromkeys(each.call for each in plan.inputs.values() if isinstance(each, StepOutput))),
        started=_moment(started),
        ended=_moment(ended),
    )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_us(microseconds)


def log_tail(path: str | None, size: int = 20_000) -> str:
    """Return the end of what an attempt printed, at most `size` bytes; empty when it printed nothing."""
    try:
        with Path(path or "").open("rb") as file:
            file.seek(max(file.seek(0, 2) - size, 0))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
