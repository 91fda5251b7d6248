"""Experiments: what runs are filed under. They are renamed, tagged, deleted and restored; their runs stay."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bucle.ledger import Reader, Row, Transaction, from_us, new_id
from bucle.tracking.errors import ExperimentExists, NotActive, UnknownExperiment
from bucle.tracking.events import ExperimentChanged, ExperimentCreated, ExperimentTagged
from bucle.tracking.logs import checked_name, now_us

Stage = Literal["active", "deleted"]

_SELECT = "SELECT * FROM experiment WHERE project = ?"
_INSERT = "INSERT INTO experiment (id, project, name, created_us, changed_us, event) VALUES (?, ?, ?, ?, ?, ?)"
_UPSERT_TAG = """
INSERT INTO experiment_tag (experiment, name, value) VALUES (?, ?, ?)
ON CONFLICT (experiment, name) DO UPDATE SET value = excluded.value
"""


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment with its tags; `changed` is when its name or stage last did."""

    id: str
    project: str
    name: str
    stage: Stage
    created: datetime
    changed: datetime
    tags: dict[str, str]


def create_experiment(tx: Transaction, project: str, name: str, tags: dict[str, str] | None = None) -> str:
    """Enter an experiment and return its id. Raises `tracking/experiment-exists`, `tracking/bad-name`."""
    found = tx.row(f"{_SELECT} AND name = ?", (project, checked_name(name)))
    if found is not None:
        raise ExperimentExists(name=name, stage=found["stage"])
    id, now = new_id("exp"), now_us()
    seq = tx.emit(ExperimentCreated(id, name), id)
    tx.execute(_INSERT, (id, project, name, now, now, seq))
    tx.node(id, "context", "experiment", name, seq)
    for tag, value in (tags or {}).items():
        tag_experiment(tx, project, id, tag, value)
    return id


def ensure_experiment(tx: Transaction, project: str, name: str) -> str:
    """Return the id of the experiment of that name, entered when it is not there. Raises `tracking/not-active`."""
    found = tx.row(f"{_SELECT} AND name = ?", (project, checked_name(name)))
    if found is None:
        return create_experiment(tx, project, name)
    if found["stage"] != "active":
        raise NotActive(what="experiment", id=name, stage=found["stage"])
    return str(found["id"])


def get_experiment(reader: Reader | Transaction, project: str, id: str) -> Experiment:
    """Return an experiment by its id. Raises `tracking/unknown-experiment`."""
    row = reader.row(f"{_SELECT} AND id = ?", (project, id))
    if row is None:
        raise UnknownExperiment(id=id[:80])
    return _experiment(reader, row)


def experiment_named(reader: Reader | Transaction, project: str, name: str) -> Experiment:
    """Return an experiment by its name. Raises `tracking/unknown-experiment`."""
    row = reader.row(f"{_SELECT} AND name = ?", (project, name))
    if row is None:
        raise UnknownExperiment(id=name[:80])
    return _experiment(reader, row)


def list_experiments(reader: Reader, project: str, stages: tuple[Stage, ...] = ("active",)) -> list[Experiment]:
    """Return the project's experiments, newest first."""
    marks = ", ".join("?" * len(stages))
    rows = reader.rows(f"{_SELECT} AND stage IN ({marks}) ORDER BY created_us DESC, id DESC", (project, *stages))
    return [_experiment(reader, row) for row in rows]


def change_experiment(
    tx: Transaction, project: str, id: str, *, name: str | None = None, stage: Stage | None = None
) -> Experiment:
    """Rename, delete or restore an experiment; its runs go with it, and what they recorded stays.

    Raises `tracking/unknown-experiment`, `tracking/experiment-exists`, `tracking/not-active` when a deleted one is renamed.
    """
    before = get_experiment(tx, project, id)
    name, stage = checked_name(name or before.name), stage or before.stage
    if (name, stage) == (before.name, before.stage):
        return before
    if name != before.name:
        _check_rename(tx, before, name)
        tx.execute("UPDATE run SET experiment = ? WHERE project = ? AND experiment = ?", (name, project, before.name))
    tx.emit(ExperimentChanged(id, name, stage, before.name, before.stage), id)
    tx.execute("UPDATE experiment SET name = ?, stage = ?, changed_us = ? WHERE id = ?", (name, stage, now_us(), id))
    return get_experiment(tx, project, id)


def tag_experiment(tx: Transaction, project: str, id: str, tag: str, value: str) -> None:
    """Set a tag of an experiment. Raises `tracking/unknown-experiment`, `tracking/bad-name`, `tracking/not-active`."""
    held = get_experiment(tx, project, id)
    if held.stage != "active":
        raise NotActive(what="experiment", id=id, stage=held.stage)
    tx.emit(ExperimentTagged(id, checked_name(tag), value), id)
    tx.execute(_UPSERT_TAG, (id, tag, value))


def _check_rename(tx: Transaction, held: Experiment, name: str) -> None:
    if held.stage != "active":
        raise NotActive(what="experiment", id=held.id, stage=held.stage)
    other = tx.row(f"{_SELECT} AND name = ?", (held.project, name))
    if other is not None:
        raise ExperimentExists(name=name, stage=other["stage"])


def _experiment(reader: Reader | Transaction, row: Row) -> Experiment:
    tags = reader.rows("SELECT name, value FROM experiment_tag WHERE experiment = ? ORDER BY name", (row["id"],))
    return Experiment(
        id=row["id"],
        project=row["project"],
        name=row["name"],
        stage=row["stage"],
        created=from_us(row["created_us"]),
        changed=from_us(row["changed_us"]),
        tags={tag["name"]: tag["value"] for tag in tags},
    )
