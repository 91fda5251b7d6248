"""What a point-in-time join costs: bucle against Polars, pandas and DuckDB on the same rows: `bench/join.py [--large]`."""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import polars as pl

TTL = timedelta(days=30)
FEATURES = 5
YEAR_US = 365 * 86_400_000_000
SIZES = {"small": (100_000, 500_000, 5_000), "large": (1_000_000, 5_000_000, 50_000)}


def table(rows: int, entities: int, seed: int, prefix: str, *, ordered: bool, created: bool = True) -> pl.DataFrame:
    """Rows at random moments of a year; `created` follows the event by up to an hour."""
    import numpy as np

    random = np.random.default_rng(seed)
    event = random.integers(0, YEAR_US, rows)
    frame = pl.DataFrame({"key": random.integers(0, entities, rows), "at": np.sort(event) if ordered else event})
    if created:
        frame = frame.with_columns(created=pl.col("at") + pl.Series(random.integers(0, 3_600_000_000, rows)))
    moments = pl.col("at", "created") if created else pl.col("at")
    values = [pl.Series(f"{prefix}{number}", random.random(rows)) for number in range(FEATURES)]
    return frame.with_columns(moments.cast(pl.Datetime("us", "UTC")), *values)


def with_bucle(spine: pl.DataFrame, views: list[pl.DataFrame], *, as_known: bool = False) -> pl.DataFrame:
    from bucle.features import JoinView, point_in_time_join

    names = [tuple(name for name in view.columns if name not in ("key", "at", "created")) for view in views]
    joined = [
        JoinView(f"v{number}", view, ("key",), names[number], "at", "created" if as_known else None, TTL)
        for number, view in enumerate(views)
    ]
    return point_in_time_join(spine, joined, timestamp="at")


def with_bucle_as_known(spine: pl.DataFrame, views: list[pl.DataFrame]) -> pl.DataFrame:
    return with_bucle(spine, views, as_known=True)


def with_polars(spine: pl.DataFrame, views: list[pl.DataFrame]) -> pl.DataFrame:
    result = spine.with_row_index("row").sort("at")
    for view in views:
        right = view.drop("created").sort("at")
        result = result.join_asof(right, on="at", by="key", tolerance=TTL, check_sortedness=False)
    return result.sort("row").drop("row")


def with_pandas(spine: pl.DataFrame, views: list[pl.DataFrame]) -> object:
    import pandas as pd

    result = spine.with_row_index("row").to_pandas().sort_values("at")
    for view in views:
        right = view.drop("created").to_pandas().sort_values("at")
        result = pd.merge_asof(result, right, on="at", by="key", tolerance=pd.Timedelta(TTL))
    return result.sort_values("row")


def with_duckdb(spine: pl.DataFrame, views: list[pl.DataFrame]) -> pl.DataFrame:
    import duckdb

    connection = duckdb.connect()
    connection.register("spine", spine.with_row_index("row").to_arrow())
    sql, columns = "spine", "s.*"
    for number, view in enumerate(views):
        connection.register(f"v{number}", view.drop("created").to_arrow())
        names = [name for name in view.columns if name not in ("key", "at", "created")]
        taken = [f"CASE WHEN v.at >= s.at - INTERVAL 30 DAY THEN v.{name} END AS {name}" for name in names]
        sql = (
            f"(SELECT {columns}, {', '.join(taken)} FROM {sql} s ASOF LEFT JOIN v{number} v ON s.key = v.key AND s.at >= v.at)"
        )
    return connection.sql(f"SELECT * FROM {sql} ORDER BY row").pl()


CONTENDERS: dict[str, Callable[[pl.DataFrame, list[pl.DataFrame]], object]] = {
    "bucle": with_bucle,
    "bucle, as known then": with_bucle_as_known,
    "polars join_asof": with_polars,
    "duckdb ASOF": with_duckdb,
    "pandas merge_asof": with_pandas,
}


def measure(name: str, size: str, ordered: bool) -> None:
    """Run one contender in this process (its own, so that memory is its own) and print a line."""
    spine_rows, view_rows, entities = SIZES[size]
    spine = table(spine_rows, entities, 1, "s", ordered=False, created=False).select("key", "at")
    views = [table(view_rows, entities, 2 + number, f"v{number}_", ordered=ordered) for number in range(2)]
    contend = CONTENDERS[name]
    contend(spine.head(10), [view.head(10) for view in views])  # imports are not the join
    before, wall = time.process_time(), time.perf_counter()
    contend(spine, views)
    cpu, wall = time.process_time() - before, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{name:22} {'sorted' if ordered else 'shuffled':9} {cpu:7.2f} CPU s {wall:7.2f} s {peak:6} MB", flush=True)


def main() -> None:
    """Print the machine's facts, then a line for each contender."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="1M rows x 2 views x 5M rows instead of 100,000 x 2 x 500,000")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "SIZE", "ORDER"))
    arguments = parser.parse_args()
    if arguments.one:
        measure(arguments.one[0], arguments.one[1], arguments.one[2] == "sorted")
        return
    size = "large" if arguments.large else "small"
    spine_rows, view_rows, entities = SIZES[size]
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, polars {pl.__version__}")
    print(f"{spine_rows:,} rows x 2 views x {view_rows:,} rows of {entities:,} entities, 10 features, ttl 30 days", flush=True)
    for order in ("sorted", "shuffled"):
        for name in CONTENDERS:
            subprocess.run([sys.executable, __file__, "--one", name, size, order], check=True, timeout=600)


if __name__ == "__main__":
    main()
