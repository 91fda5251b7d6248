"""How deployments, predictions, labels and traffic live in the ledger."""

from collections.abc import Iterable, Iterator, Sequence

from bucle.ledger import Reader, Row, Scope, Transaction

_COLUMNS = """id, project, environment, service, model, version, model_version, package, runtime, root, commit_sha,
release_id, contract, state, strategy, replaced, created_us, as_of_us, changed_us, event"""
INSERT_DEPLOYMENT = f"INSERT INTO deployment ({_COLUMNS}) VALUES ({', '.join('?' * 20)})"
SELECT_CURRENT = "SELECT * FROM deployment WHERE project = ? AND environment = ? AND service = ? AND state = 'current'"
SELECT_ANSWERING = """
SELECT d.id, s.rollout, s.step, s.challenger, s.mode, s.share FROM deployment d
LEFT JOIN traffic_split s ON s.project = d.project AND s.environment = d.environment AND s.service = d.service
WHERE d.project = ? AND d.environment = ? AND d.service = ? AND d.state = 'current'
"""
SELECT_CURRENT_NAMED = "SELECT id FROM deployment WHERE service = ? AND state = 'current' ORDER BY event"
SELECT_STANDBY = """
SELECT * FROM deployment WHERE project = ? AND environment = ? AND service = ? AND state = 'standby' ORDER BY event DESC LIMIT 1
"""
SELECT_DEPLOYMENT = "SELECT * FROM deployment WHERE id = ?"
SELECT_DEPLOYMENTS = "SELECT * FROM deployment WHERE project = ? AND environment = ? ORDER BY event DESC LIMIT ?"
SELECT_HISTORY = """
SELECT * FROM deployment WHERE project = ? AND environment = ? AND service = ? ORDER BY event DESC LIMIT ?
"""
SELECT_ACTIVE = "SELECT * FROM deployment WHERE state IN ('current', 'standby', 'challenger') ORDER BY event"
SET_STATE = "UPDATE deployment SET state = ?, changed_us = ? WHERE id = ?"
RETIRE_STANDBY = """
UPDATE deployment SET state = 'retired', changed_us = ?
WHERE project = ? AND environment = ? AND service = ? AND state = 'standby'
"""

INSERT_SPLIT = """
INSERT INTO traffic_split (project, environment, service, rollout, step, challenger, mode, share)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
MOVE_SPLIT = "UPDATE traffic_split SET step = ?, mode = ?, share = ? WHERE project = ? AND environment = ? AND service = ?"
SELECT_SPLIT = "SELECT * FROM traffic_split WHERE project = ? AND environment = ? AND service = ?"
DELETE_SPLIT = "DELETE FROM traffic_split WHERE project = ? AND environment = ? AND service = ?"
INSERT_OBSERVATION = """
INSERT INTO rollout_observation (rollout, step, arm, rows, failed, seconds, cause, request, at_us, as_of_us)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_OBSERVATIONS = """
SELECT position, step, arm, rows, failed, seconds, cause FROM rollout_observation
WHERE rollout = ? AND position > ? ORDER BY position LIMIT ?
"""
INSERT_SHADOW = """
INSERT INTO shadow_prediction (prediction, rollout, deployment, output, cause, counted, at_us, as_of_us)
VALUES (?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT (prediction, rollout) DO NOTHING
"""
SELECT_PAIRS = """
SELECT s.prediction, p.output AS champion, s.output AS challenger, label.value AS label
FROM shadow_prediction s JOIN prediction p ON p.id = s.prediction JOIN label ON label.prediction = s.prediction
WHERE s.rollout = ? AND s.counted = 0 AND s.output IS NOT NULL AND p.as_of_us <= ?
ORDER BY max(label.as_of_us, p.as_of_us + ?), s.prediction LIMIT ?
"""
COUNT_PAIR = "UPDATE shadow_prediction SET counted = 1 WHERE prediction = ? AND rollout = ?"
SELECT_AGREEMENT = """
SELECT count(*) AS rows, count(s.output) AS scored, sum(s.counted) AS counted, avg(abs(p.output - s.output)) AS distance,
sum(CASE WHEN (p.output >= ?) <> (s.output >= ?) THEN 1 ELSE 0 END) AS differing,
sum(CASE WHEN p.output <> s.output THEN 1 ELSE 0 END) AS unequal
FROM shadow_prediction s JOIN prediction p ON p.id = s.prediction WHERE s.rollout = ?
"""

