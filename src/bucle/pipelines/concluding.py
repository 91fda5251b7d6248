"""The end of a run: its output, its model version, its tracking record and its event, together."""

from typing import TYPE_CHECKING

import msgspec

from bucle.ledger import Ledger, Transaction
from bucle.pipelines import store
from bucle.pipelines.events import RunFailed, RunFinished
from bucle.pipelines.journal import now_us
from bucle.pipelines.orders import Failure
from bucle.pipelines.runs import PipelineRun
from bucle.tracking import RunStatus, finish_run

if TYPE_CHECKING:
    from bucle.pipelines.coordinator import Coordinator

_STATUS: dict[str, RunStatus] = {"done": "succeeded", "failed": "failed", "cancelled": "cancelled"}


def finish(ledger: Ledger, coordinator: "Coordinator") -> None:
    """End a run whose pipeline returned and whose steps are all committed."""
    conclusion, run = coordinator.conclusion, coordinator.run
    if conclusion is None or conclusion.finish is None:
        raise RuntimeError("the run has no conclusion")
    steps, hits = coordinator.outcome()
    refs = coordinator.resolve(conclusion.finish)
    output = msgspec.json.encode({"tree": conclusion.finish.output, "inputs": refs}).decode()
    with coordinator.journal.writing() as tx:
        seconds = (now_us() - _started_us(tx, run.id)) / 1e6
        event = RunFinished(run.pipeline, steps, hits, round(seconds, 3), None, {})
        seq = tx.emit(event, run.id)
        _end(tx, run, "done", output, None, None, seq)


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
