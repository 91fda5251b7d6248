"""The server: up, down, status, logs, open."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bucle.cli.errors import DidNotStart, DidNotStop, NoBrowser
from bucle.cli.session import Command, Session, pass_session

if TYPE_CHECKING:
    from bucle.ledger import Durability
    from bucle.monitoring import Network
    from bucle.server import Role

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0


@click.command("up", cls=Command)
@click.option("--port", type=click.IntRange(0, 65535), default=7070, show_default=True, help="0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; any other needs tokens.")
@click.option("--allow-host", multiple=True, help="A name by which others reach this server (may be repeated).")
@click.option("--allow-route", multiple=True, help="A network that routes of alerts may reach: 10.1.0.0/16 (may be repeated).")
@click.option(
    "--route-ca",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    metavar="FILE",
    help="A certificate authority (PEM) that routes of alerts trust besides the system's (may be repeated).",
)
@click.option("--public-url", metavar="URL", help="The address that people use; links in alerts lead there.")
@click.option("--require-token", is_flag=True, help="Ask for a token on the loopback address too.")
@click.option(
    "--role", type=click.Choice(["all", "api"]), default="all", show_default=True, help="api only answers, and starts nothing."
)
@click.option(
    "--durability",
    type=click.Choice(["process", "power"]),
    help="What an answered write survives: kill -9, or also a loss of power. The home keeps it.  [new home: process]",
)
@click.option("--detach", is_flag=True, help="Leave it in the background.")
@pass_session
def up(
    session: Session,
    port: int,
    host: str,
    allow_host: tuple[str, ...],
    allow_route: tuple[str, ...],
    route_ca: tuple[str, ...],
    public_url: str | None,
    require_token: bool,
    role: str,
    durability: "Durability | None",
    detach: bool,
) -> None:
    """Start the server of the home; `/health` answers when it is ready."""
    networks, authorities = tuple(_network(text) for text in allow_route), _authorities(route_ca)
    public = _public(public_url)
    if detach:
        words = ["--port", str(port), "--host", host, "--role", role, *(f"--allow-host={name}" for name in allow_host)]
        words += [f"--allow-route={each}" for each in networks]
        words += [*(f"--route-ca={each}" for each in route_ca), *([f"--public-url={public}"] if public else [])]
        words += ["--require-token"] if require_token else []
        _detach(session, [*words, *(["--durability", durability] if durability else [])])
        return
    from bucle.server import ServerOptions, serve

    acts: Role = "api" if role == "api" else "all"
    options = ServerOptions(
        session.home, host, port, acts, allow_host, require_token, durability, networks, authorities, public
    )

    def ready(url: str) -> None:
        session.show({"url": url, "pid": os.getpid(), "home": session.home}, lambda: click.echo(f"bucle is up at {url}"))
        sys.stdout.flush()

    serve(options, ready)


@click.command("down", cls=Command)
@pass_session
def down(session: Session) -> None:
    """Stop the server of the home, and wait until it has given the home back."""
    from bucle.client import NeedsServer
    from bucle.ledger import find_server

    server = find_server(session.home)
    if server is None:
        raise NeedsServer(home=session.home)
    os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while _alive(server.pid) and find_server(session.home) == server:
        if time.monotonic() > deadline:
            raise DidNotStop(pid=server.pid)
        time.sleep(0.05)
    session.show({"stopped": server.pid}, lambda: click.echo(f"bucle (process {server.pid}) is down"))


@click.command("status", cls=Command)
@pass_session
def status(session: Session) -> None:
    """Show whether a server holds the home, where it answers, and what it is at."""
    from bucle.ledger import find_server

    server = find_server(session.home)
    if server is None and not session.url:
        document = {"up": False, "home": session.home}
        session.show(document, lambda: click.echo(f"no server is up for {session.home}"))
        return
    health, ready = session.client.get("/health"), session.client.get("/health/ready")
    document = {"up": True, "url": session.client.url, "home": ready["home"], **health, **ready}

    def human() -> None:
        click.echo(f"up at {session.client.url} (process {health['pid']}, {health['memory'] / 1e6:.0f} MB)")
        click.echo(f"home {ready['home']}, {ready['events']} events, {ready['active'] or 'idle'}")

    session.show(document, human)


@click.command("logs", cls=Command)
@click.option("--lines", "-n", type=click.IntRange(1), default=100, show_default=True, help="How many of the last lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@pass_session
def logs(session: Session, lines: int, follow: bool) -> None:
    """Show the log of the home's server."""
    path = session.home / "logs" / "bucle.log"
    if not path.exists():
        session.show([], lambda: click.echo(f"there is no log yet in {path.parent}"))
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        last = [line.rstrip("\n") for line in deque(file, lines)]
        session.show(last, lambda: click.echo("\n".join(last)))
        while follow and not session.json:
            line = file.readline()
            if line:
                click.echo(line, nl=False)
            else:
                time.sleep(0.2)


@click.command("open", cls=Command)
@pass_session
def open_pages(session: Session) -> None:
    """Open the pages in a browser."""
    import webbrowser

    from bucle.client import NeedsServer
    from bucle.ledger import find_server

    server = find_server(session.home)
    url = session.url or (server.url if server else None)
    if url is None:
        raise NeedsServer(home=session.home)
    if not webbrowser.open(url):
        raise NoBrowser(url=url)
    session.show({"url": url}, lambda: click.echo(url))


def _network(text: str) -> "Network":
    from bucle.monitoring import network

    try:
        return network(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not a network: {error}", param_hint="--allow-route") from None


def _authorities(files: tuple[str, ...]) -> str:
    import ssl

    texts = []
    for file in files:
        try:
            texts.append(Path(file).read_text("ascii"))
            ssl.create_default_context(cadata=texts[-1])
        except (OSError, ValueError) as error:
            raise click.BadParameter(f"{file} has no certificate in PEM: {error}", param_hint="--route-ca") from None
    return "\n".join(texts)


def _public(url: str | None) -> str:
    from bucle.project import is_web_address

    if url is None:
        return ""
    if not is_web_address(url) or "?" in url:
        raise click.BadParameter(f"{url!r} is not an address: http://HOST or https://HOST[:PORT]", param_hint="--public-url")
    return url.rstrip("/")


def _detach(session: Session, arguments: list[str]) -> None:
    """Start `bucle up` in a session of its own, and wait until it answers or ends."""
    logs = session.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    output = logs / "up.log"
    words = [sys.executable, "-m", "bucle", "up", "--json", "--home", str(session.home), *arguments]
    with output.open("wb") as file:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        document = _last_json(output)
        if document.get("url"):
            _show_started(session, document)
            return
        time.sleep(0.02)
    if child.poll() is None:
        child.terminate()
    _raise_from(_last_json(output), output)


def _show_started(session: Session, document: dict[str, str]) -> None:
    session.show(document, lambda: click.echo(f"bucle is up at {document['url']} (process {document['pid']})"))


def _last_json(path: Path) -> dict[str, str]:
    import json

    for line in reversed(path.read_text("utf-8", "replace").splitlines()):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            return document
    return {}


def _raise_from(document: dict[str, str], output: Path) -> None:
    from bucle.errors import RemoteError

    if "code" in document:
        raise RemoteError(document["code"], document["message"], document["where"], document["next"])
    raise DidNotStart(reason="it ended or did not answer.", log=output)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