INSERT_PREDICTION = """
INSERT INTO prediction (id, project, environment, service, deployment, model_version, event, logged, key, request, caller,
client, store, at_us, as_of_us, inputs, output) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""
SELECT_SHIPPED = "SELECT segment, shipped FROM prediction_spool"
UPSERT_SHIPPED = """
INSERT INTO prediction_spool (segment, shipped) VALUES (?, ?) ON CONFLICT (segment) DO UPDATE SET shipped = excluded.shipped
"""
DELETE_SHIPPED = "DELETE FROM prediction_spool WHERE segment = ?"
SELECT_PREDICTION = """
SELECT prediction.*, label.value AS label_value, label.observed_us AS label_us, label.event AS label_event
FROM prediction LEFT JOIN label ON label.prediction = prediction.id WHERE prediction.id = ?
"""
SELECT_RECENT = """
SELECT prediction.*, label.value AS label_value, label.observed_us AS label_us, label.event AS label_event
FROM prediction LEFT JOIN label ON label.prediction = prediction.id
WHERE prediction.project = ? AND prediction.environment = ? AND prediction.service = ?
ORDER BY prediction.as_of_us DESC, prediction.id DESC LIMIT ?
"""
SELECT_LAST_BEFORE = """
SELECT id FROM prediction WHERE project = ? AND environment = ? AND service = ? AND key = ? AND as_of_us <= ?
ORDER BY as_of_us DESC, id DESC LIMIT 1
"""
SELECT_MOMENT = "SELECT as_of_us FROM prediction WHERE id = ? AND project = ? AND environment = ? AND service = ?"

SELECT_OF_REQUEST = "SELECT id, deployment, key, inputs, output FROM prediction WHERE request = ? ORDER BY id"

COUNT_LABELS = """
SELECT count(*) FROM label WHERE project = ? AND environment = ? AND service = ? AND as_of_us >= ? AND as_of_us < ?
"""
SELECT_LABEL = "SELECT value, observed_us FROM label WHERE prediction = ?"
INSERT_LABEL = """
INSERT INTO label (prediction, project, environment, service, value, observed_us, as_of_us, caller, corrections, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)
"""
CORRECT_LABEL = """
UPDATE label SET value = ?, observed_us = ?, caller = ?, corrections = corrections + 1, event = ? WHERE prediction = ?
"""

INSERT_TRAFFIC = """
INSERT INTO serving_traffic (project, environment, service, at_us, as_of_us, requests, predictions, refused, failed, nonfinite,
unseen, buckets) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_TRAFFIC = """
SELECT * FROM serving_traffic WHERE project = ? AND environment = ? AND service = ? AND as_of_us >= ? AND as_of_us < ?
"""
SELECT_CALLERS = """
SELECT caller, client, count(*) AS predictions, count(DISTINCT request) AS requests, min(as_of_us) AS first_us,
max(as_of_us) AS last_us
FROM prediction WHERE project = ? AND environment = ? AND service = ? GROUP BY caller, client ORDER BY predictions DESC
"""

COUNT_READING = """
UPDATE prediction_reader SET requests = requests + ?, predictions = predictions + ?, last_us = ?
WHERE project = ? AND environment = ? AND service = ? AND reader = ? AND client = ? AND day_us = ?
"""
INSERT_READING = """
INSERT INTO prediction_reader (requests, predictions, last_us, project, environment, service, reader, client, day_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_USES = """
SELECT 'asks' AS use, caller AS name, client, count(*) AS predictions, count(DISTINCT request) AS requests,
  NULL AS last_us, max(logged) AS event
FROM prediction WHERE project = ? AND environment = ? AND service = ? AND logged > ? GROUP BY caller, client
UNION ALL
SELECT 'labels', caller, '', count(*), count(DISTINCT event), max(as_of_us), max(event)
FROM label WHERE project = ? AND environment = ? AND service = ? AND as_of_us >= ? GROUP BY caller
UNION ALL
SELECT 'reads', reader, client, sum(predictions), sum(requests), max(last_us), max(event)
FROM prediction_reader WHERE project = ? AND environment = ? AND service = ? AND last_us >= ? GROUP BY reader, client
"""
COUNT_BEFORE = "SELECT count(*) FROM prediction WHERE project = ? AND environment = ? AND service = ? AND as_of_us < ?"
SELECT_FIRST_ANSWERS = """
SELECT prediction.key, min(prediction.as_of_us) AS at_us, min(label.observed_us) AS observed_us, min(prediction.logged) AS event
FROM prediction LEFT JOIN label ON label.prediction = prediction.id
WHERE prediction.project = ? AND prediction.environment = ? AND prediction.service = ? AND prediction.key IN ({marks})
GROUP BY prediction.key
"""
SELECT_SPREAD = """
SELECT deployment.model, deployment.version, count(*) AS answers, avg(prediction.output) AS mean,
  avg(prediction.output * prediction.output) AS square
FROM prediction JOIN deployment ON deployment.id = prediction.deployment
WHERE prediction.project = ? AND prediction.environment = ? AND prediction.service = ?
GROUP BY deployment.model, deployment.version ORDER BY deployment.version
"""
SELECT_LAST_LOGGED = """
SELECT coalesce(max(seq), 0) FROM event WHERE kind = 'serving.predictions_logged' AND as_of_us < ?
"""


def shipped_offsets(reader: Reader | Transaction) -> dict[str, int]:
    """Return how far each segment of the spool is in the ledger."""
    return {row[0]: int(row[1]) for row in reader.rows(SELECT_SHIPPED)}


def insert_predictions(transaction: Transaction, rows: Iterable[Sequence[object]]) -> int:
    """Append predictions that are not there yet and return how many were new."""
    return transaction.execute_many(INSERT_PREDICTION, rows)


def current_row(reader: Reader | Transaction, scope: Scope, service: str) -> Row | None:
    """Return the row of the deployment that answers now, or None."""
    return reader.row(SELECT_CURRENT, (scope.project, scope.environment, service))


def last_before(reader: Reader | Transaction, scope: Scope, service: str, key: str, moment_us: int) -> str | None:
    """Return the id of the last prediction for a key at or before a moment, or None."""
    row = reader.row(SELECT_LAST_BEFORE, (scope.project, scope.environment, service, key, moment_us))
    return row[0] if row else None


def traffic_rows(reader: Reader | Transaction, scope: Scope, service: str, since_us: int, until_us: int) -> Iterator[Row]:
    """Yield what was counted of a service's requests from `since_us` on and before `until_us`."""
    yield from reader.rows(SELECT_TRAFFIC, (scope.project, scope.environment, service, since_us, until_us))
