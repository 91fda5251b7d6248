"""What tracking and the registry cost: recording, packaging, loading, evaluating and judging 30,000 rows; CPU and wall time."""

import os
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier

from bucle.artifacts import ArtifactStore
from bucle.features import FrameColumn, TrainingFrame
from bucle.features.frames import KEY, TIME
from bucle.ledger import Home
from bucle.registry import Champion, JudgeOrder, check_loadable, evaluate_model, judge, load_package, package_model
from bucle.tracking import RunLog, RunStart, begin_run, finish_run, metric_point, record


def timed(name: str, call: Callable[[], object], times: int = 1) -> None:
    """Print the mean milliseconds of a call, after one that warms up."""
    call()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    wall, cpu = (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times
    print(f"{name:44} {cpu * 1000:9.2f} ms CPU {wall * 1000:9.2f} ms wall")


def frame(rows: int, seed: int) -> TrainingFrame:
    """Return flights of three airports that are late when the wind blows."""
    random = np.random.default_rng(seed)
    wind, origin = random.normal(size=rows), random.integers(0, 3, size=rows)
    start = datetime(2013, 1, 1, tzinfo=UTC)
    table = pl.DataFrame(
        {
            KEY: np.arange(rows),
            TIME: [start + timedelta(minutes=int(number)) for number in range(rows)],
            "origin": np.array(["EWR", "JFK", "LGA"])[origin],
            "wind": wind,
            "late": wind + random.normal(size=rows) > 0.8,
        }
    )
    columns = (FrameColumn("origin", "category", None, ("EWR", "JFK", "LGA")), FrameColumn("wind", "float"))
    return TrainingFrame(table, columns, "late", "flight_id", "scheduled_at")


def tracking(home: Home) -> None:
    """Time what a run writes."""
    with home.ledger.write() as tx:
        run = begin_run(tx, RunStart("bench"))

    def write(points: int) -> None:
        with home.ledger.write() as tx:
            record(tx, run, RunLog(metrics=[metric_point("loss", 1.0, step) for step in range(points)]))

    def whole() -> None:
        with home.ledger.write() as tx:
            finish_run(tx, begin_run(tx, RunStart("step", kind="step", parent=run, params={"rate": 0.1})), "succeeded")

    timed("record one point", lambda: write(1), 300)
    timed("record 1,000 points", lambda: write(1000), 20)
    timed("begin and finish a run with its lineage", whole, 300)


def registry(store: ArtifactStore) -> None:
    """Time what a model version costs."""
    past, recent = frame(60_000, 1), frame(30_000, 2)
    strong, weak = (HistGradientBoostingClassifier(random_state=1, max_iter=rounds).fit(past.X, past.y) for rounds in (100, 10))
    package = package_model(store, strong, past.columns, "late", example=recent.X)
    timed(f"package a model of {package.size // 1024} KiB", lambda: package_model(store, strong, past.columns, "late"), 3)
    timed("load it (parse, audit, construct)", lambda: load_package(store, package), 3)
    timed("evaluate 30,000 rows, three slices", lambda: evaluate_model(strong, recent, ["origin"], store=store), 2)
    candidate, other = (evaluate_model(model, recent, ["origin"], store=store) for model in (strong, weak))
    report = check_loadable(store, package)
    order = JudgeOrder("delay", candidate, report, champion=Champion("delay@1", other))
    timed("judge against production, 2,000 resamples", lambda: judge(order, store), 2)


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}")
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(Path(folder) / "home")
        tracking(home)
        registry(ArtifactStore(home.folder("artifacts")))
        home.close()
