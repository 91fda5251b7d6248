"""Every HTTP face over one route table, and the house that they share."""

from typing import TYPE_CHECKING, Any

from bucle.server.house import Explanation, Finding, House
from bucle.server.routing import PUBLIC, Body, Call, Route, RouteTable, Stream

if TYPE_CHECKING:
    from bucle.server.app import faces, open_house, route_table
    from bucle.server.asgi import Application
    from bucle.server.process import Role, ServerOptions, serve
    from bucle.server.security import guard_for

__all__ = [
    "PUBLIC",
    "Application",
    "Body",
    "Call",
    "Explanation",
    "Finding",
    "House",
    "Role",
    "Route",
    "RouteTable",
    "ServerOptions",
    "Stream",
    "faces",
    "guard_for",
    "open_house",
    "route_table",
    "serve",
]

_LAZY = {
    "Application": "asgi",
    "Role": "process",
    "ServerOptions": "process",
    "faces": "app",
    "guard_for": "security",
    "open_house": "app",
    "route_table": "app",
    "serve": "process",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"bucle.server.{_LAZY[name]}"), name)
