"""How runs, experiments and what runs record live in the ledger."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from bucle.ledger import Reader, Row, Scope, Transaction
from bucle.tracking.errors import ParameterChanged, TooMuch
from bucle.tracking.logs import MOST_ENTRIES, RunLog, special

if TYPE_CHECKING:
    from bucle.tracking.runs import DataUse, RunFilter, RunStart

Table = Literal["run_data", "run_param", "run_tag", "run_metric_last", "run_artifact", "run_note", "run_setting"]

INSERT_RUN = """
INSERT INTO run (id, project, environment, experiment, name, kind, purpose, parent, status, started_us, ended_us, touched_us,
  commit_sha, dirty, lock_digest, as_of_us, seed, engine, error, actor, role, batches, event, ended_event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'running', ?, NULL, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, 0, ?, NULL)
"""
END_RUN = "UPDATE run SET status = ?, ended_us = ?, error = ?, ended_event = ? WHERE id = ?"
REOPEN_RUN = "UPDATE run SET status = 'running', ended_us = NULL, error = NULL, ended_event = NULL WHERE id = ?"
TOUCH_RUN = "UPDATE run SET touched_us = ?, batches = max(batches, ?) WHERE id = ?"
INSERT_DATA = "INSERT INTO run_data (run, source, version) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
INSERT_PARAM = "INSERT INTO run_param (run, name, value) VALUES (?, ?, ?) ON CONFLICT (run, name) DO NOTHING"
UPSERT_TAG = (
    "INSERT INTO run_tag (run, name, value) VALUES (?, ?, ?) ON CONFLICT (run, name) DO UPDATE SET value = excluded.value"
)
INSERT_METRIC = "INSERT INTO run_metric (run, name, step, at_us, value, special) VALUES (?, ?, ?, ?, ?, ?)"
UPSERT_LAST = """
INSERT INTO run_metric_last (run, name, step, at_us, value, special, points) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, name) DO UPDATE SET
  value = CASE WHEN (excluded.step, excluded.at_us) >= (run_metric_last.step, run_metric_last.at_us)
    THEN excluded.value ELSE run_metric_last.value END,
  special = CASE WHEN (excluded.step, excluded.at_us) >= (run_metric_last.step, run_metric_last.at_us)
    THEN excluded.special ELSE run_metric_last.special END,
  at_us = CASE WHEN (excluded.step, excluded.at_us) >= (run_metric_last.step, run_metric_last.at_us)
    THEN excluded.at_us ELSE run_metric_last.at_us END,
  step = CASE WHEN excluded.step >= run_metric_last.step THEN excluded.step ELSE run_metric_last.step END,
  points = run_metric_last.points + excluded.points
"""
UPSERT_ARTIFACT = """
INSERT INTO run_artifact (run, name, artifact, size) VALUES (?, ?, ?, ?)
ON CONFLICT (run, name) DO UPDATE SET artifact = excluded.artifact, size = excluded.size
"""
INSERT_NOTE = """
INSERT INTO run_note (run, ordinal, kind, data)
VALUES (?, (SELECT coalesce(max(ordinal), 0) + 1 FROM run_note WHERE run = ?), ?, ?)
"""
INSERT_SETTING = "INSERT INTO run_setting (run, name, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
COUNT_ITERATIONS = """
SELECT count(*) FROM run WHERE purpose = 'training' AND status = 'succeeded' AND parent = ?
  AND ended_event <= (SELECT ended_event FROM run WHERE id = ?)
"""
TRAINED_FOR = """
SELECT DISTINCT run.id, run.parent, run.ended_event FROM lineage_edge used
JOIN lineage_edge made ON made.target = used.source
JOIN run ON run.id = made.source
WHERE used.target = ? AND run.purpose = 'training' AND run.status = 'succeeded' ORDER BY run.ended_event
"""
EVALUATED = """
SELECT 1 FROM lineage_edge made
JOIN lineage_edge used ON used.source = made.target
JOIN run_metric_last metric ON metric.run = used.target
WHERE made.source = ? LIMIT 1
"""
SILENT = """
SELECT id, project, environment FROM run WHERE status = 'running' AND kind = 'script' AND engine <> 'mlflow'
  AND touched_us < ? ORDER BY id
