"""How watches, windows and alerts live in the ledger, and what monitoring reads of the prediction log."""

from collections.abc import Iterator, Sequence

from bucle.ledger import Reader, Row, Scope, Transaction

INSERT_WATCH = """
INSERT INTO watch (deployment, project, environment, service, terms, reference, state, since_us, until_us, ended, deployed,
event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)
"""
SELECT_WATCH = "SELECT * FROM watch WHERE deployment = ?"
SELECT_LAST_WATCH = """
SELECT * FROM watch WHERE project = ? AND environment = ? AND service = ? ORDER BY event DESC LIMIT 1
"""
SELECT_ACTIVE = "SELECT * FROM watch WHERE ended = 0 ORDER BY event"
END_WATCHES = "UPDATE watch SET ended = 1 WHERE project = ? AND environment = ? AND service = ? AND ended = 0"
ADVANCE_WATCH = "UPDATE watch SET state = ?, until_us = ? WHERE deployment = ?"

INSERT_WINDOW = """
INSERT INTO monitoring_window (id, project, environment, service, deployment, since_us, until_us, report, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_WINDOWS = """
SELECT * FROM monitoring_window WHERE project = ? AND environment = ? AND service = ? ORDER BY until_us DESC, event DESC LIMIT ?
"""

INSERT_ALERT = """
INSERT INTO alert (id, project, environment, service, deployment, kind, feature, state, said, numbers, fired_us, changed_us,
note, event) VALUES (?, ?, ?, ?, ?, ?, ?, 'firing', ?, ?, ?, ?, '', ?)
"""
SELECT_ALERT = "SELECT * FROM alert WHERE id = ? AND project = ? AND environment = ?"
SELECT_OPEN_ALERTS = """
SELECT * FROM alert WHERE project = ? AND environment = ? AND service = ? AND state <> 'resolved' ORDER BY fired_us
"""
COUNT_ALERTS = "SELECT project, environment, service, kind, state, count(*) AS alerts FROM alert GROUP BY 1, 2, 3, 4, 5"
SET_ALERT = "UPDATE alert SET state = ?, note = ?, noted = ?, changed_us = ? WHERE id = ?"

_SLOTS = "project = ? AND environment = ? AND service = ? AND indicator = ?"
LAST_SLOT = f"SELECT max(slot_us) FROM objective_slot WHERE {_SLOTS}"
SUM_SLOTS = f"SELECT sum(requests), sum(bad) FROM objective_slot WHERE {_SLOTS} AND slot_us >= ? AND slot_us < ?"
FORGET_SLOTS = f"DELETE FROM objective_slot WHERE {_SLOTS} AND (slot_us >= ? OR slot_us < ?)"
INSERT_SLOT = """
INSERT INTO objective_slot (project, environment, service, indicator, slot_us, requests, bad) VALUES (?, ?, ?, ?, ?, ?, ?)
"""

INSERT_DELIVERY = """
INSERT INTO alert_delivery (id, project, environment, route, alert, alert_state, event, notice, state, attempts, due_us,
changed_us, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting', 0, ?, ?, '') ON CONFLICT (id) DO NOTHING
"""
SELECT_WAITING = "SELECT * FROM alert_delivery WHERE state = 'waiting' ORDER BY event"
SELECT_OPEN_SENT = """
SELECT d.* FROM alert_delivery d JOIN alert a ON a.id = d.alert
WHERE d.state = 'delivered' AND a.state <> 'resolved' ORDER BY d.event
"""
POSTPONE_DELIVERY = "UPDATE alert_delivery SET attempts = ?, due_us = ?, detail = ?, changed_us = ? WHERE id = ?"
END_DELIVERY = "UPDATE alert_delivery SET state = ?, attempts = ?, detail = ?, changed_us = ? WHERE id = ?"
COUNT_DELIVERIES = """
SELECT project, environment, route, state, count(*) AS deliveries FROM alert_delivery GROUP BY 1, 2, 3, 4
"""
COUNT_ROUTES = """
SELECT route, state, count(*) AS deliveries FROM alert_delivery WHERE project = ? AND environment = ? GROUP BY 1, 2
"""
LAST_DETAILS = """
SELECT route, detail FROM alert_delivery WHERE project = ? AND environment = ? AND attempts > 0 ORDER BY changed_us
"""

WINDOW_PAGE = 20_000
"""Predictions that are in memory at a time."""
WINDOW_INPUTS = """
SELECT id, as_of_us, inputs, logged FROM prediction
WHERE project = ? AND environment = ? AND service = ? AND deployment = ? AND as_of_us >= ? AND as_of_us < ?
AND (as_of_us, id) > (?, ?) ORDER BY as_of_us, id LIMIT ?
"""
MATURE_OUTCOMES = """
SELECT p.output, p.inputs, label.value FROM prediction p LEFT JOIN label ON label.prediction = p.id
WHERE p.project = ? AND p.environment = ? AND p.service = ? AND p.deployment = ? AND p.as_of_us >= ? AND p.as_of_us < ?
AND (label.value IS NOT NULL OR p.key IS NULL OR NOT EXISTS (
  SELECT 1 FROM prediction later WHERE later.project = p.project AND later.environment = p.environment
  AND later.service = p.service AND later.key = p.key
  AND (later.as_of_us > p.as_of_us OR (later.as_of_us = p.as_of_us AND later.id > p.id))))
"""
USABLE_LABELS = """
SELECT p.id, p.output, label.value, max(label.as_of_us, p.as_of_us + ?) AS usable_us
FROM label JOIN prediction p ON p.id = label.prediction
WHERE label.project = ? AND label.environment = ? AND label.service = ? AND p.deployment = ?
AND label.as_of_us >= ? AND label.as_of_us < ? AND p.as_of_us < ?
UNION
SELECT p.id, p.output, label.value, max(label.as_of_us, p.as_of_us + ?) AS usable_us
FROM prediction p JOIN label ON label.prediction = p.id
WHERE p.project = ? AND p.environment = ? AND p.service = ? AND p.deployment = ?
AND p.as_of_us >= ? AND p.as_of_us < ? AND label.as_of_us < ?
ORDER BY 4, 1
"""


def usable_labels(
    reader: Reader | Transaction, scope: Scope, service: str, deployment: str, matures_us: int, since_us: int, until_us: int
) -> list[Row]:
    """Return output and label of the predictions whose label became usable from `since_us` on and before `until_us`.

    Usable: it has arrived, and the prediction is so old that every label could have. In the order of that moment.
    """
    mature_us = until_us - matures_us
    place = (scope.project, scope.environment, service, deployment)
    arrived = (matures_us, *place, since_us, until_us, mature_us)
    matured = (matures_us, *place, since_us - matures_us, mature_us, until_us)
    return reader.rows(USABLE_LABELS, (*arrived, *matured))


def window_pages(reader: Reader, place: tuple[str, str, str, str], since_us: int, until_us: int) -> Iterator[list[Row]]:
    """Yield what a deployment predicted from `since_us` on and before `until_us`, oldest first, a page at a time.

    `place` is project, environment, service and deployment.
    """
    last: tuple[int, str] = (since_us - 1, "")
    while page := reader.rows(WINDOW_INPUTS, (*place, since_us, until_us, *last, WINDOW_PAGE)):
        yield page
        last = (page[-1]["as_of_us"], page[-1]["id"])


def alert_rows(reader: Reader, scope: Scope, service: str | None, states: Sequence[str], limit: int) -> list[Row]:
    """Return the newest alerts of a scope, of one service and in some states where these are given."""
    clauses, parameters = ["project = ?", "environment = ?"], [scope.project, scope.environment]
    if service is not None:
        clauses.append("service = ?")
        parameters.append(service)
    if states:
        clauses.append(f"state IN ({', '.join('?' * len(states))})")
        parameters += states
    sql = f"SELECT * FROM alert WHERE {' AND '.join(clauses)} ORDER BY fired_us DESC, id DESC LIMIT ?"
    return reader.rows(sql, [*parameters, limit])


def delivery_rows(reader: Reader, scope: Scope, alert: str | None, route: str | None, limit: int) -> list[Row]:
    """Return the newest deliveries of a scope, of one alert and by one route where these are given."""
    clauses, parameters = ["project = ?", "environment = ?"], [scope.project, scope.environment]
    for column, value in (("alert", alert), ("route", route)):
        if value is not None:
            clauses.append(f"{column} = ?")
            parameters.append(value)
    sql = f"SELECT * FROM alert_delivery WHERE {' AND '.join(clauses)} ORDER BY event DESC, route LIMIT ?"
    return reader.rows(sql, [*parameters, limit])


def window_rows(reader: Reader, scope: Scope, service: str, limit: int) -> list[Row]:
    """Return the newest windows of a service, newest first."""
    return reader.rows(SELECT_WINDOWS, (scope.project, scope.environment, service, limit))


def last_watch(reader: Reader, scope: Scope, service: str) -> Row | None:
    """Return the newest watch of a service, or None."""
    return reader.row(SELECT_LAST_WATCH, (scope.project, scope.environment, service))
