"""The composition root: opens a home, lets every room add its parts, and puts all routes in one table.

A room joins by a module `server/api/ROOM.py` with `ROUTES` and, if it has parts, subscriptions or hooks, `compose(house)`.
Another face is a folder `server/FACE/` whose package has `ROUTES` (and `compose`). Neither needs a line here.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType

import bucle.server as server_package
from bucle.ledger import Durability, Home
from bucle.server.feed import EventFeed
from bucle.server.house import House, Mode
from bucle.server.routing import RouteTable
from bucle.server.statistics import RequestStatistics

_FLOORS = (
    "ledger",
    "identity",
    "project",
    "artifacts",
    "runtimes",
    "data",
    "features",
    "tracking",
    "registry",
    "pipelines",
    "serving",
    "monitoring",
    "delivery",
    "work",
    "audit",
)


def open_house(
    path: Path, mode: Mode, *, acts: bool = True, replay_from: datetime | None = None, durability: Durability | None = None
) -> House:
    """Take the home's lock and compose the house. Raises `ledger/home-busy` and what `Home.open` raises."""
    home = Home.open(path, replay_from=replay_from, durability=durability)
    try:
        house = House(home, mode, acts=acts)
        house.add(RequestStatistics())
        house.add(EventFeed(home.ledger))
        for module in faces():
            compose = getattr(module, "compose", None)
            if compose is not None:
                compose(house)
        return house
    except BaseException:
        home.close()
        raise


def route_table() -> RouteTable:
    """Return the table of all routes of all faces."""
    return RouteTable(route for module in faces() for route in module.ROUTES)


def faces() -> list[ModuleType]:
    """Return the modules that have routes: those of `server/api/` from the lowest floor up, then the other faces' packages."""
    api = sorted(_names(f"{server_package.__name__}.api"), key=_floor)
    others = (name for name in _names(server_package.__name__, packages=True) if not name.endswith(".api"))
    return [importlib.import_module(name) for name in (*api, *sorted(others))]


def _names(package: str, packages: bool = False) -> Iterator[str]:
    path = importlib.import_module(package).__path__
    return (f"{package}.{module.name}" for module in pkgutil.iter_modules(path) if module.ispkg or not packages)


def _floor(name: str) -> tuple[int, str]:
    room = name.rpartition(".")[2]
    return (_FLOORS.index(room) if room in _FLOORS else len(_FLOORS), room)