"""


def insert_run(tx: Transaction, scope: Scope, start: "RunStart", actor: str, role: str, seq: int) -> None:
    """Insert a run that begins, with the data that it reads."""
    who = (start.id, scope.project, scope.environment, start.experiment, start.name, start.kind, start.purpose, start.parent)
    code = (start.commit, int(start.dirty), start.lock, start.as_of_us, start.seed, start.engine)
    tx.execute(INSERT_RUN, (*who, start.started_us, start.started_us, *code, actor, role, seq))
    insert_data(tx, start.id, start.data)


def insert_data(tx: Transaction, run_id: str, data: Sequence["DataUse"]) -> None:
    """Insert the dataset versions that a run reads."""
    if data:
        tx.execute_many(INSERT_DATA, [(run_id, use.source, use.version) for use in data])


def write_log(tx: Transaction, run_id: str, log: RunLog, now_us: int) -> None:
    """Write what a run logged. Raises `tracking/param-changed`, `tracking/too-much`; then the transaction must be undone."""
    if log.params:
        _write_params(tx, run_id, log)
        _refuse_too_many(tx, "run_param", run_id)
    if log.tags:
        tx.execute_many(UPSERT_TAG, [(run_id, name, value) for name, value in log.tags.items()])
        _refuse_too_many(tx, "run_tag", run_id)
    if log.metrics:
        _write_metrics(tx, run_id, log)
    if log.artifacts:
        tx.execute_many(UPSERT_ARTIFACT, [(run_id, each.name, each.id, each.size) for each in log.artifacts])
    for note in log.notes:
        tx.execute(INSERT_NOTE, (run_id, run_id, note.kind, json.dumps(note.data)))
    if log.settings_read:
        tx.execute_many(INSERT_SETTING, [(run_id, each.name, each.value) for each in log.settings_read])
    tx.execute(TOUCH_RUN, (now_us, log.batch, run_id))


def _write_params(tx: Transaction, run_id: str, log: RunLog) -> None:
    texts = {name: json.dumps(value, sort_keys=True) for name, value in log.params.items()}
    if tx.execute_many(INSERT_PARAM, [(run_id, name, text) for name, text in texts.items()]) != len(texts):
        held = {row["name"]: row["value"] for row in entries(tx, "run_param", run_id)}
        for name, text in texts.items():
            if held[name] != text:
                raise ParameterChanged(name=name, old=json.loads(held[name]), new=json.loads(text))


def _refuse_too_many(tx: Transaction, table: str, run_id: str) -> None:
    row = tx.row(f"SELECT count(*) FROM {table} WHERE run = ?", (run_id,))
    if row is not None and row[0] > MOST_ENTRIES:
        raise TooMuch(what="parameters or tags", limit=MOST_ENTRIES)


def _write_metrics(tx: Transaction, run_id: str, log: RunLog) -> None:
    rows = []
    last: dict[str, tuple[tuple[int, int], tuple[object, ...], int]] = {}
    for point in log.metrics:
        number = point.number
        value = (number, None) if math.isfinite(number) else (None, special(number))
        rows.append((run_id, point.name, point.step, point.at_us, *value))
        order, known = (point.step, point.at_us), last.get(point.name)
        if known is None:
            last[point.name] = (order, value, 1)
        else:
            last[point.name] = (order, value, known[2] + 1) if order >= known[0] else (known[0], known[1], known[2] + 1)
    tx.execute_many(INSERT_METRIC, rows)
    tx.execute_many(UPSERT_LAST, [(run_id, name, *order, *value, points) for name, (order, value, points) in last.items()])


def end_run(tx: Transaction, run_id: str, status: str, ended_us: int, error: str | None, seq: int) -> None:
    """Write the end of a run."""
    tx.execute(END_RUN, (status, ended_us, error, seq, run_id))


def touch(tx: Transaction, run_id: str, now_us: int) -> None:
    """Note that a script still runs."""
    tx.execute(TOUCH_RUN, (now_us, 0, run_id))


def select_run(reader: Reader | Transaction, run_id: str, project: str | None = None) -> Row | None:
    """Return the row of a run, None when there is none in the project."""
    if project is None:
        return reader.row("SELECT * FROM run WHERE id = ?", (run_id,))
    return reader.row("SELECT * FROM run WHERE id = ? AND project = ?", (run_id, project))


def select_runs(reader: Reader, wanted: "RunFilter") -> list[Row]:
    """Return the rows that pass the filter, newest first."""
    clauses, parameters = clauses_of(wanted)
    sql = f"SELECT * FROM run WHERE {' AND '.join(clauses)} ORDER BY started_us DESC, id DESC LIMIT ?"
    return reader.rows(sql, [*parameters, wanted.limit])


def clauses_of(wanted: "RunFilter") -> tuple[list[str], list[object]]:
    """Return the clauses on the table `run` that a filter stands for, with their parameters."""
    clauses, parameters = ["stage = 'active'"], []  # type: list[str], list[object]
    for column in ("project", "environment", "experiment", "kind", "status", "purpose"):
        if (value := getattr(wanted, column)) is not None:
            clauses.append(f"{column} = ?")
            parameters.append(value)
    if wanted.parent is not None:
        clauses.append("parent = ?" if wanted.parent else "parent IS NULL")
        parameters += [wanted.parent] if wanted.parent else []
    if wanted.before is not None:
        clauses.append("(started_us, id) < (SELECT started_us, id FROM run WHERE id = ?)")
        parameters.append(wanted.before)
    return clauses, parameters


def entries(reader: Reader | Transaction, table: Table, run_id: str) -> list[Row]:
    """Return what a run recorded in one of its tables."""
    order = {"run_data": "source, version", "run_note": "ordinal"}.get(table, "name")
    return reader.rows(f"SELECT * FROM {table} WHERE run = ? ORDER BY {order}", (run_id,))


def children(reader: Reader | Transaction, run_id: str) -> list[Row]:
    """Return the ids of the runs that this run began, oldest first."""
    return reader.rows("SELECT id FROM run WHERE parent = ? ORDER BY started_us, id", (run_id,))


def series(reader: Reader, run_id: str, name: str, limit: int) -> list[Row]:
    """Return the points of one metric in the order of their steps."""
    return reader.rows(
        "SELECT * FROM run_metric WHERE run = ? AND name = ? ORDER BY step, at_us LIMIT ?", (run_id, name, limit)
    )


def logged(reader: Reader, run_id: str, name: str, offset: int, limit: int) -> list[Row]:
    """Return points of one metric by time and step, as the MLflow protocol has them; a negative limit means all."""
    return reader.rows(
        "SELECT * FROM run_metric WHERE run = ? AND name = ? ORDER BY at_us, step, value LIMIT ? OFFSET ?",
        (run_id, name, limit, offset),
    )


def last_points(reader: Reader, run_ids: Sequence[str]) -> list[Row]:
    """Return the last point of each metric of several runs."""
    marks = ", ".join("?" * len(run_ids))
    return reader.rows(f"SELECT * FROM run_metric_last WHERE run IN ({marks}) ORDER BY run, name", run_ids) if run_ids else []


def reopen_run(tx: Transaction, run_id: str) -> None:
    """Let a run be running again."""
    tx.execute(REOPEN_RUN, (run_id,))


def iteration_number(reader: Reader | Transaction, run_id: str, parent: str | None) -> int:
    """Return a training iteration's place among those of its parent that succeeded; 1 for a run without parent."""
    row = reader.row(COUNT_ITERATIONS, (parent, run_id)) if parent is not None else None
    return int(row[0]) if row else 1


def trained_for(reader: Reader | Transaction, run_id: str) -> list[Row]:
    """Return the training iterations that made something which this run read."""
    return reader.rows(TRAINED_FOR, (run_id,))


def evaluated(reader: Reader | Transaction, run_id: str) -> bool:
    """Return whether a run that read one of this run's outputs recorded metrics."""
    return reader.row(EVALUATED, (run_id,)) is not None


def silent_scripts(reader: Reader | Transaction, since_us: int) -> list[tuple[str, Scope]]:
    """Return the scripts that run and were not heard of since then, with their scopes."""
    return [(row["id"], Scope(row["project"], row["environment"])) for row in reader.rows(SILENT, (since_us,))]


def insert_upload(tx: Transaction, run_id: str, artifact: str) -> None:
    """Note that a script sent an artifact for its run."""
    tx.execute("INSERT INTO run_upload (run, artifact) VALUES (?, ?) ON CONFLICT DO NOTHING", (run_id, artifact))


def uploads(reader: Reader | Transaction, run_id: str) -> set[str]:
    """Return the artifacts that a script sent for its run."""
    return {str(row["artifact"]) for row in reader.rows("SELECT artifact FROM run_upload WHERE run = ?", (run_id,))}
