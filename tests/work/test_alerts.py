"""Alerts open work: an experiment (K-F2), or work on the feature that the alert names (K-F3)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.ledger import Dispatcher, EventFilter, Home, Scope, within
from bucle.monitoring.events import AlertFired
from bucle.work import Change, Link, change_item, close_item, list_items, work_from_alerts


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home")
    yield home
    home.close()


def fire(home: Home, alert: str, kind: str = "degradation", feature: str | None = None) -> int:
    with within(Scope("flights", "production")), home.ledger.write() as transaction:
        fired = AlertFired(alert, kind, "delay", "dep_1", "delay", feature, "It is worse.", {})
        seq = transaction.emit(fired, alert)
    Dispatcher(home.ledger, [work_from_alerts(home.ledger)]).drain()
    return seq


def test_an_alert_opens_an_experiment_that_cites_it(home: Home) -> None:
    seq = fire(home, "alert_1")
    (item,) = list_items(home.ledger, "flights")
    assert (item.kind, item.severity, item.environment) == ("experiment", "major", "production")
    assert Link("alert", "alert_1") in item.links and Link("service", "delay") in item.links
    assert home.ledger.event(item.event).caused_by == (seq,)


def test_an_alert_about_a_feature_opens_work_on_that_feature(home: Home) -> None:
    fire(home, "alert_1", "drift", feature="wind_speed")
    (item,) = list_items(home.ledger, "flights")
    assert (item.kind, item.feature) == ("feature", "wind_speed")
    assert item.title.startswith("wind_speed: ")


def test_an_event_that_is_delivered_twice_opens_one_item(home: Home) -> None:
    fire(home, "alert_1")
    (event,) = home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",)))
    work_from_alerts(home.ledger).handler(event)
    assert len(list_items(home.ledger, "flights")) == 1


def test_another_alert_about_the_same_is_added_to_the_open_item(home: Home) -> None:
    fire(home, "alert_1")
    fire(home, "alert_2")
    (item,) = list_items(home.ledger, "flights")
    assert Link("alert", "alert_2") in item.links
    with home.ledger.write() as transaction:
        close_item(transaction, item.id, "retrained")
    fire(home, "alert_3")
    assert len(list_items(home.ledger, "flights", state="all")) == 2


def test_the_title_of_what_the_machine_found_is_told_in_any_language_until_a_person_writes_another(home: Home) -> None:
    fire(home, "alert_1", "drift", feature="wind_speed")
    (item,) = list_items(home.ledger, "flights")
    assert item.told("es").title == "wind_speed: Los datos de entrada de delay han cambiado"
    assert item.told("en").title == item.title == "wind_speed: The inputs of delay have changed"
    with home.ledger.write() as transaction:
        change_item(transaction, item.id, Change(severity="major"))
        assert list_items(home.ledger, "flights")[0].told("es").title.startswith("wind_speed: Los")
        change_item(transaction, item.id, Change(title="The station moved"))
    assert list_items(home.ledger, "flights")[0].told("es").title == "The station moved"
