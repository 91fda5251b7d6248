"""The feature store through its routes, the Python client and the command line, on a home without a server."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from tests.air import START, TOML, flights_table
from tests.features.conftest import AIR, DEV, weather_table

from bucle.cli.features import features
from bucle.cli.session import Session
from bucle.client import Client, connect
from bucle.data import ingest_all
from bucle.errors import RemoteError
from bucle.ledger import EventFilter, Ticked
from bucle.project import load_project_file, register_project
from bucle.server import House, open_house
from bucle.server.codes import Codes

NOW = START + dt.timedelta(days=10)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registered project whose home, on a replay clock at NOW, holds its data."""
    root = tmp_path_factory.mktemp("place") / "air"
    for name, table in (("flights", flights_table()), ("weather", weather_table())):
        (root / "data" / name).mkdir(parents=True)
        table.write_parquet(root / "data" / name / "1.parquet")
    (root / "air").mkdir()
    (root / "air" / "__init__.py").write_text(AIR)
    (root / "bucle.toml").write_text(TOML)
    house = open_house(root / ".bucle", "call", replay_from=NOW)
    register_project(house.ledger, load_project_file(root), working_tree=True)
    ingest_all(house.home, house.artifacts, house.runners, house.part(Codes).of(DEV), DEV)
    house.close()
    return root


@pytest.fixture
def client(place: Path) -> Iterator[Client]:
    with connect(home=str(place / ".bucle"), project="air") as made:
        yield made


@pytest.fixture
def run(place: Path) -> Callable[..., Any]:
    """Run `bucle features ... --json` and return its document."""

    def call(*arguments: str) -> Any:
        session = Session(home_given=str(place / ".bucle"), project="air", json=True)
        try:
            result = CliRunner().invoke(features, list(arguments), obj=session)
        finally:
            session.close()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    return call


def test_the_command_line_lists_materializes_gets_and_joins(run: Callable[..., Any], tmp_path: Path) -> None:
    before = run("list")
    assert [view["name"] for view in before] == ["weather_now", "last_flight", "traffic"]
    done = run("materialize")
    assert {each["view"]: each["rows"] > 0 for each in done} == {"weather_now": True, "last_flight": True, "traffic": True}
    listed = {view["name"]: view for view in run("list")}
    assert listed["weather_now"]["features"] == ["wind_speed", "sky"]
    assert listed["weather_now"]["training_sets"] == ["delays"]
    assert listed["weather_now"]["where"].startswith("air/__init__.py:")
    found = run("get", "--entity", "origin=JFK", "--entity", "origin=XXX")
    pl.DataFrame({"origin": ["JFK", "XXX"], "t": [NOW, NOW]}).write_parquet(tmp_path / "rows.parquet")
    run("join", str(tmp_path / "rows.parquet"), "--timestamp", "t", "--out", str(tmp_path / "out.parquet"))
    assert pl.read_parquet(tmp_path / "out.parquet").drop("origin", "t").to_dicts() == found["rows"]


def test_the_client_makes_frames_and_reads_online(client: Client) -> None:
    client.post(client.path("features", "materialize"), {})
    frame = client.training_frame("delays", end="2013-01-05")
    assert len(frame) == len(frame.y) == frame.X.shape[0] > 50
    rows = client.online_features([{"origin": "JFK"}, {"origin": None}], views=["traffic"])
    assert rows[0]["departures"] > 0
    assert rows[1] == {"mean_delay": None, "departures": None, "worst": None}
    reads = client.get("/api/v1/events", {"kind": "features.frame_read"})["events"]
    assert reads[-1]["data"]["what"] == "delays"
    assert reads[-1]["data"]["rows"] == len(frame)


def test_a_frame_is_never_later_than_the_clock(client: Client) -> None:
    assert client.training_frame("delays", as_of="2030-01-01").facts.as_of_us == int(NOW.timestamp() * 1e6)


@pytest.mark.parametrize(
    ("code", "path", "body"),
    [
        ("features/unknown", "online", {"rows": [{"origin": "JFK"}], "views": ["traffik"]}),
        ("features/unknown", "materialize", {"view": "traffik"}),
        ("features/unknown", "frames", {"training_set": "delayz"}),
        ("features/no-rows", "frames", {"training_set": "delays", "end": "1999-01-01"}),
        ("ledger/bad-instant", "frames", {"training_set": "delays", "end": "soon"}),
        ("server/bad-body", "online", {"rows": [{"origin": ["JFK"]}]}),
    ],
)
def test_what_is_wrong_in_a_request_is_told(client: Client, code: str, path: str, body: dict[str, Any]) -> None:
    with pytest.raises(RemoteError) as refused:
        client.post(client.path("features", path), body)
    assert refused.value.code == code


def test_a_key_that_none_can_equal_is_refused_with_its_field(client: Client) -> None:
    client.post(client.path("features", "materialize"), {"view": "traffic"})
    with pytest.raises(RemoteError) as refused:
        client.online_features([{"origin": "JFK"}, {"origin": 10**30}], views=["traffic"])
    assert (refused.value.code, refused.value.status) == ("features/bad-key-value", 422)
    assert refused.value.where == "rows[1].origin"


@pytest.mark.parametrize("content", [b"", b"PAR1 nonsense PAR1"])
def test_rows_that_are_no_parquet_are_refused(client: Client, content: bytes) -> None:
    with pytest.raises(RemoteError) as refused:
        client.post(client.path("features", "join"), content or b" ", {"timestamp": "t"})
    assert refused.value.code == "features/bad-frame"


def test_an_environment_before_its_first_release_says_so(client: Client) -> None:
    with pytest.raises(RemoteError) as refused:
        client.get(client.path("features"), {"environment": "test"})
    assert refused.value.code == "server/nothing-runs"


def test_each_tick_keeps_fresh_what_is_materialized_and_notes_the_rules_once(place: Path) -> None:
    house = open_house(place / ".bucle", "call")
    try:
        with connect_to(house) as client:
            client.post(client.path("features", "materialize"), {})
        for hour in range(1, 4):
            house.ledger.move_clock(NOW + dt.timedelta(hours=hour), Ticked(NOW + dt.timedelta(hours=hour)))
            house.dispatcher.drain()
        ticks = [event.seq for event in house.ledger.events(EventFilter(kinds=("ledger.ticked",)))]
        done = house.ledger.events(EventFilter(kinds=("features.materialized",), after=ticks[0]))
        assert {event.data["view"] for event in done} == {"weather_now", "last_flight", "traffic"}
        assert all(set(event.caused_by) & set(ticks) for event in done)
        kept = house.ledger.events(EventFilter(kinds=("features.view_kept",)))
        assert sorted(event.data["view"] for event in kept) == ["last_flight", "traffic", "weather_now"]
        rules = house.ledger.events(EventFilter(kinds=("features.rules_recorded",)))
        assert [event.data["name"] for event in rules] == ["weather_now", "last_flight", "traffic", "delays"]
    finally:
        house.close()


def connect_to(house: House) -> Client:
    from bucle.client.transports import InProcessTransport

    transport = InProcessTransport(house)
    transport.close = lambda: None  # type: ignore[method-assign]
    return Client(transport, None, "air", "test")
