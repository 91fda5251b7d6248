"""How rollouts and their evidence over time live in the ledger."""

import time

import msgspec

from bucle.delivery.rollouts.rollout import Decisions, Point, Rollout
from bucle.delivery.rows import fields_of, json_of
from bucle.ledger import Reader, Row, Scope, Transaction
from bucle.messages import Phrase

AnyReader = Reader | Transaction

_COLUMNS = """id, project, environment, service, promotion, target, left_name, model_version, champion, challenger, policy,
kind, maturity, state, step, stepped_us, evidence, prospect, cause, reason, created_us, event, last"""
INSERT_ROLLOUT = f"INSERT INTO rollout ({_COLUMNS}) VALUES ({', '.join('?' * 23)})"
SELECT_ROLLOUT = "SELECT * FROM rollout WHERE id = ? AND project = ?"
SELECT_RUNNING = "SELECT * FROM rollout WHERE state = 'running' ORDER BY event"
SELECT_OF_SERVICE = """
SELECT * FROM rollout WHERE project = ? AND environment = ? AND service = ? ORDER BY event DESC LIMIT 1
"""
SELECT_OF_PROMOTION = "SELECT * FROM rollout WHERE promotion = ? ORDER BY event"
SELECT_ROLLOUTS = "SELECT * FROM rollout WHERE project = ? AND environment = ? ORDER BY event DESC LIMIT ?"
SAVE_EVIDENCE = "UPDATE rollout SET evidence = ? WHERE id = ?"
MOVE_ROLLOUT = "UPDATE rollout SET step = ?, stepped_us = ?, evidence = ?, last = ? WHERE id = ?"
END_ROLLOUT = "UPDATE rollout SET state = ?, cause = ?, reason = ?, ended_us = ?, last = ? WHERE id = ? AND state = 'running'"
COUNT_DECISIONS = """
SELECT project, environment, service, state AS decision, cause, count(*) AS rollouts FROM rollout WHERE state <> 'running'
GROUP BY 1, 2, 3, 4, 5
UNION ALL
SELECT project, environment, service, 'advanced', '', sum(step) FROM rollout GROUP BY 1, 2, 3
"""
INSERT_POINT = """
INSERT INTO rollout_point (rollout, number, step, at_us, as_of_us, champion_rows, champion_failed, challenger_rows,
challenger_failed, labelled, judgements) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_POINTS = "SELECT * FROM rollout_point WHERE rollout = ? ORDER BY number"
SELECT_LAST_POINT = "SELECT * FROM rollout_point WHERE rollout = ? ORDER BY number DESC LIMIT 1"
SELECT_LOGGED = "SELECT max(seq) FROM event WHERE kind = 'serving.predictions_logged' AND subject = ?"

_JSON = ("policy", "evidence", "judgements", "prospect", "reason")


def insert_rollout(tx: Transaction, rollout: Rollout) -> None:
    """Write a rollout that begins."""
    what = (rollout.service, rollout.promotion, rollout.target, rollout.left, rollout.model_version)
    arms = (rollout.champion, rollout.challenger, json_of(rollout.policy), rollout.kind, rollout.maturity)
    now = tx.clock.now_us()
    state = (
        rollout.state,
        rollout.step,
        now,
        json_of(rollout.evidence),
        json_of(rollout.prospect),
        rollout.cause,
        json_of(rollout.reason),
    )
    values = (rollout.id, rollout.project, rollout.environment, *what, *arms, *state, now, rollout.event, rollout.last)
    tx.execute(INSERT_ROLLOUT, values)


def save_evidence(tx: Transaction, rollout: Rollout) -> None:
    """Write what the judges hold now."""
    tx.execute(SAVE_EVIDENCE, (json_of(rollout.evidence), rollout.id))


def move_rollout(tx: Transaction, rollout: Rollout, step: int, event: int) -> None:
    """Write that a rollout is in another step from now on, in which nothing was asked for yet."""
    evidence = msgspec.structs.replace(rollout.evidence, step_rows=0)
    tx.execute(MOVE_ROLLOUT, (step, tx.clock.now_us(), json_of(evidence), event, rollout.id))


def end_rollout(tx: Transaction, rollout: Rollout, state: str, cause: str, reason: Phrase, event: int) -> None:
    """Write how a rollout ended."""
    tx.execute(END_ROLLOUT, (state, cause, json_of(reason), tx.clock.now_us(), event, rollout.id))


def insert_point(tx: Transaction, rollout: Rollout) -> None:
    """Write the evidence as it is now, for whoever wants to see it grow."""
    last = tx.row(SELECT_LAST_POINT, (rollout.id,))
    errors = rollout.evidence.errors
    arms = (errors.champion.requests, errors.champion.failed, errors.challenger.requests, errors.challenger.failed)
    judged = msgspec.json.encode(rollout.judgements).decode()
    now = (time.time_ns() // 1000, tx.clock.now_us())
    number = last["number"] + 1 if last else 0
    tx.execute(INSERT_POINT, (rollout.id, number, rollout.step, *now, *arms, rollout.evidence.loss.rows, judged))


def last_point(reader: AnyReader, rollout: str) -> Point | None:
    """Return the last point of a rollout, None before the first."""
    row = reader.row(SELECT_LAST_POINT, (rollout,))
    return msgspec.convert(fields_of(row, _JSON), Point) if row else None


def select_points(reader: AnyReader, rollout: str) -> list[Point]:
    """Return how the evidence of a rollout grew."""
    return [msgspec.convert(fields_of(row, _JSON), Point) for row in reader.rows(SELECT_POINTS, (rollout,))]


def select_rollout(reader: AnyReader, project: str, id: str) -> Rollout | None:
    """Return a rollout of a project."""
    row = reader.row(SELECT_ROLLOUT, (id, project))
    return _rollout(row) if row else None


def select_running(reader: AnyReader) -> list[Rollout]:
    """Return every rollout of the home that is on."""
    return [_rollout(row) for row in reader.rows(SELECT_RUNNING)]


def count_decisions(reader: AnyReader) -> list[Decisions]:
    """Return what was decided about the rollouts of the home so far."""
    return [msgspec.convert(fields_of(row, ()), Decisions) for row in reader.rows(COUNT_DECISIONS)]


def newest_of_service(reader: AnyReader, scope: Scope, service: str) -> Rollout | None:
    """Return the rollout of a service that is on, else its last."""
    row = reader.row(SELECT_OF_SERVICE, (scope.project, scope.environment, service))
    return _rollout(row) if row else None


def select_of_promotion(reader: AnyReader, promotion: str) -> list[Rollout]:
    """Return the rollouts that a promotion started, one for each service."""
    return [_rollout(row) for row in reader.rows(SELECT_OF_PROMOTION, (promotion,))]


def select_rollouts(reader: AnyReader, scope: Scope, limit: int) -> list[Rollout]:
    """Return the rollouts of an environment, newest first."""
    return [_rollout(row) for row in reader.rows(SELECT_ROLLOUTS, (scope.project, scope.environment, limit))]


def last_logged(tx: Transaction, *deployments: str) -> list[int]:
    """Return the seqs under which the prediction logs of deployments came in last."""
    found = [tx.row(SELECT_LOGGED, (deployment,)) for deployment in deployments]
    return [int(row[0]) for row in found if row is not None and row[0] is not None]


def _rollout(row: Row) -> Rollout:
    fields = fields_of(row, _JSON)
    return msgspec.convert(fields | {"left": fields["left_name"]}, Rollout)
