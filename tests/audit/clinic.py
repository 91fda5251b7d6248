"""A clinic's project in production: released, trained, approved, answering over HTTP. Tests work on copies of its home."""

import csv
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.delivery.developing import TOML, commit_all, write_project

from bucle.client import Client
from bucle.client.transports import InProcessTransport
from bucle.data import ingest_all
from bucle.delivery import CHECKS, Delivery, approve, get_check_run, promote
from bucle.delivery.models import code_of
from bucle.identity import Grant, Principal
from bucle.ledger import Scope, acting
from bucle.pipelines import Runs
from bucle.registry import find_version
from bucle.server import House, open_house
from bucle.serving import Services

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
PRODUCTION = Scope("clinic", "production")
OLGA = Principal("prn_olga", "olga", "person", (Grant("devops_engineer"),))
RAJ = Principal("prn_raj", "raj", "person", (Grant("software_engineer"),))
CODE = '''
import bucle
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier


@bucle.source("visits.csv", key="visit", timestamp="at", known_at={"paid": "paid_at"})
def visits(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Every visit to the clinic."""
    return raw


person = bucle.Entity("person", key="person")


@bucle.features(person, source=visits)
def last_visit(rows: pl.LazyFrame) -> pl.LazyFrame:
    """How big the last visit was."""
    return rows.select(last_size=pl.col("size"))


buyers = bucle.TrainingSet(spine=visits, columns=["size", "place"], features=[last_visit],
                           label=bucle.Label("buys", pl.col("paid") > 0, matures="1d"))


@bucle.step
def fit(frame):
    return HistGradientBoostingClassifier(max_iter=20, random_state=frame.seed).fit(frame.X, frame.y)


@bucle.pipeline(model="sale")
def train(window: str = "30d"):
    past, recent = buyers.split(window=window, holdout="7d")
    return bucle.evaluate(fit(past), recent)


sale = bucle.Service("sale", model="sale", key="visit", consumers=["gates", "till"])
'''
SCHEMA_OF_VISITS = "schemas/visits.toml"


@dataclass(slots=True)
class Clinic:
    """The project, its open house, and a client for whoever has a token."""

    folder: Path
    house: House
    owner: Client
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """The developer's working directory."""
        return self.folder / "work"

    def client(self, name: str, role: str = "predictor") -> Client:
        """Return a client with a token of its own."""
        if name not in self.tokens:
            self.tokens[name] = self.owner.post("/api/v1/tokens", {"name": name, "role": role})["token"]
        return Client(self.owner._transport, self.tokens[name], "clinic", f"{name}/1")

    def debt(self, id: str, environment: str | None = None) -> dict[str, Any]:
        """Return what the route says of one detector."""
        query = {"environment": environment} if environment else {}
        answer = self.owner.get(self.owner.path("audit", "debt"), query)
        return next(each for each in answer["detectors"] if each["id"] == id)

    def move(self, days: float) -> None:
        """Let the clock stand so many days after the beginning."""
        self.house.part(Services).flush()  # a server does so each second
        self.house.ledger.move_clock(BEGIN + timedelta(days=days))

    def release(self, code: str, checks: tuple[str, ...] = ("safety", "lint")) -> str:
        """Commit the code, release it with these checks and bring it to production; return the commit."""
        (self.work / "clinic.py").write_text(code, "utf-8")
        commit = commit_all(self.work)
        delivery = self.house.part(Delivery)
        delivery.checker._checks = tuple(each for each in CHECKS if each.name in checks)
        with acting("ana", "ml_engineer"):
            id = delivery.check("clinic", "HEAD", "release", self.work)
            delivery.checker.wait(id)
        run = get_check_run(self.house.ledger, "clinic", id)
        assert run.state == "passed", run.results
        self._promote(f"release:{run.commit}")
        return commit

    def train(self, *, live: bool = True, **parameters: object) -> str:
        """Train in production, bring the version to all traffic unless it need not be live, and return its name."""
        with acting("dora", "data_scientist"):
            code = code_of(self.house.part(Delivery), PRODUCTION)
            ingest_all(self.house.home, self.house.artifacts, self.house.runners, code, PRODUCTION)
            runs = self.house.part(Runs)
            run = runs.wait(runs.start(code, PRODUCTION, "train", parameters, engine="inline") or "", 120)
        assert run.state == "done" and run.model_version, run.failure
        with self.house.ledger.read() as reader:
            name = find_version(reader, "clinic", run.model_version).name
        if live:
            self._promote(name)
        return name

    def ask(self, name: str, *visits: int) -> list[str]:
        """Ask the service about visits as a consumer and return the predictions' ids."""
        rows = [{"visit": f"v{each}", "size": each % 10 / 10, "place": "shop", "person": f"p{each % 40}"} for each in visits]
        answer = self.client(name).predict("sale", rows, environment="production")
        return [each["id"] for each in answer["predictions"]]

    def _promote(self, target: str) -> None:
        delivery = self.house.part(Delivery)
        with acting("olga", "devops_engineer"):
            waiting = promote(delivery, PRODUCTION, target, OLGA)
        with acting("raj", "software_engineer"):
            approve(delivery, "clinic", waiting.id, RAJ)
        self.house.dispatcher.drain()


def write_visits(path: Path, days: int = 90, per_day: int = 40) -> None:
    """Big visits are paid, mostly; the payment is known six hours later."""
    chance = random.Random(7)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["visit", "at", "person", "size", "place", "paid", "paid_at"])
        for number in range(days * per_day):
            at = BEGIN + timedelta(minutes=number * 24 * 60 / per_day)
            size, place = chance.random(), chance.choice(["market", "shop"])
            paid = int(size > 0.5) if chance.random() > 0.05 else chance.randint(0, 1)
            row = [f"v{number}", at, f"p{chance.randint(0, 40)}", size, place, paid, at + timedelta(hours=6)]
            writer.writerow([each.isoformat() if isinstance(each, datetime) else each for each in row])


def make_clinic(folder: Path) -> None:
    """Make the project and bring a model of its first forty days to production."""
    toml = TOML.format(name="clinic").replace(
        'task = "classification"', 'task = "classification"\nowner = "Olga"\nsuccess = ["roc_auc >= 0.6"]'
    )
    write_project(folder / "work", "clinic", {"clinic.py": CODE, "bucle.toml": toml, ".gitignore": "*.csv\n"})
    write_visits(folder / "work" / "visits.csv")
    with opened(folder, replay_from=BEGIN + timedelta(days=40)) as clinic:
        clinic.release(CODE)
        clinic.train()


@contextmanager
def opened(folder: Path, **how: Any) -> Iterator[Clinic]:
    """Open the house of a folder as one call of the command line would."""
    house = open_house(folder / "home", "call", **how)
    transport = InProcessTransport(house)
    yield Clinic(folder, house, Client(transport, None, "clinic", "tests/1"))
    transport.close()


def copied(template: Path, folder: Path) -> Path:
    """Copy a clinic; what is deployed keeps the template's code, which stays where it is."""
    shutil.copytree(template, folder / "clinic", symlinks=True)
    return folder / "clinic"
