"""The application over a home of its own, spoken to as the wire would, with nothing tidied on the way."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bucle.server import Application, House, RouteTable, guard_for, open_house, route_table


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code; a face whose protocol has its own form of errors begins or ends its text with it."""
        document = self.json
        if "error_code" in document:
            return str(document["message"].rpartition("[")[2].rstrip("]"))
        return str(document.get("code") or document["error"].split()[0].rstrip(":"))


class Wire:
    """Sends requests straight to the application."""

    def __init__(self, house: House, table: RouteTable, host: str) -> None:
        self.house = house
        self.table = table
        self.stalls = False
        self.application = Application(house, table, guard_for(host))

    def send(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Reply:
        path, _, query = target.partition("?")
        given = {"host": "localhost", **{name.lower(): value for name, value in (headers or {}).items()}}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
            "scheme": "http",
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
            "http_version": "1.1",
            "root_path": "",
        }
        sent: list[Any] = []
        waiting = [{"type": "http.request", "body": body, "more_body": self.stalls}]

        async def receive() -> Any:
            if not waiting and self.stalls:
                await asyncio.Future()
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.application(scope, receive, send))
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Reply(sent[0]["status"], {n.decode(): v.decode() for n, v in sent[0]["headers"]}, content)

    def json(self, method: str, target: str, document: object, **headers: str) -> Reply:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(method, target, {"content-type": "application/json", **names}, json.dumps(document).encode())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = open_house(tmp_path / "home", "call")
    yield house
    house.close()


@pytest.fixture
def make_wire(house: House) -> Iterator[Callable[..., Wire]]:
    """Make a wire to a server that listens on `host`, perhaps with another table."""
    wires: list[Wire] = []

    def make(host: str = "127.0.0.1", table: RouteTable | None = None) -> Wire:
        wires.append(Wire(house, table or route_table(), host))
        return wires[-1]

    yield make
    for wire in wires:
        wire.application.close()


@pytest.fixture
def wire(make_wire: Callable[..., Wire]) -> Wire:
    """A laptop's server."""
    return make_wire()
