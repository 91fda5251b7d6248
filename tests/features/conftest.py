"""The oracle of the point-in-time rules, and a small project of flights and weather in a home on a replay clock."""

import datetime as dt
import importlib.util
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from tests.air import START, TOML, flights_table

from bucle.artifacts import ArtifactStore
from bucle.data import Snapshot, ingest_all, take_snapshot
from bucle.features import Materialized, ViewSpec, materialize
from bucle.ledger import EventFilter, Home, Scope, StoredEvent, acting
from bucle.project import Definitions, describe, load_definitions, load_project_file, working_tree
from bucle.runtimes import Code, RunnerPool, current_runtime, load_code

_ORACLE = Path(__file__).parent.parent / "oracles" / "pit.py"
HOUR = dt.timedelta(hours=1)
DEV = Scope("air", "dev")
AIR = '''
import polars as pl
import bucle
from bucle.data import source


@source("data/flights/*.parquet", key="flight_id", timestamp="scheduled_at",
        known_at={"dep_delay": "departed_at", "arr_delay": "arrived_at"})
def flights(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


@source("data/weather/*.parquet", timestamp="observed_at", created="recorded_at")
def weather(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


airport = bucle.Entity("airport", key="origin")


@bucle.features(airport, source=weather, ttl="3h")
def weather_now(rows: pl.LazyFrame) -> pl.LazyFrame:
    """The last weather observed at the airport."""
    return rows.select("wind_speed", "sky")


@bucle.features(airport, source=flights)
def last_flight(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select(last_delay=pl.col("dep_delay") * 1.0)


traffic = bucle.aggregates(airport, source=flights, at="departed_at", window="2h",
                           mean_delay=("dep_delay", "mean"), departures=("flight_id", "count"), worst=("dep_delay", "max"))

delays = bucle.TrainingSet(spine=flights, columns=["carrier", "origin", "distance"],
                           features=[weather_now, last_flight, traffic],
                           label=bucle.Label("late", pl.col("arr_delay") > 15, matures="36h"))
'''


@pytest.fixture(scope="session")
def pit() -> ModuleType:
    """The independent slow implementation of rules R1 to R10."""
    spec = importlib.util.spec_from_file_location("pit_oracle", _ORACLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def weather_table(days: int = 20, seed: int = 1) -> pl.DataFrame:
    """Hourly weather with gaps, recorded up to ninety minutes later and sometimes out of order; some hours corrected."""
    chance = random.Random(seed)
    rows = []
    for hour in range(-3, days * 24):
        for origin in ("JFK", "LGA"):
            for _ in range(chance.choice([0, 1, 1, 1, 2])):
                observed = START + hour * HOUR
                recorded = observed + dt.timedelta(minutes=chance.randrange(0, 90))
                row = {"origin": origin, "observed_at": observed, "recorded_at": recorded}
                rows.append(
                    row | {"wind_speed": chance.choice([None, chance.random() * 30]), "sky": chance.choice(["clear", "fog"])}
                )
    return pl.DataFrame(
        rows, schema_overrides={"observed_at": pl.Datetime("us", "UTC"), "recorded_at": pl.Datetime("us", "UTC")}
    )


@dataclass
class Air:
    """The project, its home, and what tests do with them."""

    root: Path
    home: Home
    artifacts: ArtifactStore
    runners: RunnerPool

    def write(self, text: str, file: str = "air/__init__.py") -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def put(self, source: str, table: pl.DataFrame, file: str = "1.parquet") -> None:
        path = self.root / "data" / source / file
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path)

    def code(self) -> Code:
        return load_code(self.home, self.runners, working_tree(self.root))

    def definitions(self) -> Definitions:
        for name in [name for name in sys.modules if name == "air" or name.startswith("air.")]:
            del sys.modules[name]
        try:
            return load_definitions(self.root, load_project_file(self.root))
        finally:
            sys.path[:] = [entry for entry in sys.path if entry != str(self.root)]

    def ingest(self) -> None:
        with acting("ana", "data_engineer"):
            ingest_all(self.home, self.artifacts, self.runners, self.code(), DEV)

    def snapshot(self, as_of: dt.datetime) -> Snapshot:
        described = describe("air", self.root, self.definitions())
        return take_snapshot(self.home, Code(working_tree(self.root), current_runtime(), described), DEV, as_of)

    def views(self) -> list[ViewSpec]:
        return self.code().description.specs("view", ViewSpec)

    def materialize(self, until: dt.datetime) -> list[Materialized]:
        return materialize(self.home, self.runners, self.code(), DEV, until)

    def events(self, kind: str) -> list[StoredEvent]:
        return self.home.ledger.events(EventFilter(kinds=(kind,), limit=5000))


@pytest.fixture
def air(tmp_path: Path, stocked: Path, pool: tuple[RunnerPool, Path]) -> Iterator[Air]:
    """The project with its data ingested, its clock at the end of the tenth day; a copy of its own for each test."""
    shutil.copytree(stocked, tmp_path / "place")
    home = Home.open(tmp_path / "place" / "home")
    yield Air(tmp_path / "place" / "air", home, ArtifactStore(pool[1]), pool[0])
    home.close()


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory, pool: tuple[RunnerPool, Path]) -> Path:
    """The folder of a project and its home, with data ingested once."""
    place = tmp_path_factory.mktemp("stocked")
    home = Home.open(place / "home", replay_from=START + dt.timedelta(days=10))
    found = Air(place / "air", home, ArtifactStore(pool[1]), pool[0])
    found.write(TOML, "bucle.toml")
    found.write(AIR)
    found.put("flights", flights_table())
    found.put("weather", weather_table())
    found.ingest()
    home.close()
    return place


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunnerPool, Path]]:
    folder = tmp_path_factory.mktemp("artifacts")
    runners = RunnerPool(2, artifacts=folder)
    yield runners, folder
    runners.close()
