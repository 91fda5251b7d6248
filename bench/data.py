"""What data costs: validation and profiles of a million rows, reading a snapshot of a year of flights, a tick with no news."""

import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data import (
    ColumnSchema,
    FileWatch,
    Schema,
    Snapshot,
    SnapshotVersion,
    add_profiles,
    ingest_all,
    ingest_due,
    profile_frame,
    profile_rows,
    psi,
    read_snapshot,
    source,
    validate_frame,
)
from bucle.data.cleaning import clean
from bucle.data.fragments import write_version
from bucle.data.inspection import find_leaks
from bucle.ledger import Home, Scope, to_us
from bucle.project import load_project_file, register_project, working_tree
from bucle.project.flights_data import write_flights
from bucle.runtimes import RunnerPool, load_code

ROWS = 1_000_000
PROJECT = """
import bucle
import polars as pl

@bucle.source("data/flights/*.parquet", key="flight_id", timestamp="scheduled_at",
              known_at={"dep_delay": "departed_at", "arr_delay": "arrived_at"})
def flights(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw.filter(pl.col("distance") > 0)

@bucle.source("data/weather/*.parquet", timestamp="observed_at")
def weather(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw
"""
TOML = """
[project]
name = "flights"
definitions = "flights"
[charter]
problem = "p"
task = "classification"
success = ["roc_auc >= 0.6"]
owner = "o"
data = ["flights"]
"""


def measure(what: str, work: Callable[[], object], rounds: int = 3) -> None:
    """Print the CPU and wall milliseconds of `work`, best of some rounds."""
    best_cpu = best_wall = float("inf")
    for _ in range(rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        best_cpu, best_wall = min(best_cpu, time.process_time() - cpu), min(best_wall, time.perf_counter() - wall)
    print(f"{what:62} {best_cpu * 1000:9.2f} ms CPU {best_wall * 1000:9.2f} ms wall")


def validation() -> None:
    """A million rows against twelve checks."""
    chance = np.random.default_rng(0)
    at = pl.Series(np.arange(ROWS) * 30_000_000).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    table = pl.DataFrame({"id": np.arange(ROWS), "at": at})
    table = table.with_columns(pl.Series(f"x{column}", chance.normal(size=ROWS)) for column in range(4))
    table = table.with_columns(pl.Series("c", chance.choice(["a", "b", "c"], ROWS)))
    columns = {name: ColumnSchema("number", nulls=0.0, least=-10, most=10) for name in ("x0", "x1", "x2", "x3")}
    columns |= {"id": ColumnSchema("integer", nulls=0.0), "at": ColumnSchema("instant", nulls=0.0)}
    columns |= {"c": ColumnSchema("text", nulls=0.0, values=("a", "b", "c"))}
    plain = Schema("s", columns)
    measure("validate 1M rows, 12 checks beside types and presence", lambda: validate_frame(table, plain, timestamp="at"))
    unique = Schema("s", columns, unique=("id",))
    measure("  and uniqueness", lambda: validate_frame(table, unique, timestamp="at"))
    skew = {name: ColumnSchema("number", nulls=0.0, least=-10, most=10, skew=0.5) for name in ("x0", "x1", "x2", "x3")}
    skewed = Schema("s", columns | skew)
    measure("  and the statistics of 4 columns by month", lambda: validate_frame(table, skewed, timestamp="at"))


def profiles() -> None:
    """A million rows of thirty columns, reference against current; a window of predictions in plain Python."""
    chance = np.random.default_rng(1)
    table = pl.DataFrame({f"x{column}": chance.normal(size=ROWS) for column in range(30)})
    reference = profile_frame(table)
    measure("profile 1M rows x 30 columns, own bins", lambda: profile_frame(table))
    measure("profile 1M rows x 30 columns, on a reference's bins", lambda: profile_frame(table, reference))
    rows = table.head(300).to_dicts()
    measure("profile 300 rows x 30 columns in plain Python", lambda: profile_rows(rows, reference))
    window = profile_rows(rows, reference)
    measure("add two profiles of 30 columns", lambda: add_profiles(window, window))
    names = list(reference.columns)
    measure("psi of 30 columns", lambda: [psi(reference.columns[name], window.columns[name]) for name in names])


def last_week(store: ArtifactStore, snapshot: Snapshot, start_us: int) -> pl.DataFrame:
    """Read three columns of a snapshot's newest rows."""
    return read_snapshot(store, snapshot, "flights", start_us=start_us).select("origin", "hour", "arr_delay").collect()


def flights(folder: Path) -> None:
    """A year of flights: clean, write, read as of a moment, look for leaks."""
    write_flights(folder)
    known = {"dep_delay": "departed_at", "arr_delay": "arrived_at"}
    declared = source("*", key="flight_id", timestamp="scheduled_at", known_at=known, name="flights")(lambda raw: raw)
    spec, paths = declared.spec(), sorted(map(str, (folder / "data" / "flights").glob("*.parquet")))
    store = ArtifactStore(folder / "artifacts")
    rows, _ = clean(declared, spec, paths, folder)
    measure(f"read and clean {rows.height} flights", lambda: clean(declared, spec, paths, folder))
    artifact, _ = write_version(store, spec, rows, (), {})
    measure("write them as a version", lambda: write_version(store, spec, rows, (), {}))
    for month, name in ((4, "April"), (13, "the year's end")):
        as_of = datetime(2013 + month // 13, month % 12, 1, tzinfo=UTC)
        snapshot = Snapshot(to_us(as_of), {"flights": SnapshotVersion("ds_1", artifact, spec)})
        measure(f"read the snapshot of {name}, all columns", lambda s=snapshot: read_snapshot(store, s, "flights").collect())
        week = to_us(as_of - timedelta(days=7))
        measure("  its last week, three columns", lambda s=snapshot, w=week: last_week(store, s, w))
    measure("look for leaks by provenance", lambda: find_leaks(declared, spec, paths, rows, [], folder))


def ticks(folder: Path) -> None:
    """An ingestion through a child, and an hour that brings nothing."""
    (folder / "flights").mkdir()
    (folder / "flights" / "__init__.py").write_text(PROJECT, "utf-8")
    (folder / "bucle.toml").write_text(TOML, "utf-8")
    home = Home.open(folder / ".bucle", replay_from=datetime(2013, 4, 1, tzinfo=UTC))
    store = ArtifactStore(home.folder("artifacts"))
    runners = RunnerPool(1, artifacts=store.root)
    scope, watch = Scope("flights", "dev"), FileWatch()
    register_project(home.ledger, load_project_file(folder), working_tree=True)
    code = load_code(home, runners, working_tree(folder))
    measure("ingest flights and weather, first time (parent's CPU)", lambda: ingest_all(home, store, runners, code, scope), 1)
    measure("ingest flights and weather, nothing changed", lambda: ingest_all(home, store, runners, code, scope))
    due = [(code, scope)]
    ingest_due(home, store, runners, due, watch)
    measure("a tick that brings nothing, two sources", lambda: ingest_due(home, store, runners, due, watch), 20)
    runners.close()
    home.close()


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}")
    validation()
    profiles()
    with tempfile.TemporaryDirectory() as temporary:
        flights(Path(temporary))
        ticks(Path(temporary))
    print(f"largest memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
