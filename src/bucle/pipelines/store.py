"""How runs, steps, attempts and cached outputs live in the ledger."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bucle.ledger import Reader, Row, Scope, Transaction
from bucle.pipelines.reads import Read, data_name

Reads = Reader | Transaction

INSERT_RUN = """
INSERT INTO pipeline_run (id, project, environment, pipeline, trigger_kind, engine, state, request, code, configuration, epoch,
  lease_us, actor, role, started_us, event)
VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, 1, ?, ?, ?, ?, ?)
"""
END_RUN = """
UPDATE pipeline_run SET state = ?, ended_us = ?, output = ?, failure = ?, model_version = ?, ended_event = ?
WHERE id = ? AND epoch = ? AND state = 'running'
"""
NEXT_EPOCH = """
UPDATE pipeline_run SET epoch = epoch + 1, state = 'running', ended_us = NULL, failure = NULL, request = ?, code = ?,
  configuration = ?, lease_us = ?
WHERE id = ? AND epoch = ? RETURNING epoch
"""
LEASE_RUN = "UPDATE pipeline_run SET lease_us = ? WHERE id = ? AND epoch = ? AND state = 'running'"
SELECT_RUN = "SELECT * FROM pipeline_run WHERE id = ?"
SELECT_RUNS = "SELECT * FROM pipeline_run WHERE project = ? AND environment = ? ORDER BY started_us DESC LIMIT ?"
RUNNING = "SELECT * FROM pipeline_run WHERE state = 'running' ORDER BY id"
RUNNING_OF = """
SELECT id FROM pipeline_run WHERE project = ? AND environment = ? AND pipeline = ? AND state = 'running' ORDER BY id LIMIT 1
"""
LAST_OF = """
SELECT event FROM pipeline_run WHERE project = ? AND environment = ? AND pipeline = ? ORDER BY event DESC LIMIT 1
"""
SAME_CONFIGURATION = """
SELECT id FROM pipeline_run WHERE project = ? AND pipeline = ? AND configuration = ? AND state = 'done'
ORDER BY started_us DESC LIMIT 1
"""
UPSERT_STEP = """
INSERT INTO step (id, run, call, name, state, plan, miss, attempts, planned_us) VALUES (?, ?, ?, ?, ?, ?, '[]', 0, ?)
ON CONFLICT (run, call) DO UPDATE SET state = excluded.state, plan = excluded.plan, planned_us = excluded.planned_us,
  failure = NULL
"""
START_STEP = """
INSERT INTO step (id, run, call, name, state, plan, key, parts, miss, attempts, planned_us, started_us)
VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, call) DO UPDATE SET state = 'running', plan = excluded.plan, key = excluded.key, parts = excluded.parts,
  miss = excluded.miss, attempts = excluded.attempts, output = NULL, hit_of = NULL, failure = NULL,
  started_us = coalesce(step.started_us, excluded.started_us)
"""
COUNT_ATTEMPT = "UPDATE step SET state = 'running', attempts = ? WHERE id = ?"
COMMIT_STEP = """
UPDATE step SET state = 'done', key = ?, parts = ?, output = ?, hit_of = ?, tracking_run = ?, started_us = ?, ended_us = ?,
  event = ?, failure = NULL WHERE id = ?
