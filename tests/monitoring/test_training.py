"""The reference is made in a child from what the model was fitted on, is the same each time, and fits windows of any size."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from bucle.artifacts import ArtifactStore
from bucle.data import profile_values
from bucle.features import FrameColumn, TrainingFrame
from bucle.features.frames import KEY, TIME
from bucle.monitoring import Reference
from bucle.monitoring.betting import standing
from bucle.monitoring.scores import scores_of, value_of
from bucle.monitoring.training import FrameFiles, ReferenceMade, ReferenceOrder
from bucle.runtimes import Runner, current_runtime

BEGIN = datetime(2013, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
COLUMNS = (FrameColumn("origin", "category", None, ("EWR", "JFK")), FrameColumn("wind", "float", "weather_now"))


def frame(days: range, seed: int = 0) -> TrainingFrame:
    chance = random.Random(seed)
    rows = []
    for day in days:
        level = chance.gauss(10, 2)
        for number in range(60):
            wind = None if chance.random() < 0.02 else chance.gauss(level, 3)
            rows.append(
                (f"f{day}-{number}", BEGIN + timedelta(days=day, minutes=number), chance.choice(("EWR", "JFK")), wind, False)
            )
    schema = {KEY: pl.String, TIME: pl.Datetime("us", "UTC"), "origin": pl.String, "wind": pl.Float64, "late": pl.Boolean}
    return TrainingFrame(pl.DataFrame(rows, schema=schema, orient="row"), COLUMNS, "late", "flight_id", "scheduled_at")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def runner(store: ArtifactStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    runner = Runner.start(current_runtime(), tmp_path_factory.mktemp("tree"), artifacts=store.root)
    yield runner
    runner.close()


def stored(store: ArtifactStore, made: TrainingFrame, folder: Path) -> FrameFiles:
    made.save(folder)
    return FrameFiles({path.name: store.put_file(path) for path in folder.iterdir()})


def order(frames: list[FrameFiles], judged_from: datetime | None) -> ReferenceOrder:
    moment = int(judged_from.timestamp() * 1e6) if judged_from else None
    return ReferenceOrder(tuple(frames), ("origin", "wind"), moment, DAY_US, 1.0)


def ask(runner: Runner, wanted: ReferenceOrder) -> str | None:
    return runner.call("bucle.monitoring.training:make_reference", wanted, ReferenceMade).reference


def test_the_frame_before_the_rows_that_the_model_was_judged_by_is_profiled(runner, store, tmp_path: Path) -> None:
    past, recent = frame(range(30)), frame(range(30, 44), seed=1)
    files = [stored(store, recent, tmp_path / "recent"), stored(store, past, tmp_path / "past")]
    made = ask(runner, order(files, BEGIN + timedelta(days=30)))
    assert made is not None
    reference = store.get_json(made, Reference)
    assert (reference.rows, reference.days, reference.window_us) == (len(past), 30, DAY_US)
    assert [column.name for column in reference.columns] == ["origin", "wind"]
    wind = reference.columns[1]
    nulls = past.table.group_by(pl.col(TIME).dt.date()).agg(pl.col("wind").is_null().mean())["wind"].max()
    assert wind.null_share == pytest.approx(nulls)
    assert [score.name for score in wind.scores] == ["location"], "its spread and skew move with it"
    location, origin = wind.scores[0], reference.columns[0].scores[0]
    assert location.days == 30
    assert not location.steady, "the wind differs from day to day by more than samples do"
    assert (origin.name, origin.steady) == ("share of EWR", True)
    assert ask(runner, order(files, BEGIN + timedelta(days=30))) == made, "the same frame gives the same reference"


def test_without_a_frame_that_fits_there_is_no_reference(runner, store, tmp_path: Path) -> None:
    files = [stored(store, frame(range(5)), tmp_path / "frame")]
    assert ask(runner, order(files, BEGIN)) is None
    assert ask(runner, msgspec.structs.replace(order(files, None), columns=("origin", "visibility"))) is None
    assert ask(runner, order([], None)) is None


def test_windows_of_any_size_lie_among_trainings_own_days(runner, store, tmp_path: Path) -> None:
    made = ask(runner, order([stored(store, frame(range(90)), tmp_path / "frame")], None))
    assert made is not None
    wind = store.get_json(made, Reference).columns[1]
    location = scores_of(wind.profile)[0]
    chance = random.Random(7)
    assert value_of(location, profile_values([10.0] * 31, wind.profile)) is None, "too few values say nothing"
    for rows in (40, 150, 600):
        far = 0
        for _ in range(200):
            level = chance.gauss(10, 2)
            value = value_of(location, profile_values([chance.gauss(level, 3) for _ in range(rows)], wind.profile))
            assert value is not None
            far += abs(standing(wind.scores[0], *value)[0]) > 1.96
        assert far <= 0.1 * 200, f"about a twentieth of windows of {rows} rows may lie beyond two deviations"
