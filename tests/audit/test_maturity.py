"""Levels come from dated evidence and decay with it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bucle.audit import CriterionRow, Evidence, audit_maturity
from bucle.features.events import FeaturesMaterialized
from bucle.ledger import Home, Scope, within
from bucle.pipelines.events import RunStarted

START = datetime(2013, 4, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Home.open(tmp_path / "home", replay_from=START)
    yield opened
    opened.close()


def criterion(home: Home, id: str) -> CriterionRow:
    return next(row for row in audit_maturity(Evidence(home.ledger, "p")).criteria if row.id == id)


def test_without_evidence_the_level_is_zero(home: Home) -> None:
    report = audit_maturity(Evidence(home.ledger, "p"))
    assert report.level == 0
    assert all(not row.met and row.why == "no evidence" for row in report.criteria)


def test_evidence_counts_until_it_is_too_old(home: Home) -> None:
    with within(Scope("p", "production")), home.ledger.write() as transaction:
        done = FeaturesMaterialized("weather_now", "d", "weather", "ds_1", None, START, 1, 1, "sqlite")
        seq = transaction.emit(done, "weather_now")
    assert criterion(home, "G1-fs").met
    home.ledger.move_clock(START + timedelta(days=31))
    aged = criterion(home, "G1-fs")
    assert (aged.met, aged.event, aged.why) == (False, seq, "the newest evidence is 31 days old")


def test_a_second_kind_of_trigger_that_nobody_used_lately_counts_no_more(home: Home) -> None:
    def run(trigger: str) -> int:
        started = RunStarted("train", trigger, "inline", None, False, "", "c", {}, "c", None, home.ledger.clock.now(), 0)
        with within(Scope("p", "production")), home.ledger.write() as transaction:
            return transaction.emit(started, "run_1")

    run("demand")
    assert criterion(home, "G1-tr").event is None
    second = run("schedule")
    run("demand")
    assert (criterion(home, "G1-tr").met, criterion(home, "G1-tr").event) == (True, second)
    home.ledger.move_clock(START + timedelta(days=31))
    run("demand")
    assert (criterion(home, "G1-tr").met, criterion(home, "G1-tr").event) == (False, second)
