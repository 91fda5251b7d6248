"""Logged models: what a run or a script says is a model, with its files, before anybody registers it as a version."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bucle.ledger import Reader, Row, Scope, Transaction, because, current_context, from_us, new_id
from bucle.tracking.errors import UnknownModel, UnknownTag
from bucle.tracking.events import LoggedModelChanged, ModelLogged
from bucle.tracking.experiments import Stage
from bucle.tracking.ids import run_hex
from bucle.tracking.logs import ArtifactLog, checked_name, now_us

ModelStatus = Literal["pending", "ready", "failed"]

_INSERT = """
INSERT INTO logged_model
  (id, project, environment, experiment, name, model_type, source_run, status, created_us, changed_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)
"""
_UPSERT_FILE = """
INSERT INTO logged_model_file (model, name, artifact, size) VALUES (?, ?, ?, ?)
ON CONFLICT (model, name) DO UPDATE SET artifact = excluded.artifact, size = excluded.size
"""
_UPSERT_TAG = """
INSERT INTO logged_model_tag (model, name, value) VALUES (?, ?, ?)
ON CONFLICT (model, name) DO UPDATE SET value = excluded.value
"""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A logged model; `experiment` is the id of its experiment, `source_run` the run that made it."""

    id: str
    project: str
    environment: str
    experiment: str
    name: str
    model_type: str
    source_run: str | None
    status: ModelStatus
    stage: Stage
    created: datetime
    changed: datetime
    event: int
    params: dict[str, str]
    tags: dict[str, str]


def log_model(
    tx: Transaction,
    experiment: str,
    name: str,
    *,
    model_type: str = "",
    source_run: str | None = None,
    params: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> str:
    """Enter a model whose files are still to come, in the scope of the context, and return its id."""
    scope: Scope = current_context().scope
    id, now = f"m-{run_hex(new_id('run'))}", now_us()
    seq = tx.emit(ModelLogged(id, checked_name(name), experiment, model_type, source_run), id)
    who = (id, scope.project, scope.environment, experiment, name, model_type, source_run)
    tx.execute(_INSERT, (*who, now, now, seq))
    tx.node(id, "artifact", "logged_model", name, seq)
    if source_run is not None:
        tx.edge(source_run, id, f"model:{name}", seq)
    for key, value in (params or {}).items():
        tx.execute("INSERT INTO logged_model_param (model, name, value) VALUES (?, ?, ?)", (id, checked_name(key), value))
    for key, value in (tags or {}).items():
        tx.execute(_UPSERT_TAG, (id, checked_name(key), value))
    return id


def get_logged_model(reader: Reader | Transaction, project: str, id: str) -> LoggedModel:
    """Return a model that is not deleted. Raises `tracking/unknown-model`."""
    row = reader.row("SELECT * FROM logged_model WHERE id = ? AND project = ? AND stage = 'active'", (id, project))
    if row is None:
        raise UnknownModel(id=id[:80])
    return _model(reader, row)


def list_logged_models(reader: Reader, project: str, experiments: tuple[str, ...]) -> list[LoggedModel]:
    """Return the models of experiments (their ids), newest first."""
    marks = ", ".join("?" * len(experiments))
    rows = reader.rows(
        f"SELECT * FROM logged_model WHERE project = ? AND stage = 'active' AND experiment IN ({marks}) "
        "ORDER BY created_us DESC, id",
        (project, *experiments),
    )
    return [_model(reader, row) for row in rows]


def change_logged_model(
    tx: Transaction, project: str, id: str, *, status: ModelStatus | None = None, stage: Stage | None = None
) -> None:
    """Say that a model's files are all there, or failed to come; or delete it. Raises `tracking/unknown-model`."""
    held = get_logged_model(tx, project, id)
    status, stage = status or held.status, stage or held.stage
    if (status, stage) == (held.status, held.stage):
        return
    with because(held.event):
        tx.emit(LoggedModelChanged(id, held.name, status, stage, held.status, held.stage), id)
    tx.execute("UPDATE logged_model SET status = ?, stage = ?, changed_us = ? WHERE id = ?", (status, stage, now_us(), id))


def tag_logged_model(tx: Transaction, project: str, id: str, tags: dict[str, str]) -> None:
    """Set tags of a model. Raises `tracking/unknown-model`, `tracking/bad-name`."""
    get_logged_model(tx, project, id)
    tx.execute_many(_UPSERT_TAG, [(id, checked_name(name), value) for name, value in tags.items()])


def untag_logged_model(tx: Transaction, project: str, id: str, tag: str) -> None:
    """Remove a tag of a model. Raises `tracking/unknown-model`, `tracking/unknown-tag`."""
    get_logged_model(tx, project, id)
    if not tx.execute("DELETE FROM logged_model_tag WHERE model = ? AND name = ?", (id, tag)):
        raise UnknownTag(what="model", id=id, name=tag[:80])


def keep_model_file(tx: Transaction, project: str, id: str, file: ArtifactLog) -> None:
    """Enter a file of a model, whose artifact is kept already. Raises `tracking/unknown-model`, `tracking/bad-name`."""
    held = get_logged_model(tx, project, id)
    tx.node(file.id, "artifact", "artifact", checked_name(file.name), held.event)
    tx.edge(file.id, id, f"file:{file.name}", held.event)
    tx.execute(_UPSERT_FILE, (id, file.name, file.id, file.size))


def model_files(reader: Reader, id: str) -> list[ArtifactLog]:
    """Return the files of a model by name."""
    rows = reader.rows("SELECT * FROM logged_model_file WHERE model = ? ORDER BY name", (id,))
    return [ArtifactLog(row["name"], row["artifact"], row["size"]) for row in rows]


def _model(reader: Reader | Transaction, row: Row) -> LoggedModel:
    held: dict[str, dict[str, str]] = {}
    for kind in ("param", "tag"):
        rows = reader.rows(f"SELECT name, value FROM logged_model_{kind} WHERE model = ? ORDER BY name", (row["id"],))
        held[kind] = {each["name"]: each["value"] for each in rows}
    return LoggedModel(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        experiment=row["experiment"],
        name=row["name"],
        model_type=row["model_type"],
        source_run=row["source_run"],
        status=row["status"],
        stage=row["stage"],
        created=from_us(row["created_us"]),
        changed=from_us(row["changed_us"]),
        event=row["event"],
        params=held["param"],
        tags=held["tag"],
    )
