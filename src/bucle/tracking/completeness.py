"""Is the record of a training iteration complete? The facts that Kreuzberger's metadata store asks for (K-P7, K-MD)."""

from dataclasses import dataclass

from bucle.ledger import Reader, Transaction
from bucle.tracking import store
from bucle.tracking.runs import Purpose, RunFilter, get_run, list_runs

FACTS = ("job", "time", "duration", "parameters", "metrics", "data", "code", "runtime")
"""Job id, date and time, duration, parameters, metrics, data lineage, code lineage, the lock that it ran in."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """Which of the facts a run's record holds."""

    run: str
    event: int
    present: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def completeness(reader: Reader | Transaction, run_id: str) -> Completeness:
    """Return which facts of a training iteration are on record.

    Metrics count when the run logged them or when a run that read its output did (its evaluation); data and parameters
    also when they are those of the run that it belongs to. Raises `tracking/unknown-run`.
    """
    record = get_run(reader, run_id)
    parent = get_run(reader, record.run.parent) if record.run.parent else record
    held = {
        "job": bool(record.run.id),
        "time": True,
        "duration": record.run.ended is not None,
        "parameters": bool(record.params or parent.params) or record.run.seed is not None,
        "metrics": bool(record.metrics) or store.evaluated(reader, run_id),
        "data": bool(record.data or parent.data),
        "code": bool(record.run.commit),
        "runtime": bool(record.run.lock),
    }
    present = tuple(fact for fact in FACTS if held[fact])
    missing = tuple(fact for fact in FACTS if not held[fact])
    return Completeness(run_id, record.run.ended_event or record.run.event, present, missing)


def iterations(reader: Reader, project: str | None = None, limit: int = 1000) -> list[Completeness]:
    """Return the completeness of each training iteration that succeeded, newest first."""
    purpose: Purpose = "training"
    runs = list_runs(reader, RunFilter(project=project, purpose=purpose, status="succeeded", limit=limit))
    return [completeness(reader, run.id) for run in runs]
