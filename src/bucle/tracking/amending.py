"""What may change of a run afterwards: its name, its tags, whether it is deleted, whether it goes on."""

from bucle.ledger import Transaction, because
from bucle.tracking import store
from bucle.tracking.errors import NotActive, UnknownRun, UnknownTag
from bucle.tracking.events import RunChanged, RunRevived
from bucle.tracking.experiments import Stage
from bucle.tracking.logs import checked_name


def change_run(tx: Transaction, project: str, run_id: str, *, name: str | None = None, stage: Stage | None = None) -> None:
    """Rename, delete or restore a run; what it recorded stays, and lineage holds it.

    Raises `tracking/unknown-run`, `tracking/bad-name`, `tracking/not-active` when a deleted run is renamed.
    """
    row = store.select_run(tx, run_id, project)
    if row is None:
        raise UnknownRun(id=run_id)
    name, stage = checked_name(name or row["name"]), stage or row["stage"]
    if (name, stage) == (row["name"], row["stage"]):
        return
    if name != row["name"] and row["stage"] != "active":
        raise NotActive(what="run", id=run_id, stage=row["stage"])
    with because(row["event"]):
        tx.emit(RunChanged(run_id, name, stage, row["name"], row["stage"]), run_id)
    tx.execute("UPDATE run SET name = ?, stage = ? WHERE id = ?", (name, stage, run_id))


def remove_tag(tx: Transaction, run_id: str, tag: str) -> None:
    """Remove a tag of a run. Raises `tracking/unknown-tag`."""
    if not tx.execute("DELETE FROM run_tag WHERE run = ? AND name = ?", (run_id, tag)):
        raise UnknownTag(what="run", id=run_id, name=tag[:80])


def continue_run(tx: Transaction, run_id: str) -> None:
    """Let a script's run that has ended go on, as its author says. Raises `tracking/unknown-run`; other kinds have none."""
    row = store.select_run(tx, run_id)
    if row is None or row["kind"] != "script":
        raise UnknownRun(id=run_id)
    if row["status"] != "running":
        with because(row["ended_event"]):
            tx.emit(RunRevived(run_id, row["name"]), run_id)
        store.reopen_run(tx, run_id)
