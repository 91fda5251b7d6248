"""A home in which everything happened that pages show, with markup in every text that somebody could have chosen."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import polars as pl

from bucle.delivery import Finding, get_check_run
from bucle.delivery import store as delivery_store
from bucle.delivery.events import CheckFinished, ChecksFinished, ChecksRequested
from bucle.delivery.promotions import Subject, approve_promotion, complete_promotion, request_promotion
from bucle.delivery.releases import deploy_release, make_release
from bucle.delivery.results import failed, passed
from bucle.delivery.rollouts import store as rollout_store
from bucle.delivery.rollouts.moving import begin_rollout, decide
from bucle.delivery.rollouts.planning import terms_of
from bucle.delivery.rollouts.rollout import Rollout
from bucle.features import FrameColumn
from bucle.identity import OWNER
from bucle.ledger import (
    Dispatcher,
    Scope,
    Ticked,
    Transaction,
    acting,
    because,
    format_instant,
    new_id,
    parse_instant,
    to_us,
    within,
)
from bucle.messages import Phrase
from bucle.monitoring import MonitorSpec, Terms, Watched, Watching, acknowledge, list_alerts
from bucle.monitoring.alerts import Finding as AlertFinding
from bucle.monitoring.alerts import fire
from bucle.monitoring.training import profile_training
from bucle.pipelines.events import RunStarted
from bucle.project import RolloutPolicy, load_project_file, register_project
from bucle.registry import Baseline, Evaluation, GateResult, Package, Signature, SliceResult, VersionDraft, register_version
from bucle.registry.packages import Example, Library
from bucle.server import House, open_house
from bucle.serving import Candidate, Contract, Deployment, LabelRow, Objective, Services, deploy, record_labels
from bucle.serving.log import LoggedRequest, LoggedRow
from bucle.serving.observations import StoredObservation
from bucle.tracking import MetricPoint, RunLog, RunStart, begin_run, finish_run, record
from bucle.work import Link, NewItem, open_item

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"
"""What a probe puts wherever a text goes that somebody may choose (security.md, class 10)."""

BEGIN = parse_instant("2013-04-01T00:00:00Z")
HOUR = timedelta(hours=1)
PRODUCTION = Scope("p", "production")
DAYS = 4

_TOML = '[project]\nname = "p"\ndefinitions = "p"\n[charter]\nproblem = "x"\ntask = "classification"\nowner = "o"\n'
_ORIGINS = ("EWR", EVIL)
_INPUTS = (FrameColumn("origin", "category", None, _ORIGINS), FrameColumn("wind", "float"))
_CONTRACT = Contract("delay", "flight_id", "late", "probability", (0, 1), 0.5, None, _INPUTS, ())
_ARTIFACT = "blake3:" + "0" * 64


@dataclass(frozen=True)
class Furnished:
    """What there is to look at."""

    home: Path
    service: str
    prediction: str
    alert: str
    item: str
    run: str
    check: str
    release: str
    pending: str
    deployment: str
    rollout: str
    versions: tuple[str, ...]


def furnish(root: Path) -> Furnished:
    """Make the home under `root`, close it, and say what is in it."""
    root.mkdir(exist_ok=True)
    (root / "bucle.toml").write_text(_TOML, "utf-8")
    with _house(root / ".bucle") as house:
        with acting("ana", "data_scientist"):
            register_project(house.ledger, load_project_file(root))
        deployment, prediction = _serve(house)
        alert, event = _alert(house)
        run = _run(house, event)
        with house.ledger.write() as tx:
            item = open_item(tx, PRODUCTION, EVIL, NewItem("experiment", f"look {EVIL}", links=(Link("alert", alert),)))
        check, release, pending = _deliver(house)
        versions = tuple(_version(house, number, run) for number in (1, 2, 3))
        rollout = _roll_out(house, deployment)
    made = (prediction, alert, item, run, check, release, pending, deployment.id, rollout, versions)
    return Furnished(root / ".bucle", "delay", *made)


_PROMISED = tuple(
    each.spec()
    for each in (Objective("availability", target=0.99), Objective("latency", target=0.9, under="50ms", name=f"quick {EVIL}"))
)


@contextmanager
def _house(path: Path) -> Iterator[House]:
    house = open_house(path, "call", replay_from=BEGIN)
    try:
        yield house
    finally:
        house.close()


def _serve(house: House) -> tuple[Deployment, str]:
    """Four days of predictions and labels, watched."""
    chance = random.Random(7)
    table = pl.DataFrame(
        [(day, chance.choice(_ORIGINS), chance.gauss(10, 3)) for day in range(30) for _ in range(100)],
        schema={"day": pl.Int64, "origin": pl.String, "wind": pl.Float64},
        orient="row",
    )
    reference = profile_training(table.drop("day"), table["day"] * 86_400_000_000, 86_400_000_000)
    terms = Terms(
        MonitorSpec("watch", "delay"), "delay", "probability", ("origin", "wind"), ("origin",), 0, None, 0.2, 20.0, _PROMISED
    )
    services = house.part(Services)
    watching = Watching(house.ledger, services, lambda deployment: Watched(terms, _ARTIFACT), lambda id: reference)
    dispatcher = Dispatcher(house.ledger, watching.subscriptions())
    deployment = _deploy(house)
    dispatcher.drain()
    for hour in range(24 * DAYS):
        _one_hour(house, deployment, chance, hour)
        with acting("clock", "system"), house.ledger.write() as tx:
            house.ledger.clock.move(tx._writer, BEGIN + (hour + 1) * HOUR)
            tx.emit(Ticked(BEGIN + (hour + 1) * HOUR), "clock")
        dispatcher.drain()
    _count(services)
    return deployment, _log(house, deployment, [("key-last", ["EWR", 9.0], 0.5)])[0]


def _count(services: Services) -> None:
    """A thousand requests of the last minute: four failed, three hundred were slow."""
    for number in range(996):
        services.meter.answered(PRODUCTION, "delay", 1, 0, 0.2 if number < 300 else 0.005)
    for _ in range(4):
        services.meter.refused(PRODUCTION, "delay", by_request=False)
    services.flush()


def _deploy(house: House) -> Deployment:
    candidate = Candidate("delay", "delay", 1, "mv_1", _ARTIFACT, "", "", "", "", _CONTRACT)
    with acting(EVIL, "devops_engineer"), house.ledger.write() as tx:
        return deploy(tx, PRODUCTION, candidate)


def _one_hour(house: House, deployment: Deployment, chance: random.Random, hour: int) -> None:
    rows = [(f"f{hour}-{row}", [chance.choice(_ORIGINS), chance.gauss(10, 3)], chance.random()) for row in range(4)]
    ids = _log(house, deployment, rows)
    labels = [LabelRow(chance.random() < 0.5, prediction_id=id, observed_at=format_instant(BEGIN + hour * HOUR)) for id in ids]
    with house.ledger.write() as tx:
        record_labels(tx, PRODUCTION, "delay", labels)


def _log(house: House, deployment: Deployment, rows: list[tuple[str, list[object], float]]) -> list[str]:
    now = to_us(house.ledger.clock.now())
    logged = [LoggedRow(new_id("pred"), f"{key}{EVIL}", now, inputs, output) for key, inputs, output in rows]  # type: ignore[arg-type]
    head = ("p", "production", "delay", deployment.id, "mv_1", deployment.event, EVIL, EVIL, "online", now)
    services = house.part(Services)
    services.log.append(LoggedRequest(new_id("req"), *head, logged))
    services.meter.answered(PRODUCTION, "delay", len(rows), 0, 0.004)
    services.flush()
    return [row.id for row in logged]


def _alert(house: House) -> tuple[str, int]:
    """A degradation that was acknowledged with a note, and a drift that fires."""
    moved = Phrase(
        "alert.drift_share", {"name": EVIL, "category": EVIL, "deviations": 4.0, "evidence": 99.0, "threshold": 60.0}
    )
    with house.ledger.write() as tx:
        first = fire(tx, PRODUCTION, "delay", "dep_1", "delay", AlertFinding("degradation", "", moved, {"excess": 31.5}))
        fire(tx, PRODUCTION, "delay", "dep_1", "delay", AlertFinding("drift", EVIL, moved, {EVIL: 0.4}))
        assert first is not None
        acknowledge(tx, PRODUCTION, first.id, EVIL)
    with house.ledger.read() as reader:
        assert {each.state for each in list_alerts(reader, PRODUCTION)} >= {"firing", "acknowledged"}
    return first.id, first.event


def _run(house: House, cause: int) -> str:
    """A run that the alert started."""
    with acting("monitoring", "system"), within(PRODUCTION), because(*range(1, 6), cause), house.ledger.write() as tx:
        run = begin_run(tx, RunStart("train_delay", "pipeline", params={"rate": EVIL}))
        tx.emit(
            RunStarted("train_delay", "degradation", "inline", None, False, "", "", {}, "", None, house.ledger.clock.now(), 0),
            run,
        )
        record(tx, run, RunLog(metrics=[MetricPoint("roc_auc", 0.7, 0, 1)]))
        finish_run(tx, run, "succeeded")
    return run


def _deliver(house: House) -> tuple[str, str, str]:
    """A commit that failed its check, one that was released, a promotion that was carried out and one that waits."""
    with acting("ana", "data_scientist"), within(Scope("p", "test")):
        with house.ledger.write() as tx:
            bad, good = _check(tx, "b" * 40, False), _check(tx, "a" * 40, True)
        found = get_check_run(house.ledger, "p", good)
        with house.ledger.write() as tx:
            release = make_release(tx, found)
            deploy_release(tx, Scope("p", "test"), release, "automatic")
            done = _promotion(tx, f"release:{release.commit}", release.id)
            approve_promotion(tx, done, OWNER, EVIL)
            complete_promotion(tx, done, ("delay",), OWNER.name, EVIL)
            pending = _promotion(tx, "delay@1", release.id)
    return bad, release.id, pending.id


def _promotion(tx: Transaction, target: str, release: str):  # type: ignore[no-untyped-def]
    asker = type(OWNER)("prn_dario", "dario", "person", ())
    return request_promotion(tx, PRODUCTION, Subject("model", target, release, (EVIL,), ()), "approved", asker)


def _check(tx: Transaction, commit: str, good: bool) -> str:
    id, scope = new_id("chk"), ("p", "test")
    cause = tx.emit(ChecksRequested(commit, "release"), id)
    delivery_store.insert_check_run(tx, id, *scope, commit, f"{EVIL} <a@b>", "release", "ana", "data_scientist", cause)
    delivery_store.begin_check_run(tx, id)
    run = delivery_store.select_check_run(tx, id)
    assert run is not None
    verdict = passed("all well") if good else failed([Finding(EVIL, EVIL, EVIL)])
    finished = CheckFinished(commit, "lint", "unit", None, verdict.outcome, verdict.message, None, 0.1, None)
    delivery_store.insert_result(tx, run, 1, "lint", "unit", "no-nan", verdict, _ARTIFACT, 0.1, tx.emit(finished, id))
    event = tx.emit(ChecksFinished(commit, good, () if good else ("lint",), (), 0.1), id)
    delivery_store.end_check_run(tx, id, good, event)
    return id


def _version(house: House, number: int, run: str) -> str:
    """A version of the model: the second refused beside the first, the third with another input, held out on other rows."""
    inputs = _INPUTS if number < 3 else (*_INPUTS, FrameColumn(EVIL, "float", EVIL))
    signature = Signature(inputs, "late", "classification", "probability", (0, 1))
    libraries = (Library("scikit-learn", f"1.{number}"), Library("numpy", "2.0"))
    package = Package(_ARTIFACT, "skops", 1, 1000, EVIL, signature, (), (), libraries, "3.11.7", Example((), ()), (), _ARTIFACT)
    gates = [GateResult("roc_auc >= 0.65", "criterion", True, {}, EVIL)]
    if number == 2:
        found = {"champion": "delay@1", "gain": 0.001, "gain_low": -0.002, "gain_high": 0.004, "rows": 900}
        gates.append(GateResult("better_than_production", "production", False, found, EVIL))
    with acting(EVIL, "data_scientist"), within(PRODUCTION), house.ledger.write() as tx:
        draft = VersionDraft("delay", package, run, _evaluation(number), tuple(gates))
        return register_version(tx, draft).name


def _evaluation(number: int) -> Evaluation:
    gain = 0.01 * number
    baseline = Baseline((0.2,), "training rows", {"roc_auc": 0.5}, gain, gain - 0.02, gain + 0.01)
    slices = tuple(SliceResult("origin", each, 400, 80, {"roc_auc": 0.6}, True, -gain, -0.05, -0.001) for each in _ORIGINS)
    rows_id = "later" if number == 3 else "same"
    numbers = (900, 200, {"roc_auc": 0.7 + number / 100}, (), slices, baseline, 0.15, _ARTIFACT, rows_id, None, None)
    return Evaluation("classification", "late", _ARTIFACT, *numbers, ("origin", "wind"), 0, id=_ARTIFACT)


def _roll_out(house: House, champion: Deployment) -> str:
    """A canary that failed on every third row until its judge had seen enough, weighed as a real one's rows are."""
    candidate = Candidate("delay", "delay", 2, "mv_2", _ARTIFACT, "", "", "", "", _CONTRACT)
    policy = RolloutPolicy("shadow, canary", (20, 100), requests=40, labels=0)
    with acting(EVIL, "devops_engineer"), within(PRODUCTION), house.ledger.write() as tx:
        terms = terms_of(tx, champion, policy, tx.clock.now_us())
        rollout = begin_rollout(tx, PRODUCTION, "", candidate, champion, terms)
        for number in range(200):
            rollout = _seen(tx, rollout, number)
            rollout_store.insert_point(tx, rollout)
            if decide(tx, rollout, tx.clock.now()):
                found = rollout_store.select_rollout(tx, "p", rollout.id)
                assert found is not None
                rollout = found
            if rollout.state != "running":
                return rollout.id
    raise AssertionError("the judge of errors never had enough")


def _seen(tx: Transaction, rollout: Rollout, number: int) -> Rollout:
    """The rollout after one more row of each arm; the challenger's fail once it has traffic of its own."""
    wrong = rollout.stage.mode == "canary" and number % 3 == 0
    arms = (("champion", 0, ""), ("challenger", int(wrong), EVIL))
    seen = [StoredObservation(number, rollout.step, arm, 1, bad, 0.004, why) for arm, bad, why in arms]  # type: ignore[arg-type]
    grown = replace(rollout, evidence=rollout.evidence.after(seen, rollout.step))
    rollout_store.save_evidence(tx, grown)
    return grown
