"""A real home with its artifact store, and frames of flights that are late more often when the wind blows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from bucle.artifacts import ArtifactStore
from bucle.features import FrameColumn, TrainingFrame
from bucle.features.frames import KEY, TIME
from bucle.ledger import Home, Ledger, Scope, acting, within

AIRPORTS = ("EWR", "JFK", "LGA")
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
MakeFrame = Callable[..., TrainingFrame]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small models learn faster in one thread, above all where other tests run beside these."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home")
    with acting("ana", "ml_engineer"), within(Scope("flights", "test")):
        yield home
    home.close()


@pytest.fixture
def ledger(home: Home) -> Ledger:
    return home.ledger


@pytest.fixture
def store(home: Home) -> ArtifactStore:
    return ArtifactStore(home.folder("artifacts"))


def flights(rows: int = 600, seed: int = 0, noise: float = 1.0, task: str = "classification") -> TrainingFrame:
    """Flights with an airport (a category, sometimes missing), a wind and a distance; late when the wind is strong."""
    random = np.random.default_rng(seed)
    wind, distance = random.normal(size=rows), random.uniform(100, 2000, size=rows)
    origin = random.integers(0, len(AIRPORTS), size=rows)
    score = wind + 0.5 * (origin == 1) + noise * random.normal(size=rows)
    label = pl.Series("late", score > 0.8) if task == "classification" else pl.Series("late", score * 10)
    table = pl.DataFrame(
        {
            KEY: [f"f{number}" for number in range(rows)],
            TIME: [NOON + timedelta(minutes=number) for number in range(rows)],
            "origin": pl.Series([AIRPORTS[place] if random.random() > 0.02 else None for place in origin], dtype=pl.String),
            "wind": wind,
            "distance": distance,
        }
    ).with_columns(label)
    columns = (
        FrameColumn("origin", "category", None, AIRPORTS),
        FrameColumn("wind", "float", "weather_now"),
        FrameColumn("distance", "float"),
    )
    return TrainingFrame(table, columns, "late", "flight_id", "scheduled_at", seed=7)


@pytest.fixture
def make_frame() -> MakeFrame:
    return flights