"""
FAIL_STEP = "UPDATE step SET state = ?, failure = ?, ended_us = ?, event = ? WHERE id = ?"
STOP_STEPS = """
UPDATE step SET state = 'cancelled', ended_us = ? WHERE run = ? AND state IN ('waiting', 'running')
"""
SELECT_STEPS = "SELECT * FROM step WHERE run = ? ORDER BY planned_us, id"
SELECT_STEP = "SELECT * FROM step WHERE id = ?"
INSERT_ATTEMPT = """
INSERT INTO attempt (step, number, state, epoch, lease_us, started_us, log) VALUES (?, ?, 'running', ?, ?, ?, ?)
"""
END_ATTEMPT = """
UPDATE attempt SET state = ?, ended_us = ?, pid = ?, node = ?, reason = ? WHERE step = ? AND number = ? AND state = 'running'
"""
SELECT_ATTEMPTS = "SELECT * FROM attempt WHERE step = ? ORDER BY number"
OPEN_ATTEMPTS = """
SELECT attempt.step, attempt.number, step.call FROM attempt JOIN step ON step.id = attempt.step
WHERE step.run = ? AND attempt.state = 'running'
"""
INSERT_CACHE = """
INSERT INTO step_cache (project, environment, key, settings, name, step, run, parts, output, created_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (project, environment, key, settings) DO UPDATE
SET step = excluded.step, run = excluded.run, output = excluded.output, created_us = excluded.created_us
"""
SELECT_CACHE = "SELECT * FROM step_cache WHERE project = ? AND environment = ? AND key = ? ORDER BY created_us DESC"
LAST_CACHED = """
SELECT key, parts, settings FROM step_cache WHERE project = ? AND environment = ? AND name = ?
ORDER BY created_us DESC LIMIT 3
"""
DELETE_READS = "DELETE FROM step_read WHERE step = ?"
INSERT_READ = """
INSERT INTO step_read (step, project, environment, kind, name, place, opened, in_key, event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_READS = """
SELECT step.run, step.call, step_read.* FROM step JOIN step_read ON step_read.step = coalesce(step.hit_of, step.id)
WHERE step.run = ? AND step.state = 'done' ORDER BY step.planned_us, step_read.kind, step_read.name
"""
INSERT_FIRING = """
INSERT INTO trigger_firing (event, project, environment, pipeline, kind, run) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
SELECT_FIRING = """
SELECT 1 FROM trigger_firing WHERE event = ? AND project = ? AND environment = ? AND pipeline = ? AND kind = ?
"""
INSERT_NEW_ROWS = """
INSERT INTO new_rows (project, environment, source, event, rows) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
COUNT_NEW_ROWS = """
SELECT coalesce(sum(rows), 0) FROM new_rows WHERE project = ? AND environment = ? AND source = ? AND event > ?
"""


def one(reader: Reads, sql: str, *parameters: Any) -> Row | None:
    """Return the first row of a query, or None."""
    return reader.row(sql, parameters)


def number(reader: Reads, sql: str, *parameters: Any) -> int:
    """Return the number in a query's first row, 0 without rows."""
    row = reader.row(sql, parameters)
    return int(row[0]) if row else 0


def text(reader: Reads, sql: str, *parameters: Any) -> str | None:
    """Return the text in a query's first row, None without rows."""
    row = reader.row(sql, parameters)
    return str(row[0]) if row else None


def start_step(
    tx: Transaction, id: str, run: str, call: str, plan: str, key: tuple[str, str], miss: str, attempt: int, now_us: int
) -> None:
    """Enter a step whose first attempt in this drive begins; `key` is its cache key and what it is made of."""
    tx.execute(START_STEP, (id, run, call, _name(call), plan, *key, miss, attempt, now_us, now_us))


def write_step(tx: Transaction, id: str, run: str, call: str, state: str, plan: str, planned_us: int) -> None:
    """Enter a planned step, or plan again the step that this call was before."""
    tx.execute(UPSERT_STEP, (id, run, call, _name(call), state, plan, planned_us))


def end_attempt(
    tx: Transaction,
    step: str,
    number: int,
    state: str,
    ended_us: int,
    pid: int | None = None,
    node: str | None = None,
    reason: str | None = None,
) -> bool:
    """End an attempt if it still runs; False means that it was ended before, and its result must be thrown away."""
    return tx.execute(END_ATTEMPT, (state, ended_us, pid, node, reason, step, number)) == 1


def insert_reads(
    tx: Transaction, scope: Scope, step: str, reads: Iterable[Read], named: Iterable[str], root: str, event: int
) -> None:
    """Enter what an attempt read, and the files that its code names, whose content is in its key, read or not."""
    real = os.path.realpath(root)
    in_key = {name for each in named if (name := data_name(str(Path(real, each)), real)) is not None}
    found: dict[tuple[str, str], str | None] = {(read.kind, read.name): read.where for read in reads}
    silent = [("file", name) for name in sorted(in_key) if ("file", name) not in found]
    tx.execute(DELETE_READS, (step,))
    for kind, name in (*found, *silent):
        opened, where = (kind, name) in found, found.get((kind, name))
        values = (scope.project, scope.environment, kind, name, where, opened, kind == "file" and name in in_key, event)
        tx.execute(INSERT_READ, (step, *values))


def lose_attempts(tx: Transaction, run: str, now_us: int) -> list[tuple[str, int, str]]:
    """End all attempts of a run that nobody works on any more, and return them as (step, number, call)."""
    lost = [(row["step"], row["number"], row["call"]) for row in tx.rows(OPEN_ATTEMPTS, (run,))]
    for step, number, _ in lost:
        end_attempt(tx, step, number, "lost", now_us, reason="the process that held the run ended")
    return lost


def running(reader: Reads, scope: Scope, pipeline: str) -> str | None:
    """Return the active run of a pipeline in a scope, or None."""
    return text(reader, RUNNING_OF, scope.project, scope.environment, pipeline)


def rows_since(reader: Reads, scope: Scope, source: str, event: int) -> int:
    """Return how many rows of a source arrived after an event."""
    return number(reader, COUNT_NEW_ROWS, scope.project, scope.environment, source, event)


def refs(rows: Iterable[Row]) -> dict[str, Row]:
    """Return step rows by call."""
    return {row["call"]: row for row in rows}


def _name(call: str) -> str:
    return call.rpartition("#")[0].rpartition("/")[2]
