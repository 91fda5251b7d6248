"""The end of a run: its output, its model version, its tracking record and its event, together."""

from typing import TYPE_CHECKING

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.ledger import Transaction, because
from bucle.pipelines import store
from bucle.pipelines.evaluation import Registered
from bucle.pipelines.events import RunFailed, RunFinished
from bucle.pipelines.journal import now_us
from bucle.pipelines.launching import CHECK
from bucle.pipelines.orders import Failure
from bucle.pipelines.runs import PipelineRun
from bucle.registry import (
    Judgement,
    ModelVersion,
    VersionDraft,
    list_versions,
    read_evaluation,
    read_package,
    register_version,
)
from bucle.tracking import RunLog, RunStatus, finish_run, metric_point, record

if TYPE_CHECKING:
    from bucle.pipelines.coordinator import Coordinator

_STATUS: dict[str, RunStatus] = {"done": "succeeded", "failed": "failed", "cancelled": "cancelled"}


def finish(artifacts: ArtifactStore, coordinator: "Coordinator") -> None:
    """End a run whose pipeline returned and whose steps are all committed."""
    conclusion, run = coordinator.conclusion, coordinator.run
    if conclusion is None or conclusion.finish is None:
        raise RuntimeError("the run has no conclusion")
    steps, hits = coordinator.outcome()
    refs = coordinator.resolve(conclusion.finish)
    output = msgspec.json.encode({"tree": conclusion.finish.output, "inputs": refs}).decode()
    with coordinator.journal.writing() as tx:
        version, metrics = _registered(tx, artifacts, coordinator)
        if metrics:
            record(tx, run.id, RunLog(metrics=[metric_point(name, value) for name, value in metrics.items()]))
        seconds = (now_us() - _started_us(tx, run.id)) / 1e6
        event = RunFinished(run.pipeline, steps, hits, round(seconds, 3), version.id if version else None, metrics)
        with because(version.event if version else None):
            seq = tx.emit(event, run.id)
        _end(tx, run, "done", output, None, version.id if version else None, seq)


def _registered(
    tx: Transaction, artifacts: ArtifactStore, coordinator: "Coordinator"
) -> tuple[ModelVersion | None, dict[str, float]]:
    """Register the model version of a pipeline that makes one; the same evidence again is the version that there is."""
    finished = coordinator.conclusion.finish if coordinator.conclusion else None
    if finished is None or finished.registration is None or coordinator.run.trigger == CHECK:
        return None, {}
    run, registration = coordinator.run, finished.registration
    made = artifacts.get_json(coordinator.output_of(registration.gates).artifact, Registered)
    evaluation = read_evaluation(artifacts, made.evaluation)
    draft = VersionDraft(
        model=registration.model,
        package=read_package(artifacts, made.package),
        run=run.id,
        evaluation=evaluation,
        gates=artifacts.get_json(made.judgement, Judgement).gates,
        commit=run.request.commit,
        lock=run.request.lock,
        as_of_us=run.request.as_of_us,
    )
    with because(coordinator.journal.finished_event(registration.gates)):
        version = _same_again(tx, run, draft) or register_version(tx, draft)
    return version, evaluation.metrics


def _same_again(tx: Transaction, run: PipelineRun, draft: VersionDraft) -> ModelVersion | None:
    newest = next(iter(list_versions(tx, run.scope.project, draft.model, limit=1)), None)
    if newest is None or newest.environment != run.scope.environment:
        return None
    if newest.evaluation is None or draft.evaluation is None:
        return None
    same = (newest.package.id, newest.evaluation.id, newest.commit) == (draft.package.id, draft.evaluation.id, draft.commit)
    verdicts = [(gate.name, gate.passed, gate.reason) for gate in newest.gates]
    return newest if same and verdicts == [(gate.name, gate.passed, gate.reason) for gate in draft.gates] else None


def fail(coordinator: "Coordinator", state: str, failure: Failure) -> None:
    """End a run without a result; what its steps committed stays for a resumption."""
    run = coordinator.run
    with coordinator.journal.writing() as tx:
        store.lose_attempts(tx, run.id, now_us())
        tx.execute(store.STOP_STEPS, (now_us(), run.id))
        event = RunFailed(run.pipeline, state, failure.code, failure.reason, failure.where, failure.next)
        seq = tx.emit(event, run.id)
        _end(tx, run, state, None, failure, None, seq)


def _end(
    tx: Transaction, run: PipelineRun, state: str, output: str | None, failure: Failure | None, version: str | None, seq: int
) -> None:
    text = msgspec.json.encode(failure).decode() if failure else None
    changed = tx.execute(store.END_RUN, (state, now_us(), output, text, version, seq, run.id, run.epoch))
    if changed:
        finish_run(tx, run.id, _STATUS[state], error=failure.reason if failure else None)


def _started_us(tx: Transaction, run_id: str) -> int:
    return store.number(tx, "SELECT started_us FROM pipeline_run WHERE id = ?", run_id)
