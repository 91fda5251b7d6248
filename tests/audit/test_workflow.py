"""The audit finds what the ledger proves, names what is missing, and is not fooled by the project or by order."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.audit import Evidence, audit_workflow
from bucle.ledger import Event, Home, Scope, because, within
from bucle.monitoring.events import AlertFired
from bucle.project.events import CharterRecorded
from bucle.work.events import WorkOpened


def charter(problem: str, owner: str, success: tuple[str, ...]) -> CharterRecorded:
    return CharterRecorded(problem, "classification", success, owner, (), "blake3:" + "0" * 64)


def item_opened(kind: str = "experiment", feature: str | None = None) -> WorkOpened:
    return WorkOpened(kind, "Look at it", "major", 2, feature, None, None)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Home.open(tmp_path / "home")
    yield opened
    opened.close()


def emit(home: Home, event: Event, environment: str = "production", project: str = "p") -> int:
    with within(Scope(project, environment)), home.ledger.write() as transaction:
        return transaction.emit(event, "subject")


def finding(home: Home, id: str) -> int | None:
    rows = {row.id: row for row in audit_workflow(Evidence(home.ledger, "p"))}
    assert rows[id].event is not None or rows[id].why
    return rows[id].event


def test_an_empty_ledger_proves_nothing_and_says_why(home: Home) -> None:
    assert all(row.event is None and row.why for row in audit_workflow(Evidence(home.ledger, "p")))


def test_a_charter_proves_only_what_it_states(home: Home) -> None:
    seq = emit(home, charter("late flights", "desk", ("roc_auc >= 0.65",)))
    assert (finding(home, "K-1"), finding(home, "K-3"), finding(home, "K-4")) == (seq, seq, None)


def test_evidence_of_another_project_does_not_count(home: Home) -> None:
    emit(home, charter("late flights", "desk", ("roc_auc >= 0.65",)), project="other")
    assert finding(home, "K-1") is None


def test_a_work_item_counts_only_when_an_alert_caused_it_at_any_distance(home: Home) -> None:
    emit(home, item_opened())
    assert finding(home, "K-F2") is None
    alert = emit(home, AlertFired("alert_1", "drift", "delay", "dep_1", "delay", None, "It is worse.", {}))
    with because(alert):
        between = emit(home, charter("a", "b", ("c",)))
    with because(between):
        item = emit(home, item_opened())
    assert (finding(home, "K-F2"), finding(home, "K-F3")) == (item, None)
    with because(alert):
        named = emit(home, item_opened("feature", "wind_speed"))
    assert (finding(home, "K-F2"), finding(home, "K-F3")) == (item, named)
