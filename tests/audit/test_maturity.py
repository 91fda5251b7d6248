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
    assert (aged.met, aged.event, aged.until) == (False, seq, START + timedelta(days=30))
    assert aged.why == "the newest evidence, of 2013-04-01, is 31 days old; it counted until 2013-05-01"
    report = audit_maturity(Evidence(home.ledger, "p"))
    assert report.sentence.startswith("Evidence for level 1 aged out: it counts for 30 days")
    assert "(G1-fs after 2013-05-01)" in report.sentence and "Level 1 lacks evidence of G1-a1, " in report.sentence
    assert "Caducó evidencia del nivel 1" in report.told("es").sentence
    assert next(row.why for row in report.told("es").criteria if row.id == "G1-fs").endswith("contó hasta el 2013-05-01")


def test_a_level_that_was_shown_once_says_what_of_it_aged_out_when(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from bucle.audit import maturity

    monkeypatch.setattr(
        maturity, "CRITERIA", tuple(each for each in maturity.CRITERIA if each.id in ("G1-fs", "G1-a1", "G2-c5"))
    )

    def happen(*events: RunStarted | FeaturesMaterialized) -> None:
        with within(Scope("p", "test")), home.ledger.write() as transaction:
            for event in events:
                transaction.emit(event, "x")

    filled = FeaturesMaterialized("weather_now", "d", "weather", "ds_1", None, START, 1, 1, "sqlite")
    happen(filled, RunStarted("train", "demand", "inline", None, False, "", "c", {}, "c", None, START, 0))
    report = audit_maturity(Evidence(home.ledger, "p"))
    assert (report.level, report.sentence) == (
        2, "Level 2 holds while its evidence is fresh: the first to age out is G1-a1, after 2013-05-01.",
    )  # fmt: skip
    home.ledger.move_clock(START + timedelta(days=20))
    happen(filled)
    home.ledger.move_clock(START + timedelta(days=40))
    report = audit_maturity(Evidence(home.ledger, "p"))
    assert report.level == 0 and report.sentence == (
        "Everything that level 1 asks for was shown once, but evidence counts for 30 days of the home's clock, and some aged "
        "out: G1-a1 after 2013-05-01. It counts again when it happens again."
    )


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
