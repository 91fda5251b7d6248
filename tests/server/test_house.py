"""The house: parts, hooks, settling, and that nothing is made twice."""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.server.conftest import Wire

from bucle.ledger import StoredEvent, Subscription
from bucle.server import Finding, House, Route, RouteTable, open_house
from bucle.server.app import faces


@dataclass
class Part:
    name: str


def test_parts_are_found_by_their_type_and_there_is_one_of_each(house: House) -> None:
    house.add(Part("a"))
    assert house.part(Part).name == "a"
    with pytest.raises(TypeError, match="has a Part already"):
        house.add(Part("b"))


def test_subscriptions_are_made_while_the_house_is_composed(house: House) -> None:
    assert house.dispatcher is house.dispatcher
    with pytest.raises(RuntimeError):
        house.subscribe(Subscription("late", ("x",), lambda event: None))


def test_settling_waits_for_what_deliveries_bring_about(house: House) -> None:
    from bucle.identity import create_token

    running: list[str] = []

    def begin(event: StoredEvent) -> None:
        running.append(event.id)
        threading.Timer(0.1, running.clear).start()

    house.subscribe(Subscription("begin", ("identity.token_created",), begin))
    house.busy_while(lambda: running[0] if running else None)
    create_token(house.ledger, "ana", "viewer")
    waited: list[str] = []
    house.settle(waited.append)
    assert waited and not running


def test_stop_hooks_run_backwards_and_one_that_fails_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house, order = open_house(tmp_path, "call"), []
    house.on_stop(lambda: order.append("first"))
    house.on_stop(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    house.on_stop(lambda: order.append("last"))
    house.close()
    assert order == ["last", "first"]
    assert "a stop hook failed" in caplog.text


def test_a_call_does_not_act_but_a_server_does(tmp_path: Path) -> None:
    for acts, expected in ((False, []), (True, ["hook"])):
        house, seen = open_house(tmp_path / str(acts), "server", acts=acts), []
        house.on_start(lambda seen=seen: seen.append("hook"))
        house.start()
        house.close()
        assert seen == expected


def test_the_clock_goes_on_when_all_else_is_resumed_and_a_hook_that_fails_stops_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house, order = open_house(tmp_path, "server"), []
    house.on_start(lambda: order.append("clock"), last=True)
    house.on_start(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    house.on_start(lambda: order.append("runs"))
    house.start()
    house.close()
    assert order == ["runs", "clock"]
    assert "a start hook failed" in caplog.text


def test_a_house_that_cannot_be_composed_gives_the_home_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bucle.server.app as app

    monkeypatch.setattr(app, "faces", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_house(tmp_path, "call")
    monkeypatch.undo()
    open_house(tmp_path, "call").close()


def test_every_face_has_routes_and_rooms_are_composed_from_the_lowest_floor_up() -> None:
    names = [module.__name__.rpartition(".")[2] for module in faces()]
    assert names.index("artifacts") < names.index("runtimes")
    for module in faces():
        assert isinstance(module.ROUTES, list | tuple), module


def test_the_doctor_asks_every_room(house: House) -> None:
    house.check_with(lambda: [Finding("mine", False, "broken", "mend it")])
    assert house.examine()[-1] == Finding("mine", False, "broken", "mend it")


def test_a_request_that_does_not_end_keeps_no_server(house: House) -> None:
    began, end = threading.Event(), threading.Event()

    def endless(call: object) -> None:
        began.set()
        end.wait(60)

    wire = Wire(house, RouteTable([Route("GET", "/endless", endless, "ledger.read", "Endless")]), "localhost")
    thread = threading.Thread(target=lambda: wire.send("GET", "/endless"))
    thread.start()
    began.wait(30)
    assert not wire.application.close(0.05)
    end.set()
    thread.join()
    while not wire.application.close(1):
        time.sleep(0.01)


def test_a_server_comes_up_without_the_packages_that_only_children_need() -> None:
    code = "import sys; from bucle.server.app import faces; faces(); print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"polars", "numpy", "pyarrow", "sklearn", "duckdb", "scipy"} & set(said.stdout.split())
