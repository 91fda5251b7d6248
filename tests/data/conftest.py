"""A small project with real files, a home on a replay clock and real child processes."""

import datetime as dt
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from bucle.artifacts import ArtifactStore
from bucle.data import DatasetVersion, Snapshot, ingest, read_snapshot, take_snapshot
from bucle.ledger import EventFilter, Home, Scope, StoredEvent, acting
from bucle.project import working_tree
from bucle.runtimes import Code, RunnerPool, load_code

DEV = Scope("shop", "dev")
START = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
TOML = """
[project]
name = "shop"
definitions = "shop"
[charter]
problem = "p"
task = "classification"
success = ["roc_auc >= 0.6"]
owner = "o"
data = ["orders: rows"]
[environments.test]
deploy = "automatic"
[environments.production]
deploy = "approved"
"""
SHOP = '''
import polars as pl
from bucle.data import source

@source("data/orders/*.parquet", key="order_id", timestamp="placed_at", known_at={"paid": "paid_at"})
def orders(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Orders of the shop."""
    return raw.filter(pl.col("amount") > 0)
'''


def orders_table(rows: int = 600, start: dt.datetime = START, first: int = 0, seed: int = 0) -> pl.DataFrame:
    """Orders, one every three hours; paid half a day later, every tenth never."""
    import random

    chance = random.Random(seed + first)
    placed = [start + dt.timedelta(hours=3 * number) for number in range(rows)]
    never = [number % 10 == 0 for number in range(rows)]
    return pl.DataFrame(
        {
            "order_id": [f"o{first + number}" for number in range(rows)],
            "placed_at": placed,
            "amount": [round(chance.lognormvariate(3, 0.5), 2) for _ in range(rows)],
            "city": [chance.choice(["Madrid", "Sevilla", "Vigo"]) for _ in range(rows)],
            "paid_at": [None if lost else moment + dt.timedelta(hours=12) for moment, lost in zip(placed, never, strict=True)],
            "paid": [None if lost else round(chance.gauss(0, 30), 1) for lost in never],
        },
        schema_overrides={"placed_at": pl.Datetime("us", "UTC"), "paid_at": pl.Datetime("us", "UTC")},
    )


@dataclass
class Shop:
    """The project, its home, and what tests do with them."""

    root: Path
    home: Home
    artifacts: ArtifactStore
    runners: RunnerPool
    scope: Scope = DEV

    def write(self, file: str, text: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")

    def put(self, table: pl.DataFrame, file: str = "data/orders/1.parquet") -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_csv(path) if file.endswith(".csv") else table.write_parquet(path)
        return path

    def code(self) -> Code:
        return load_code(self.home, self.runners, working_tree(self.root))

    def ingest(self, source: str = "orders", scope: Scope | None = None) -> DatasetVersion:
        with acting("ana", "data_engineer"):
            return ingest(self.home, self.artifacts, self.runners, self.code(), scope or self.scope, source)

    def snapshot(self, as_of: dt.datetime | None = None, scope: Scope | None = None) -> Snapshot:
        return take_snapshot(self.home, self.code(), scope or self.scope, as_of)

    def read(self, as_of: dt.datetime, source: str = "orders") -> pl.DataFrame:
        return read_snapshot(self.artifacts, self.snapshot(as_of), source).collect()

    def events(self, kind: str = "data.") -> list[StoredEvent]:
        found = self.home.ledger.events(EventFilter(limit=5000))
        return [event for event in found if event.kind.startswith(kind)]


@pytest.fixture
def shop(tmp_path: Path, pool: RunnerPool) -> Iterator[Shop]:
    root = tmp_path / "shop"
    root.mkdir()
    home = Home.open(tmp_path / "home", replay_from=START + dt.timedelta(days=75))
    found = Shop(root, home, ArtifactStore(pool_artifacts(pool)), pool)
    found.write("bucle.toml", TOML)
    found.write("shop/__init__.py", SHOP)
    yield found
    home.close()


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerPool]:
    folder = tmp_path_factory.mktemp("artifacts")
    runners = RunnerPool(2, artifacts=folder)
    _folders[id(runners)] = folder
    yield runners
    runners.close()


_folders: dict[int, Path] = {}


def pool_artifacts(pool: RunnerPool) -> Path:
    return _folders[id(pool)]
