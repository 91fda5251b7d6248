"""A watched service: a home, a deployment, a reference made from training rows, predictions and labels put into the log."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from bucle.features import FrameColumn
from bucle.ledger import Dispatcher, Home, Scope, Ticked, acting, format_instant, new_id, parse_instant, to_us
from bucle.monitoring import MonitorSpec, Reference, Terms, Watched, Watching
from bucle.monitoring.training import profile_training
from bucle.serving import Candidate, Contract, Deployment, LabelRow, Services, Value, deploy, record_labels
from bucle.serving.log import LoggedRequest, LoggedRow

SCOPE = Scope("flights", "production")
BEGIN = parse_instant("2013-04-01T00:00:00Z")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
INPUTS = (FrameColumn("origin", "category", None, ("EWR", "JFK")), FrameColumn("wind", "float", "weather_now"))
CONTRACT = Contract("delay", "flight_id", "late", "probability", (0, 1), 0.5, None, INPUTS, ())


def training_day(chance: random.Random) -> list[tuple[str, float | None]]:
    """A day's rows: the wind differs from day to day, as weather does, and is missing now and then."""
    level = chance.gauss(10, 2)
    return [(chance.choice(("EWR", "JFK")), None if chance.random() < 0.01 else chance.gauss(level, 4)) for _ in range(200)]


def make_reference(seed: int = 1, days: int = 90) -> Reference:
    chance = random.Random(seed)
    rows = [(day, *row) for day in range(days) for row in training_day(chance)]
    table = pl.DataFrame(rows, schema={"day": pl.Int64, "origin": pl.String, "wind": pl.Float64}, orient="row")
    return profile_training(table.drop("day"), table["day"] * 86_400_000_000, 86_400_000_000)


@pytest.fixture(scope="session")
def reference() -> Reference:
    return make_reference()


@dataclass(slots=True)
class Watchtower:
    """The home with its watching; `pass_hours` ticks the clock and hands out what waits."""

    home: Home
    services: Services
    watching: Watching
    dispatcher: Dispatcher
    deployment: Deployment
    terms: Terms
    reference: Reference

    def use(self, reference: Reference) -> None:
        """Compare with another training."""
        self.reference = reference
        self.deploy(2)

    def predict(self, at: datetime, rows: Sequence[tuple[list[Value], float, str | None]]) -> list[str]:
        logged = [LoggedRow(new_id("pred"), key, to_us(at), inputs, output) for inputs, output, key in rows]
        head = self.deployment
        self.services.log.append(
            LoggedRequest(
                new_id("req"),
                head.project,
                head.environment,
                head.service,
                head.id,
                head.candidate.model_version,
                head.event,
                "ana",
                "shop/1",
                "online",
                1,
                logged,
            )
        )
        self.services.flush()
        return [row.id for row in logged]

    def label(self, ids: Sequence[str], values: Sequence[float], at: datetime) -> None:
        rows = [LabelRow(bool(v), prediction_id=id, observed_at=format_instant(at)) for id, v in zip(ids, values, strict=True)]
        with self.home.ledger.write() as tx:
            record_labels(tx, SCOPE, "delay", rows)

    def advance(self, to: datetime) -> None:
        while self.home.ledger.clock.now() < to:
            hour = self.home.ledger.clock.now() + HOUR
            with acting("clock", "system"), self.home.ledger.write() as tx:
                self.home.ledger.clock.move(tx._writer, hour)
                tx.emit(Ticked(hour), "clock")
            self.dispatcher.drain()

    def deploy(self, version: int) -> Deployment:
        candidate = Candidate("delay", "delay", version, f"mv_{version}", "blake3:" + "0" * 64, "", "", "", "", CONTRACT)
        with self.home.ledger.write() as tx:
            self.deployment = deploy(tx, SCOPE, candidate)
        self.dispatcher.drain()
        return self.deployment

    def deploy_service(self, service: str) -> Deployment:
        """Deploy a second service beside the one that the other methods speak of."""
        contract = msgspec.structs.replace(CONTRACT, service=service)
        candidate = Candidate(service, "delay", 1, "mv_1", "blake3:" + "0" * 64, "", "", "", "", contract)
        with self.home.ledger.write() as tx:
            made = deploy(tx, SCOPE, candidate)
        self.dispatcher.drain()
        return made


@pytest.fixture
def tower(tmp_path: Path, reference: Reference) -> Iterator[Watchtower]:
    home = Home.open(tmp_path / "home", replay_from=BEGIN)
    terms = Terms(
        monitor=MonitorSpec("watch", "delay"),
        model="delay",
        kind="probability",
        inputs=("origin", "wind"),
        slices=("origin",),
        matures_us=to_us(BEGIN + 2 * HOUR) - to_us(BEGIN),
        trained_us=to_us(BEGIN - 3 * DAY),
        expected_loss=0.2,
        retrain_cost=5.0,
    )

    def never(candidate: Candidate) -> object:
        raise AssertionError("no child is needed here")

    services = Services(home.ledger, home.folder("spool"), never)  # type: ignore[arg-type]
    watching = Watching(
        home.ledger, services, lambda deployment: Watched(made.terms, "blake3:" + "1" * 64), lambda id: made.reference
    )
    dispatcher = Dispatcher(home.ledger, watching.subscriptions())
    made = Watchtower(home, services, watching, dispatcher, None, terms, reference)  # type: ignore[arg-type]
    made.deploy(1)
    yield made
    services.close()
    home.close()
