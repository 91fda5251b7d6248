"""The server process: takes the port and the home, answers, acts, and gives everything back on the way out."""

from __future__ import annotations

import errno
import logging
import logging.handlers
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import uvicorn

from bucle.identity import has_tokens
from bucle.ledger import Durability, HomeBusy, find_server
from bucle.monitoring import Network, NetworkPolicy
from bucle.server.app import open_house, route_table
from bucle.server.asgi import Application
from bucle.server.errors import BadAddress, PortInUse, PortNotAllowed, Unprotected
from bucle.server.house import House
from bucle.server.security import guard_for

Role = Literal["all", "api"]
"""`all` also acts on its own (clock, triggers, runs); `api` only answers."""

_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a server is started; port 0 takes any free one, and `durability` None is what the home was told before.

    `route_networks` are those beside the public internet that routes of alerts may reach, `route_authorities` certificates
    (PEM) that they trust besides the system's; `public_url` is the address that people use, where that is another.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 7070
    role: Role = "all"
    allowed_hosts: tuple[str, ...] = ()
    require_token: bool = False
    durability: Durability | None = None
    route_networks: tuple[Network, ...] = ()
    route_authorities: str = ""
    public_url: str = ""


def serve(options: ServerOptions, ready: Callable[[str], None] = lambda url: None) -> None:
    """Answer until SIGTERM or SIGINT; `ready` is told the URL. The port and the home are checked before anything is done.

    Raises `server/port-in-use`, `server/port-not-allowed`, `server/bad-address`, `server/unprotected`, `ledger/home-busy` and
    what `Home.open` raises.
    """
    with listen(options.host, options.port) as listener:
        house = _take_home(options)
        handler = _log_to(house.home.folder("logs") / "bucle.log")
        try:
            public = (urlsplit(options.public_url).hostname or "",) if options.public_url else ()
            guard = guard_for(options.host, (*options.allowed_hosts, *public), options.require_token)
            house.network = NetworkPolicy(not guard.tokens_required, options.route_networks, options.route_authorities)
            house.public_url = options.public_url
            if guard.tokens_required and not has_tokens(house.ledger):
                raise Unprotected(host=options.host, where="--host")
            application = Application(house, route_table(), guard)
            _answer(application, listener, options, ready)
            ended = application.close()
        finally:
            house.close()
            logging.getLogger().removeHandler(handler)
            handler.close()
    if not ended:  # a request that does not end must not keep the process: what it has not committed never was
        os._exit(0)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address. Raises `server/port-in-use`, `server/port-not-allowed`, `server/bad-address`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only where it sees TCP
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise PortInUse(port=port, host=host, where="--port") from None
        if isinstance(error, PermissionError):
            raise PortNotAllowed(port=port, host=host, where="--port") from None
        raise BadAddress(host=f"{host}:{port}", where="--host") from None
    return listener


def _take_home(options: ServerOptions) -> House:
    """Open the home; a process that holds it only for a moment (a script, a command) is waited for, a server is not."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return open_house(options.home, "server", acts=options.role == "all", durability=options.durability)
        except HomeBusy:
            if find_server(options.home) is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _answer(application: Application, listener: socket.socket, options: ServerOptions, ready: Callable[[str], None]) -> None:
    house, port = application.house, listener.getsockname()[1]
    named = "127.0.0.1" if options.host in ("0.0.0.0", "::") else options.host
    house.url = f"http://[{named}]:{port}" if ":" in named else f"http://{named}:{port}"

    def started() -> None:
        house.home.announce(house.url)
        ready(house.url)
        threading.Thread(target=_start, args=(house,), name="bucle-start", daemon=True).start()

    config = uvicorn.Config(
        application,
        http="httptools",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again on its way out; the home is closed after that
        signal.signal(number, lambda *_: None)
    _Server(config, started, house.leave).run(sockets=[listener])


def _start(house: House) -> None:
    try:
        house.start()
    except Exception:
        logging.getLogger(__name__).exception("a start hook failed")


class _Server(uvicorn.Server):
    """uvicorn, telling when it answers and when it begins to leave."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], leaving: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started
        self._tell_leaving = leaving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._tell_leaving()
        await super().shutdown(sockets)


def _log_to(path: Path) -> logging.Handler:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=10_000_000, backupCount=5, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return handler
