"""The runners that run projects' code; they are started on first use and have no routes of their own."""

import os

from bucle.runtimes import RunnerPool, Seedbed
from bucle.server.house import Finding, House
from bucle.server.routing import Route


def compose(house: House) -> None:
    """Put the pool of warm runners in."""
    logs = house.home.folder("logs") / "runners"
    logs.mkdir(exist_ok=True)
    runners = RunnerPool(
        os.cpu_count() or 1,
        artifacts=house.artifacts.root,
        logs=logs,
        seeds=Seedbed() if house.mode == "server" else None,
    )
    house.add(runners)
    house.on_stop(runners.close)
    house.check_with(examine)


def examine() -> list[Finding]:
    """Whether locks can be made and installed."""
    from bucle.runtimes import uv_version

    found = uv_version()
    fix = "" if found else "Install bucle again with its dependencies: pip install bucle"
    return [Finding("uv", found is not None, found or "the program uv was not found", fix)]


ROUTES: list[Route] = []
