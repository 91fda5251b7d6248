"""What an alert asks people to do: an experiment (K-F2), or work on the feature that it names (K-F3)."""

import msgspec

from bucle.ledger import Ledger, Scope, StoredEvent, Subscription
from bucle.messages import Phrase
from bucle.work import store
from bucle.work.items import Change, Link, NewItem, change_item, open_item

_SEVERITY = {
    "degradation": "major",
    "data_quality": "major",
    "drift": "minor",
    "staleness": "minor",
    "rollout": "major",
    "objective": "major",
}
_KINDS = ("degradation", "drift", "data_quality", "staleness", "objective", "rollout")


class AlertFired(msgspec.Struct, frozen=True):
    """The fields of `monitoring.alert_fired` that this room reads."""

    alert: str
    alert_kind: str
    service: str
    feature: str | None = None


def work_from_alerts(ledger: Ledger) -> Subscription:
    """Return the subscription that opens an item for an alert; one that is open about the same gets the alert added."""

    def handle(event: StoredEvent) -> None:
        alert = event.decode(AlertFired)
        scope = Scope(event.project, event.environment)
        links = (Link("alert", alert.alert), Link("service", alert.service))
        kind = "incident" if alert.alert_kind == "objective" else "feature" if alert.feature else "experiment"
        with ledger.write() as transaction:
            if store.item_of_event(transaction, event.id):
                return
            known = store.similar_item(transaction, scope, kind, alert.service, alert.feature)
            if known is not None:
                change_item(transaction, known, Change(link=links[0]))
                return
            said = _title(alert)
            new = NewItem(
                kind=kind,
                title=str(said),
                said=said,
                severity=_SEVERITY.get(alert.alert_kind, "minor"),
                priority=2 if alert.alert_kind == "degradation" else 3,
                feature=alert.feature,
                links=links,
                source_event=event.id,
            )
            open_item(transaction, scope, "monitoring", new)

    return Subscription("work-from-alerts", ("monitoring.alert_fired",), handle)


def _title(alert: AlertFired) -> Phrase:
    kind = alert.alert_kind if alert.alert_kind in _KINDS else "other"
    title = Phrase(f"work.{kind}", {"service": alert.service})
    return Phrase("work.of_feature", {"feature": alert.feature, "title": title}) if alert.feature else title
