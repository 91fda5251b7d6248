"""An alert is acknowledged and resolved by people, once each, with a note, in the ledger."""

import pytest

from bucle.ledger import EventFilter, Scope, acting
from bucle.messages import Phrase
from bucle.monitoring import AlertResolved, UnknownAlert, acknowledge, list_alerts, resolve
from bucle.monitoring.alerts import Finding, fire

SCOPE = Scope("flights", "production")


def fired(tower, feature: str = "wind", kind: str = "drift") -> str | None:
    with tower.home.ledger.write() as tx:
        said = Phrase("alert.nonfinite", {"count": 3})
        alert = fire(tx, SCOPE, "delay", "dep_1", "delay", Finding(kind, feature, said, {"distance": 1.0}))  # type: ignore[arg-type]
        return alert.id if alert else None


def test_an_alert_is_acknowledged_then_resolved_with_the_person_and_the_note(tower) -> None:
    id = fired(tower)
    assert id is not None
    with acting("dora", "devops_engineer"), tower.home.ledger.write() as tx:
        assert acknowledge(tx, SCOPE, id, "on it").state == "acknowledged"
        assert resolve(tx, SCOPE, id, "the station was repaired").state == "resolved"
    events = tower.home.ledger.events(EventFilter(subject=id))
    assert [(event.kind.split("_")[-1], event.actor) for event in events[1:]] == [
        ("acknowledged", "dora"),
        ("resolved", "dora"),
    ]
    assert events[-1].data["note"] == "the station was repaired"


def test_what_is_open_is_not_fired_again_but_may_after_it_was_resolved(tower) -> None:
    first = fired(tower)
    assert first is not None
    assert fired(tower) is None
    assert fired(tower, "origin") is not None
    with tower.home.ledger.write() as tx:
        acknowledge(tx, SCOPE, first)
    assert fired(tower) is None, "an acknowledged alert is open too"
    with tower.home.ledger.write() as tx:
        resolve(tx, SCOPE, first)
    assert fired(tower) is not None


def test_what_resolves_itself_says_why_in_the_reader_s_language_and_what_a_person_wrote_stays(tower) -> None:
    first, second = str(fired(tower, kind="degradation")), str(fired(tower, kind="degradation"))
    with tower.home.ledger.write() as tx:
        resolve(tx, SCOPE, second, "repaired")
    with tower.home.ledger.read() as reader:
        by_id = {alert.id: alert for alert in list_alerts(reader, SCOPE)}
    assert by_id[first].note == by_id[first].told("en").note == "The loss passed the cost again; a new alert follows."
    assert by_id[first].told("es").note == "La pérdida volvió a pasar del costo; sigue otra alerta."
    assert by_id[second].told("es").note == "repaired"
    (event,) = tower.home.ledger.events(EventFilter(subject=first, kinds=("monitoring.alert_resolved",)))
    assert event.data["note"] == by_id[first].note


def test_a_resolved_alert_cannot_be_touched(tower) -> None:
    id = fired(tower)
    with tower.home.ledger.write() as tx:
        resolve(tx, SCOPE, str(id))
    with pytest.raises(AlertResolved) as caught, tower.home.ledger.write() as tx:
        acknowledge(tx, SCOPE, str(id))
    assert caught.value.code == "monitoring/alert-resolved"


def test_an_alert_of_another_environment_is_unknown(tower) -> None:
    id = fired(tower)
    with pytest.raises(UnknownAlert), tower.home.ledger.write() as tx:
        resolve(tx, Scope("flights", "staging"), str(id))


def test_alerts_are_listed_by_service_and_state(tower) -> None:
    id = fired(tower)
    fired(tower, "origin")
    with tower.home.ledger.write() as tx:
        resolve(tx, SCOPE, str(id))
    with tower.home.ledger.read() as reader:
        assert [alert.feature for alert in list_alerts(reader, SCOPE, "delay", ("firing",))] == ["origin"]
        assert len(list_alerts(reader, SCOPE)) == 2
        assert [alert.id for alert in list_alerts(reader, SCOPE, "delay", ("resolved",), limit=1)] == [id], "not the newest"
        assert list_alerts(reader, SCOPE, "another") == []
