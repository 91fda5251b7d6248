"""Events, causes, lineage and the clock over the wire; each caller sees what it may."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Wire

from bucle.identity import TokenRevoked, authenticate, create_token, revoke_token
from bucle.ledger import EventFilter, Scope, StoredEvent, Subscription, because, parse_instant, within
from bucle.server import Call, Explanation, House, open_house, route_table
from bucle.server.timekeeper import Timekeeper

MakeWire = Callable[..., Wire]
START = datetime(2013, 1, 1, 0, 30, tzinfo=UTC)


def emit(house: House, subject: str, project: str = "", environment: str = "") -> int:
    with within(Scope(project, environment)), house.ledger.write() as tx:
        return tx.emit(TokenRevoked(subject, "viewer"), subject)


def bearer(house: House, project: str, environment: str = "*") -> dict[str, str]:
    return {"authorization": f"Bearer {create_token(house.ledger, 'ana', 'viewer', project, environment).secret}"}


def test_events_are_those_asked_for(house: House, wire: Wire) -> None:
    for subject in ("a", "b", "a"):
        emit(house, subject, "flights")
    assert [e["seq"] for e in wire.send("GET", "/api/v1/events?subject=a&project=flights").json["events"]] == [1, 3]
    page = wire.send("GET", "/api/v1/events?kind=identity.,ledger.&newest_first=true&limit=1").json
    assert ([e["seq"] for e in page["events"]], page["newest"]) == ([3], 3)
    event = wire.send("GET", "/api/v1/events/2").json
    fields = [
        "seq",
        "id",
        "at",
        "as_of",
        "project",
        "environment",
        "kind",
        "version",
        "subject",
        "actor",
        "role",
        "caused_by",
        "data",
    ]
    assert sorted(event) == sorted(fields)
    assert wire.send("GET", "/events.json").json["newest"] == 3
    for unknown in ("4", "x", "9" * 40):
        assert wire.send("GET", f"/api/v1/events/{unknown}").code == "ledger/unknown-id"


def test_a_caller_sees_only_the_projects_and_environments_of_its_token(house: House, wire: Wire) -> None:
    other = emit(house, "theirs", "other", "test")
    with because(other):
        mine = emit(house, "mine", "flights", "test")
    emit(house, "home")
    everything, one = bearer(house, "flights"), bearer(house, "flights", "production")
    assert [e["seq"] for e in wire.send("GET", "/api/v1/events", everything).json["events"]] == [mine]
    assert wire.send("GET", "/api/v1/events", one).json["events"] == []
    assert [e["seq"] for e in wire.send("GET", "/api/v1/why/mine", everything).json["events"]] == [mine]
    for path in (f"/api/v1/events/{other}", "/api/v1/why/theirs", f"/api/v1/why/{other}", "/api/v1/why/home"):
        assert wire.send("GET", path, everything).status == 404, path
    assert wire.send("GET", "/api/v1/why/mine", one).status == 404


@pytest.mark.parametrize("query", ["newest_first=true", "before=3", "kid=x", "after=x"])
def test_a_stream_that_could_not_go_forward_is_refused_before_it_begins(wire: Wire, query: str) -> None:
    assert wire.send("GET", f"/events?{query}").status == 400


def test_a_stream_ends_when_its_token_does(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.requests import Request

    from bucle.server.api import ledger as routes

    token = create_token(house.ledger, "ana", "viewer", "*", "*")
    headers = [(b"authorization", f"Bearer {token.secret}".encode())]
    principal = authenticate(house.ledger, token.secret)
    request = Request({"type": "http", "headers": headers, "query_string": b""})
    call = Call(house, {}, {}, None, principal, Scope(), "", request)
    monkeypatch.setattr(routes, "_HEARTBEAT", 0.0)

    async def listen() -> list[str]:
        heard = []
        async for line in routes._stream(call, house.ledger.newest()):
            if not heard:
                revoke_token(house.ledger, token.id)
            heard.append(line)
        return heard

    assert "identity.token_revoked" in asyncio.run(asyncio.wait_for(listen(), 30))[-1]


def test_lineage_shows_only_what_the_caller_may_see(house: House, wire: Wire) -> None:
    for project, id in (("other", "theirs"), ("flights", "mine"), ("flights", "model")):
        with within(Scope(project)), house.ledger.write() as tx:
            tx.node(id, "artifact", "thing")
    with house.ledger.write() as tx:
        tx.edge("theirs", "model", "input")
        tx.edge("mine", "model", "input")
    everything = wire.send("GET", "/api/v1/lineage/model").json
    assert {edge["source"] for edge in everything["edges"]} == {"theirs", "mine"}
    some = wire.send("GET", "/api/v1/lineage/model", bearer(house, "flights")).json
    assert ({edge["source"] for edge in some["edges"]}, {node["id"] for node in some["nodes"]}) == ({"mine"}, {"mine", "model"})
    assert wire.send("GET", "/api/v1/lineage/theirs", bearer(house, "flights")).status == 404
    assert {edge["target"] for edge in wire.send("GET", "/api/v1/lineage/mine?direction=down").json["edges"]} == {"model"}
    assert wire.send("GET", "/api/v1/lineage/model?direction=sideways").code == "server/bad-parameter"


def test_a_room_explains_what_is_no_event_s_subject(house: House, wire: Wire) -> None:
    seq = emit(house, "dep_1", "flights", "test")
    with house.ledger.write() as tx:
        tx.node("mv_1", "artifact", "model")
        tx.edge("run_1", "mv_1", "output")
        tx.node("run_1", "execution", "run")

    def explain(id: str) -> Explanation | None:
        return Explanation("prediction", "flights", "test", (seq,), (("mv_1", "model"),)) if id == "prd_1" else None

    house.explain_with(explain)
    assert [e["seq"] for e in wire.send("GET", "/api/v1/why/prd_1").json["events"]] == [seq]
    edges = wire.send("GET", "/api/v1/lineage/prd_1").json["edges"]
    assert {(edge["source"], edge["target"]) for edge in edges} == {("mv_1", "prd_1"), ("run_1", "mv_1")}
    assert wire.send("GET", "/api/v1/why/prd_1", bearer(house, "other")).status == 404
    assert wire.send("GET", "/api/v1/lineage/prd_1", bearer(house, "other")).status == 404


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[House]:
    house = open_house(tmp_path / "replay", "call", replay_from=START)
    yield house
    house.close()


def wait(wire: Wire) -> Any:
    while (state := wire.send("GET", "/api/v1/clock").json)["until"] is not None:
        time.sleep(0.005)
    return state


def test_the_clock_goes_hour_by_hour_and_waits_for_what_each_hour_brings(replay: House) -> None:
    seen: list[tuple[str, datetime]] = []
    work: list[datetime] = []

    def ticked(event: StoredEvent) -> None:
        seen.append((event.data["hour"], replay.ledger.clock.now()))
        work.append(replay.ledger.clock.now())

    def active() -> str | None:
        if work and len(work) < 5 and work[-1] == replay.ledger.clock.now():
            work.append(work[-1])
            return "run_1"
        return None

    replay.subscribe(Subscription("test", ("ledger.ticked",), ticked))
    replay.busy_while(active)
    wire = Wire(replay, route_table(), "localhost")
    wire.json("POST", "/api/v1/clock/advance", {"to": "2013-01-01T03:15:00Z"})
    state = wait(wire)
    assert (state["now"], state["error"], state["kind"]) == ("2013-01-01T03:15:00Z", None, "replay")
    hours = [parse_instant(f"2013-01-01T0{hour}:00:00Z") for hour in (1, 2, 3)]
    assert [(parse_instant(hour), now) for hour, now in seen] == [(hour, hour) for hour in hours]
    [asked] = replay.ledger.events(EventFilter(kinds=("ledger.clock_advanced",)))
    ticks = replay.ledger.events(EventFilter(kinds=("ledger.ticked",)))
    assert [tick.caused_by for tick in ticks] == [(asked.seq,)] * 3
    assert (asked.actor, asked.role) == (ticks[0].actor, ticks[0].role) == (asked.actor, "owner")
    wire.json("POST", "/api/v1/clock/advance", {"to": "45m"})
    assert wait(wire)["now"] == "2013-01-01T04:00:00Z"
    wire.application.close()


def test_a_clock_on_its_way_is_not_sent_elsewhere_and_ends_when_the_house_does(replay: House) -> None:
    replay.busy_while(lambda: "run_1")
    wire = Wire(replay, route_table(), "localhost")
    assert wire.json("POST", "/api/v1/clock/advance", {"to": "24h"}).json["until"] == "2013-01-02T00:30:00Z"
    reply = wire.json("POST", "/api/v1/clock/advance", {"to": "48h"})
    assert (reply.status, reply.code) == (409, "server/clock-busy")
    wire.application.close()


def test_a_way_that_was_cut_short_is_gone_on_with(replay: House, tmp_path: Path) -> None:
    wire = Wire(replay, route_table(), "localhost")
    stuck = [True]
    replay.busy_while(lambda: "run_1" if stuck and replay.ledger.clock.now().hour == 2 else None)
    wire.json("POST", "/api/v1/clock/advance", {"to": "5h"})
    while wire.send("GET", "/api/v1/clock").json["waiting_for"] != "run_1":
        time.sleep(0.005)
    wire.application.close()
    replay.close()
    again = open_house(tmp_path / "replay", "server")
    try:
        again.part(Timekeeper).start()
        wire = Wire(again, route_table(), "localhost")
        assert wait(wire)["now"] == "2013-01-01T05:30:00Z"
        ticks = again.ledger.events(EventFilter(kinds=("ledger.ticked",)))
        assert [parse_instant(tick.data["hour"]).hour for tick in ticks] == [1, 2, 3, 4, 5]
        wire.application.close()
    finally:
        again.close()


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("2012-01-01", "ledger/clock-backwards"),
        ("tomorrow", "ledger/bad-instant"),
        ("3q", "ledger/bad-duration"),
        ("999999999w", "ledger/bad-duration"),
    ],
)
def test_a_moment_that_cannot_be_is_refused(replay: House, to: str, code: str) -> None:
    wire = Wire(replay, route_table(), "localhost")
    assert wire.json("POST", "/api/v1/clock/advance", {"to": to}).code == code
    wire.application.close()


def test_a_wall_clock_is_not_advanced(wire: Wire) -> None:
    assert wire.json("POST", "/api/v1/clock/advance", {"to": "1h"}).code == "ledger/clock-not-replay"


def test_the_present_hour_of_a_wall_clock_rings_once(house: House, tmp_path: Path) -> None:
    def ring(house: House) -> list[StoredEvent]:
        house.part(Timekeeper).start()
        while not (ticks := house.ledger.events(EventFilter(kinds=("ledger.ticked",)))):
            time.sleep(0.005)
        return ticks

    first = ring(house)
    house.close()
    again = open_house(house.home.path, "server")
    assert len(ring(again)) == len(first) == 1 or datetime.now(UTC).minute == 0
    again.close()


def test_an_hour_that_could_not_be_written_rings_later(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper, write, failures = house.part(Timekeeper), house.ledger.write, iter([OSError(28, "No space left on device")])

    def full() -> Any:
        for failure in failures:
            raise failure
        return write()

    monkeypatch.setattr(house.ledger, "write", full)
    monkeypatch.setattr(house, "pause", lambda seconds: house.leave() if rung() else None)

    def rung() -> list[StoredEvent]:
        return house.ledger.events(EventFilter(kinds=("ledger.ticked",)))

    keeper._ring()
    assert len(rung()) == 1 and "could not be written" in caplog.text


def test_the_doctor_finds_what_was_not_delivered(house: House, wire: Wire) -> None:
    def fail(event: StoredEvent) -> None:
        raise OSError("no")

    assert all(finding["ok"] for finding in wire.send("GET", "/api/v1/doctor").json)
    house.subscribe(Subscription("broken", ("identity.token_revoked",), fail))
    emit(house, "x")
    house.settle()
    [finding] = [each for each in wire.send("GET", "/api/v1/doctor").json if not each["ok"]]
    assert finding["check"] == "subscriptions" and "broken" in finding["detail"] and finding["fix"]


def test_who_asks_where_the_clock_stands_may_wait_until_it_is_there(replay: House) -> None:
    wire = Wire(replay, route_table(), "localhost")
    held = threading.Event()
    replay.busy_while(lambda: None if held.is_set() else "run_1")
    wire.json("POST", "/api/v1/clock/advance", {"to": "3h"})
    assert wire.send("GET", "/api/v1/clock?wait=0").json["until"] is not None
    threading.Timer(0.05, held.set).start()
    state = wire.send("GET", "/api/v1/clock?wait=10").json
    assert (state["until"], state["now"]) == (None, "2013-01-01T03:30:00Z")
    assert wire.send("GET", "/api/v1/clock?wait=11").code == "server/bad-parameter"
    wire.application.close()
