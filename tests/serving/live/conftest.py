"""A small project of flights and weather: ingested, materialized, two models trained on its frames, registered and served."""

import datetime as dt
import json
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.air import START, TOML, flights_table

from bucle.artifacts import ArtifactStore
from bucle.client import Client
from bucle.data import ingest_all, take_snapshot
from bucle.features import TrainingFrame, build_frame, materialize
from bucle.ledger import Durability, Home, Scope, acting, within
from bucle.project import load_definitions, load_project_file, working_tree
from bucle.registry import VersionDraft, evaluate_model, keep_evaluation, package_model, register_version, version_of_id
from bucle.runtimes import RunnerPool, load_code
from bucle.server import House, open_house
from bucle.serving import Deployment, Services, deploy, plan_candidate

NOW = START + dt.timedelta(days=10)
DEV = Scope("air", "dev")
AIR = """
import bucle
import polars as pl


@bucle.source("data/flights/*.parquet", key="flight_id", timestamp="scheduled_at",
              known_at={"dep_delay": "departed_at", "arr_delay": "arrived_at"})
def flights(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


@bucle.source("data/weather/*.parquet", timestamp="observed_at")
def weather(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


airport = bucle.Entity("airport", key="origin")


@bucle.features(airport, source=weather, ttl="3h")
def weather_now(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select("wind_speed")


traffic = bucle.aggregates(airport, source=flights, at="departed_at", window="2h", mean_delay=("dep_delay", "mean"))
delays = bucle.TrainingSet(spine=flights, columns=["carrier", "origin", "distance"], features=[weather_now, traffic],
                           label=bucle.Label("late", pl.col("arr_delay") > 15, matures="36h"))
delay = bucle.Service("delay", model="delay", key="flight_id")
watch = bucle.Monitor(delay, false_pages_per_month=2, slices=["origin"])
"""


def weather_table(days: int = 12) -> pl.DataFrame:
    chance = random.Random(1)
    rows = [
        {"origin": origin, "observed_at": START + dt.timedelta(hours=hour), "wind_speed": chance.random() * 30}
        for hour in range(-3, days * 24)
        for origin in ("JFK", "LGA")
    ]
    return pl.DataFrame(rows, schema_overrides={"observed_at": pl.Datetime("us", "UTC")})


@dataclass(slots=True)
class Template:
    """A home and a project that tests copy."""

    folder: Path
    versions: list[str]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Make the home once: ingest, materialize, train two models, register them."""
    folder = tmp_path_factory.mktemp("served")
    root = folder / "air"
    for path, table in (("flights", flights_table(12)), ("weather", weather_table())):
        (root / "data" / path).mkdir(parents=True)
        table.write_parquet(root / "data" / path / "1.parquet")
    (root / "bucle.toml").write_text(TOML, "utf-8")
    (root / "air.py").write_text(AIR, "utf-8")
    home = Home.open(folder / "home", replay_from=NOW)
    store = ArtifactStore(home.folder("artifacts"))
    runners = RunnerPool(1, artifacts=store.root)
    with acting("ana", "ml_engineer"), within(DEV):
        code = load_code(home, runners, working_tree(root))
        ingest_all(home, store, runners, code, DEV)
        materialize(home, runners, code, DEV, NOW)
        frame = _frame(root, store, take_snapshot(home, code, DEV))
        versions = [_register(home, store, frame, number) for number in range(2)]
    runners.close()
    home.close()
    return Template(folder, versions)


def _frame(root: Path, store: ArtifactStore, snapshot: Any) -> TrainingFrame:
    _forget_air()
    try:
        return build_frame(store, load_definitions(root, load_project_file(root)), snapshot, "delays")
    finally:
        sys.path[:] = [entry for entry in sys.path if entry != str(root)]
        _forget_air()


def _forget_air() -> None:
    """Tests of other rooms have projects of this name too, and a worker may have run some of them before."""
    for name in [name for name in sys.modules if name == "air" or name.startswith("air.")]:
        del sys.modules[name]


def _register(home: Home, store: ArtifactStore, frame: TrainingFrame, seed: int) -> str:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=5 + seed, random_state=seed).fit(frame.X, frame.y)
    package = package_model(store, model, frame.columns, "late", "classification", frame.X[:5])
    evaluation = keep_evaluation(store, evaluate_model(model, frame, ["origin"], store=store, model_id=package.model))
    with home.ledger.write() as tx:
        return register_version(tx, VersionDraft("delay", package, evaluation=evaluation, as_of_us=frame.facts.as_of_us)).id


@dataclass(slots=True)
class Served:
    """The project in a home of its own, composed as a server would, spoken to through its routes."""

    root: Path
    house: House
    client: Client
    versions: list[str]

    @property
    def services(self) -> Services:
        return self.house.part(Services)

    def deploy(self, place: int = 0, scope: Scope = DEV) -> Deployment:
        code = load_code(self.house.home, self.house.runners, working_tree(self.root))
        with self.house.ledger.read() as reader:
            version = version_of_id(reader, self.versions[place], "air")
        candidate = plan_candidate(code, "delay", version)
        self.services.pool.warm(candidate)
        with acting("dora", "devops_engineer"), self.house.ledger.write() as tx:
            made = deploy(tx, scope, candidate)
        self.house.dispatcher.drain()
        return made

    def predict(self, *rows: dict[str, Any]) -> Any:
        return self.client.post(self.client.path("services", "delay", "predict"), {"rows": list(rows)})

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request as any client would, and return status and document."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json"} if data is not None else {}
        answer = self.client._transport.send(method, path, headers, data)
        return answer.status, json.loads(answer.body) if answer.body else None


def row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {"flight_id": f"n{number}", "carrier": "AA", "origin": "JFK", "distance": 500 + number} | changes


@pytest.fixture
def make_row() -> Any:
    return row


@pytest.fixture(scope="session")
def served(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One home for the tests that leave the deployment as it is, with the first version deployed."""
    yield from _serve(template, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def fresh(template: Template, tmp_path: Path) -> Iterator[Served]:
    """A home of the test's own."""
    yield from _serve(template, tmp_path)


@pytest.fixture
def idle(template: Template, tmp_path: Path) -> Iterator[Served]:
    """A home of the test's own where no model serves yet."""
    yield from _serve(template, tmp_path, deployed=False)


@pytest.fixture
def powered(template: Template, tmp_path: Path) -> Iterator[Served]:
    """A home of the test's own that was told once to survive a loss of power."""
    yield from _serve(template, tmp_path, durability="power")


def _serve(
    template: Template, folder: Path, *, deployed: bool = True, durability: Durability | None = None
) -> Iterator[Served]:
    shutil.copytree(template.folder, folder / "served")
    Home.open(folder / "served" / "home", durability=durability).close()
    house = open_house(folder / "served" / "home", "call")
    client = _client(house)
    made = Served(folder / "served" / "air", house, client, template.versions)
    if deployed:
        made.deploy()
    yield made
    client.close()


def _client(house: House) -> Client:
    from bucle.client.transports import InProcessTransport

    return Client(InProcessTransport(house), None, "air", "tests/1")
