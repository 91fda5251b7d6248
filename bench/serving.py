"""What an online prediction costs over HTTP, with features from the online store: 1 and 16 clients, native and Open Inference.

A server of its own on a home made here; the budget of architecture.md is 3 ms at the median for one prediction with features.
"""

import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data import ingest_all, take_snapshot
from bucle.features import build_frame, materialize
from bucle.ledger import Home, Scope, acting, find_server, within
from bucle.project import load_definitions, load_project_file, working_tree
from bucle.registry import VersionDraft, package_model, register_version, version_of_id
from bucle.runtimes import RunnerPool, load_code
from bucle.serving import deploy, plan_candidate

START = datetime(2013, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=30)
DEV = Scope("air", "dev")
TOML = """
[project]
name = "air"
definitions = "air"
[charter]
problem = "p"
task = "classification"
success = ["roc_auc >= 0.5"]
owner = "o"
data = ["flights: rows"]
"""
PROJECT = """
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
    return rows.select("wind_speed", "visibility", "precipitation")

traffic = bucle.aggregates(airport, source=flights, at="departed_at", window="2h",
                           mean_delay=("dep_delay", "mean"), departures=("flight_id", "count"))
delays = bucle.TrainingSet(spine=flights, columns=["carrier", "origin", "distance", "hour"], features=[weather_now, traffic],
                           label=bucle.Label("late", pl.col("arr_delay") > 15, matures="36h"))
delay = bucle.Service("delay", model="delay", key="flight_id")
"""
ROW = {"carrier": "UA", "origin": "JFK", "distance": 1400, "hour": 7}


