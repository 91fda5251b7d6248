"""Alerts: firing until someone acknowledges, resolved by a person or by what later windows show. One open per subject."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import msgspec

from bucle.ledger import Reader, Row, Scope, Transaction, from_us, new_id, within
from bucle.messages import Phrase
from bucle.monitoring import store
from bucle.monitoring.errors import AlertResolved as AlertIsResolved
from bucle.monitoring.errors import UnknownAlert
from bucle.monitoring.events import AlertAcknowledged, AlertFired, AlertResolved

AlertKind = Literal["degradation", "drift", "data_quality", "staleness", "rollout", "objective"]
AlertState = Literal["firing", "acknowledged", "resolved"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a window's evaluation found worth an alert; `feature` is empty when it is about the whole service."""

    kind: AlertKind
    feature: str
    said: Phrase
    numbers: dict[str, float]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert and its present state; moments are of the home's clock. `event` is the seq of its firing.

    `sentence` says in English what was found, `said` in any language; so do `note` and `noted` what became of it: where
    `noted` is None, a person wrote the note.
    """

    id: str
    project: str
    environment: str
    service: str
    deployment: str
    kind: AlertKind
    feature: str
    state: AlertState
    sentence: str
    said: Phrase
    numbers: dict[str, float]
    fired: datetime
    changed: datetime
    note: str
    noted: Phrase | None
    event: int

    def told(self, lang: str) -> "Alert":
        """Return the alert with its sentences in a language; what a person wrote stays as it is."""
        note = self.noted.text(lang) if self.noted else self.note
        return replace(self, sentence=self.said.text(lang), note=note)


def fire(tx: Transaction, scope: Scope, service: str, deployment: str, model: str, finding: Finding) -> Alert | None:
    """Fire an alert unless one about the same is open. A degradation replaces the open one: each asks for a retraining."""
    same = [each for each in open_alerts(tx, scope, service) if (each.kind, each.feature) == (finding.kind, finding.feature)]
    if same and finding.kind != "degradation":
        return None
    for earlier in same:
        _change(tx, earlier, "resolved", Phrase("resolved.again"), AlertResolved)
    id = new_id("alert")
    fired = AlertFired(
        alert=id,
        alert_kind=finding.kind,
        service=service,
        deployment=deployment,
        model=model,
        feature=finding.feature or None,
        sentence=str(finding.said),
        numbers=finding.numbers,
    )
    with within(scope):
        event = tx.emit(fired, id)
    numbers = msgspec.json.encode(finding.numbers).decode()
    now = tx.clock.now_us()
    head = (id, scope.project, scope.environment, service, deployment, finding.kind, finding.feature)
    tx.execute(store.INSERT_ALERT, (*head, msgspec.json.encode(finding.said).decode(), numbers, now, now, event))
    return get_alert(tx, scope, id)


def acknowledge(tx: Transaction, scope: Scope, id: str, note: str = "") -> Alert:
    """Note that a person takes care. Raises `monitoring/unknown-alert`, `monitoring/alert-resolved`."""
    return _change(tx, _unresolved(tx, scope, id), "acknowledged", note, AlertAcknowledged)


def resolve(tx: Transaction, scope: Scope, id: str, note: str | Phrase = "") -> Alert:
    """Note that the reason is gone. Raises `monitoring/unknown-alert`, `monitoring/alert-resolved`."""
    return _change(tx, _unresolved(tx, scope, id), "resolved", note, AlertResolved)


def get_alert(reader: Reader | Transaction, scope: Scope, id: str) -> Alert:
    """Return one alert. Raises `monitoring/unknown-alert`."""
    row = reader.row(store.SELECT_ALERT, (id, scope.project, scope.environment))
    if row is None:
        raise UnknownAlert(alert=id)
    return _alert(row)


def open_alerts(reader: Reader | Transaction, scope: Scope, service: str) -> list[Alert]:
    """Return the alerts of a service that are not resolved, oldest first."""
    return [_alert(row) for row in reader.rows(store.SELECT_OPEN_ALERTS, (scope.project, scope.environment, service))]


def list_alerts(
    reader: Reader, scope: Scope, service: str | None = None, states: Sequence[AlertState] = (), limit: int = 200
) -> list[Alert]:
    """Return the alerts of an environment, newest first, if wanted of one service or in some states only."""
    return [_alert(row) for row in store.alert_rows(reader, scope, service, states, limit)]


def _unresolved(tx: Transaction, scope: Scope, id: str) -> Alert:
    alert = get_alert(tx, scope, id)
    if alert.state == "resolved":
        raise AlertIsResolved(alert=id)
    return alert


def _change(
    tx: Transaction, alert: Alert, state: AlertState, note: str | Phrase, event: type[AlertAcknowledged] | type[AlertResolved]
) -> Alert:
    scope = Scope(alert.project, alert.environment)
    with within(scope):
        tx.emit(event(alert.id, str(note)), alert.id)
    noted = msgspec.json.encode(note).decode() if isinstance(note, Phrase) else None
    tx.execute(store.SET_ALERT, (state, str(note), noted, tx.clock.now_us(), alert.id))
    return get_alert(tx, scope, alert.id)


def _alert(row: Row) -> Alert:
    said = msgspec.json.decode(row["said"], type=Phrase)
    return Alert(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        service=row["service"],
        deployment=row["deployment"],
        kind=row["kind"],
        feature=row["feature"],
        state=row["state"],
        sentence=str(said),
        said=said,
        numbers=msgspec.json.decode(row["numbers"], type=dict[str, float]),
        fired=from_us(row["fired_us"]),
        changed=from_us(row["changed_us"]),
        note=row["note"],
        noted=msgspec.json.decode(row["noted"], type=Phrase) if row["noted"] else None,
        event=row["event"],
    )
