"""A service with models of several kinds, good ones and some that fail on what only traffic has; a home for each test."""

import datetime as dt
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bucle.artifacts import ArtifactStore
from bucle.client import Client
from bucle.client.transports import InProcessTransport
from bucle.delivery import Delivery, Rollout, RolloutShown, newest_rollout, show
from bucle.delivery.rollouts.moving import begin_rollout
from bucle.delivery.rollouts.planning import terms_of
from bucle.features import FrameColumn
from bucle.ledger import EventFilter, Home, Scope, StoredEvent, acting, within
from bucle.project import RolloutPolicy, load_project_file, register_project, working_tree
from bucle.registry import VersionDraft, package_model, register_version, version_of_id
from bucle.runtimes import load_code
from bucle.server import House, open_house
from bucle.serving import Candidate, Services, deploy, plan_candidate

DEV = Scope("trips", "dev")
NOW = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
MATURES_US = 2 * 3600 * 1_000_000
TOML = """
[project]
name = "trips"
definitions = "trips"
[charter]
problem = "Late?"
task = "classification"
success = ["roc_auc >= 0.5"]
owner = "o"
data = ["trips: rows"]
"""
TRIPS = """
import bucle
import polars as pl


@bucle.source("data/trips/*.parquet", key="trip", timestamp="left_at", known_at={"delay": "came_at"})
def trips(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


rides = bucle.TrainingSet(spine=trips, columns=["carrier", "distance", "gust"], features=[],
                          label=bucle.Label("late", pl.col("delay") > 15, matures="2h"))
delay = bucle.Service("delay", model="delay", key="trip")
"""
COLUMNS = [
    FrameColumn("carrier", "category", None, ("AA", "UA"), nullable=True),
    FrameColumn("distance", "float", None),
    FrameColumn("gust", "float", None, nullable=True),
]


def models() -> dict[str, Any]:
    """Return models by name: two good ones, a bad one, one without a number for a null gust, one that raises on a carrier."""
    from sklearn.compose import ColumnTransformer
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    chance = np.random.default_rng(0)
    rows = np.column_stack([chance.integers(0, 2, 600), chance.uniform(0, 100, 600), chance.uniform(0, 40, 600)]).astype(float)
    y = (rows[:, 1] > 50).astype(int)
    boosting = {seed: HistGradientBoostingClassifier(max_iter=5 + seed, random_state=seed) for seed in (0, 1)}
    strict = make_pipeline(ColumnTransformer([("carrier", OneHotEncoder(), [0])], remainder="passthrough"), DummyClassifier())
    found = {"good": boosting[0], "better": boosting[1], "gusty": LogisticRegression(max_iter=500), "strict": strict}
    return {name: model.fit(rows, y) for name, model in found.items()} | {"wrong": LogisticRegression().fit(rows, 1 - y)}


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> "Prepared":
    """A home with the project and a registered version of each model, made once."""
    folder = tmp_path_factory.mktemp("trips")
    root = folder / "trips"
    root.mkdir()
    (root / "bucle.toml").write_text(TOML, "utf-8")
    (root / "trips.py").write_text(TRIPS, "utf-8")
    home = Home.open(folder / "home", replay_from=NOW)
    store = ArtifactStore(home.folder("artifacts"))
    versions: dict[str, str] = {}
    with acting("ana", "ml_engineer"), within(DEV):
        register_project(home.ledger, load_project_file(root), working_tree=True)
        for name, model in models().items():
            sample = np.array([[0.0, 50.0, 5.0], [1.0, 20.0, 10.0]])
            package = package_model(store, model, COLUMNS, "late", "classification", sample)
            with home.ledger.write() as tx:
                versions[name] = register_version(tx, VersionDraft("delay", package)).id
    home.close()
    return Prepared(folder, versions)


@dataclass(frozen=True)
class Prepared:
    """A home to copy, and the ids of the versions by the names of their models."""

    folder: Path
    versions: dict[str, str]


@dataclass
class Trial:
    """A house in which "good" answers, and what a test does in it."""

    root: Path
    house: House
    client: Client
    versions: dict[str, str]

    @property
    def services(self) -> Services:
        return self.house.part(Services)

    @property
    def delivery(self) -> Delivery:
        return self.house.part(Delivery)

    def candidate(self, name: str) -> Candidate:
        code = load_code(self.house.home, self.house.runners, working_tree(self.root))
        with self.house.ledger.read() as reader:
            version = version_of_id(reader, self.versions[name], "trips")
        candidate = plan_candidate(code, "delay", version)
        self.services.pool.warm(candidate)
        return candidate

    def begin(self, name: str, **policy: Any) -> Rollout:
        """Begin a rollout of a model as a promotion would."""
        candidate = self.candidate(name)
        with acting("olga", "devops_engineer"), self.house.ledger.write() as tx:
            champion = self.services.current(DEV, "delay")
            made = RolloutPolicy(**{"requests": 40, "labels": 20, **policy})
            begun = begin_rollout(tx, DEV, "", candidate, champion, terms_of(tx, champion, made, tx.clock.now_us(), MATURES_US))
        self.house.dispatcher.drain()
        return begun

    def ask(self, *rows: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for predictions as any client would."""
        answer = self.client.post(self.client.path("services", "delay", "predict"), {"rows": list(rows)})
        return [answer | each for each in answer["predictions"]]

    def advance(self, *, hours: int) -> None:
        """Let hours pass on the home's clock."""
        from bucle.ledger import Ticked

        now = self.house.ledger.clock.now() + dt.timedelta(hours=hours)
        self.house.ledger.move_clock(now, Ticked(now))
        self.house.settle()

    def judged(self) -> RolloutShown:
        """Wait for the shadows, have everything judged, and return the rollout."""
        self.house.settle()
        return self.shown()

    def shown(self) -> RolloutShown:
        with self.house.ledger.read() as reader:
            return show(reader, newest_rollout(reader, DEV, "delay"), self.house.ledger.clock.now())

    def events(self, *kinds: str) -> list[StoredEvent]:
        return self.house.ledger.events(EventFilter(kinds=kinds))


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {"trip": f"t{number}", "carrier": "AA", "distance": float(number * 37 % 100), "gust": 5.0} | changes


@pytest.fixture
def make_row() -> Any:
    return row


@pytest.fixture
def trial(prepared: Prepared, tmp_path: Path) -> Iterator[Trial]:
    shutil.copytree(prepared.folder, tmp_path / "trips")
    house = open_house(tmp_path / "trips" / "home", "call")
    client = Client(InProcessTransport(house), None, "trips", "tests/1")
    made = Trial(tmp_path / "trips" / "trips", house, client, prepared.versions)
    with acting("olga", "devops_engineer"), house.ledger.write() as tx:
        deploy(tx, DEV, made.candidate("good"))
    house.dispatcher.drain()
    yield made
    client.close()