def write_data(root: Path, flights: int = 24_000) -> None:
    """Write a month of flights at three airports, and the hours' weather."""
    chance = np.random.default_rng(0)
    scheduled = np.sort(chance.uniform(0, 31 * 86_400, flights)).astype(np.int64)
    delay = chance.normal(12, 25, flights).round()
    at = pl.Series(scheduled * 1_000_000) + int(START.timestamp() * 1e6)
    known = pl.Series(chance.random(flights) > 0.03)
    departed = at + pl.Series((delay * 60e6).astype(np.int64))
    moment = pl.Datetime("us", "UTC")
    table = pl.DataFrame(
        {
            "flight_id": [f"f{number}" for number in range(flights)],
            "scheduled_at": at.cast(moment),
            "departed_at": departed.cast(moment),
            "arrived_at": (departed + 10_800_000_000).cast(moment),
            "carrier": chance.choice(["AA", "B6", "DL", "UA", "EV"], flights),
            "origin": chance.choice(["JFK", "LGA", "EWR"], flights),
            "distance": chance.integers(100, 3000, flights),
            "hour": (scheduled // 3600) % 24,
            "dep_delay": delay,
            "arr_delay": delay + chance.integers(-10, 11, flights),
        }
    ).with_columns(pl.when(known).then(pl.col("departed_at", "arrived_at", "dep_delay", "arr_delay")))
    hours = [(START + timedelta(hours=hour), origin) for hour in range(-3, 31 * 24) for origin in ("JFK", "LGA", "EWR")]
    weather = pl.DataFrame(hours, schema={"observed_at": moment, "origin": pl.String}, orient="row").with_columns(
        pl.Series(name, chance.random(len(hours)) * 10) for name in ("wind_speed", "visibility", "precipitation")
    )
    for name, rows in (("flights", table), ("weather", weather)):
        (root / "data" / name).mkdir(parents=True)
        rows.write_parquet(root / "data" / name / "1.parquet")


def make_home(folder: Path) -> None:
    """Ingest, materialize, train, register and deploy."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    root = folder / "air"
    write_data(root)
    (root / "bucle.toml").write_text(TOML, "utf-8")
    (root / "air.py").write_text(PROJECT, "utf-8")
    home = Home.open(folder / "home", replay_from=NOW)
    store = ArtifactStore(home.folder("artifacts"))
    runners = RunnerPool(1, artifacts=store.root)
    with acting("bench", "owner"), within(DEV):
        code = load_code(home, runners, working_tree(root))
        ingest_all(home, store, runners, code, DEV)
        materialize(home, runners, code, DEV, NOW)
        definitions = load_definitions(root, load_project_file(root))
        frame = build_frame(store, definitions, take_snapshot(home, code, DEV), "delays")
        model = HistGradientBoostingClassifier(random_state=0).fit(frame.X, frame.y)
        package = package_model(store, model, frame.columns, "late", "classification", frame.X[:5])
        with home.ledger.write() as tx:
            id = register_version(tx, VersionDraft("delay", package)).id
        with home.ledger.write() as tx:
            deploy(tx, DEV, plan_candidate(code, "delay", version_of_id(tx, id, "air")))
    runners.close()
    home.close()


class Client:
    """A kept connection that asks for one prediction after another."""

    def __init__(self, url: str, path: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.path = path
        self.latencies: list[float] = []

    def ask(self, body: bytes) -> None:
        """Send a request and keep how long the answer took, seconds."""
        began = time.perf_counter()
        self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(content.decode())
        self.latencies.append(time.perf_counter() - began)


def native(number: int, rows: int) -> bytes:
    """Return the body of a native request."""
    return json.dumps({"rows": [ROW | {"flight_id": f"b{number}-{row}"} for row in range(rows)]}).encode()


def open_inference(number: int, rows: int) -> bytes:
    """Return the body of a request of the Open Inference Protocol."""
    kinds = {"flight_id": "BYTES", "carrier": "BYTES", "origin": "BYTES", "distance": "INT64", "hour": "INT64"}
    full = ROW | {"flight_id": f"o{number}"}
    inputs = [{"name": name, "shape": [rows], "datatype": kind, "data": [full[name]] * rows} for name, kind in kinds.items()]
    return json.dumps({"inputs": inputs}).encode()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(what: str, url: str, path: str, pids: list[int], body: object, clients: int, seconds: float, rows: int = 1) -> None:
    """Print latencies, throughput and CPU of a load."""
    crowd = [Client(url, path) for _ in range(clients)]
    crowd[0].ask(body(0, rows))  # type: ignore[operator]
    crowd[0].latencies.clear()
    cpu, began = sum(map(cpu_seconds, pids)), time.perf_counter()
    until = began + seconds

    def run(client: Client) -> None:
        number = 0
        while time.perf_counter() < until:
            client.ask(body(number, rows))  # type: ignore[operator]
            number += 1

    threads = [threading.Thread(target=run, args=(client,)) for client in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    spent = sum(map(cpu_seconds, pids)) - cpu
    latencies = sorted(latency for client in crowd for latency in client.latencies)
    cuts = statistics.quantiles(latencies, n=100)
    shown = "  ".join(f"p{share} {cuts[share - 1] * 1000:7.2f} ms" for share in (50, 90, 99))
    print(f"{what:44} {shown}  {len(latencies) / took:7.0f} req/s  {spent / len(latencies) * 1e6:6.0f} us CPU/req")


def main() -> None:
    """Make the home, start a server, measure."""
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as folder:
        make_home(Path(folder))
        home = Path(folder) / "home"
        server = subprocess.Popen([sys.executable, "-m", "bucle", "up", "--home", str(home), "--port", "0"])
        try:
            while (address := find_server(home)) is None or not address.url:
                time.sleep(0.05)
            url, path = address.url, "/api/v1/projects/air/services/delay/predict"
            Client(url, path).ask(native(0, 1))
            host, port = url.removeprefix("http://").split(":")
            connection = http.client.HTTPConnection(host, int(port), timeout=60)
            connection.request("GET", "/api/v1/projects/air/services/delay")
            pids = [server.pid, json.load(connection.getresponse())["pid"]]
            measure("one row, 1 client", url, path, pids, native, 1, seconds)
            measure("one row, 16 clients", url, path, pids, native, 16, seconds)
            measure("one row, 1 client, Open Inference v2", url, "/v2/models/delay/infer", pids, open_inference, 1, seconds)
            measure("1,000 rows, 1 client", url, path, pids, native, 1, seconds, rows=1000)
        finally:
            server.terminate()
            server.wait(timeout=60)


if __name__ == "__main__":
    main()
