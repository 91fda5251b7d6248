"""One route table: each route states method, path, handler and permission; a route without one does not start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from bucle.identity import PERMISSIONS, Principal, require
from bucle.ledger import Scope, StoredEvent
from bucle.messages import language
from bucle.server.errors import BadParameter, MethodNotAllowed, UnknownPath
from bucle.server.problems import wanted_language

if TYPE_CHECKING:
    from starlette.requests import Request

    from bucle.server.house import House
    from bucle.server.problems import Problem

PUBLIC = "public"
"""The permission of the few routes that answer anybody: probes."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
MEBIBYTE = 1 << 20


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what routes take as JSON: an unknown field is an error, not a silence."""


class Stream:
    """As `Route.body`: the handler is a coroutine function that reads `call.request` itself."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request on its way to a handler: decoded, authenticated and allowed."""

    house: House
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    principal: Principal
    scope: Scope
    client: str
    request: Request

    @property
    def language(self) -> str:
        """The language that the caller wants to read."""
        return wanted_language(self.request.headers.get("accept-language", ""), language())

    def may(self, permission: str, scope: Scope) -> bool:
        """Return whether the caller may do `permission` in `scope`."""
        return self.principal.role_for(permission, scope) is not None

    def own(self, permission: str, environment: str) -> Scope:
        """Return the scope of something in the path's project that lies in `environment`, whatever the query says.

        Where an id is known, its own environment decides who may do what with it. Raises `identity/forbidden`.
        """
        scope = Scope(self.scope.project, environment)
        require(self.principal, permission, scope)
        return scope

    def number(self, name: str, default: int, least: int = 0, most: int = 10_000) -> int:
        """Return a whole number of the query. Raises `server/bad-parameter`."""
        text = self.query.get(name)
        if text is None:
            return default
        value = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
        if not least <= value <= most:
            raise BadParameter(name=name, value=text, expected=f"a whole number from {least} to {most}", where=f"query.{name}")
        return value

    def flag(self, name: str) -> bool:
        """Return a yes or no of the query, no without it. Raises `server/bad-parameter`."""
        text = self.query.get(name, "false")
        if text not in ("true", "false", "1", "0"):
            raise BadParameter(name=name, value=text, expected="true or false", where=f"query.{name}")
        return text in ("true", "1")


Recall = Callable[[Call, Sequence[StoredEvent]], Any]


def act_again(call: Call, events: Sequence[StoredEvent]) -> None:
    """As `Route.recall`: doing it again does nothing twice."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method on a path. `{name}` in the path takes one segment, `{name*}` at its end all that follow.

    `body` is a `Body` struct (JSON), `bytes` (as it comes), `Path` (streamed to a file that lives as long as the call),
    `Stream` (the handler reads it), or None. `query` names the parameters beside `environment`. The scope of the
    permission is that of the path's `{project}` and the query's `environment`; `reach="any"` lets a caller in who holds
    it in any scope, and the handler shows only what `call.may` allows. `events` marks an event stream. `problem` turns a
    problem document into the form that the route's protocol has for errors.

    A write with an Idempotency-Key is one transaction with its answer: from its first write on the handler holds the
    ledger's writer. A handler that goes on for long after its first write, needs others to see it, or changes what is not
    the ledger's, has a `recall`: it gets the events of a request that died on the way, and returns its answer, or None when
    it is to be done again.
    """

    method: Method
    path: str
    handler: Callable[[Call], Any]
    permission: str
    summary: str
    body: type | None = None
    query: tuple[str, ...] = ()
    limit: int = MEBIBYTE
    reach: Literal["scope", "any"] = "scope"
    events: bool = False
    problem: Callable[[Problem], Any] | None = None
    recall: Recall | None = None


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    rest: dict[str, Route] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


class RouteTable:
    """All routes of the server; found by their path's segments, static ones first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: list[Route] = []
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, method: str, segments: list[str], path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and its path's values. Raises `server/unknown-path`, `server/method-not-allowed`.

        HEAD is GET without the body, under the same permission. Nothing is normalised: another case or a doubled slash is
        another path.
        """
        found = _walk(self._root, segments, 0)
        if not found:
            raise UnknownPath(path=path)
        route = found.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = sorted(found) + (["HEAD"] if "GET" in found else [])
            raise MethodNotAllowed(path=path, method=method, allowed=", ".join(allowed))
        return route, _values(route.path, segments)

    def _add(self, route: Route) -> None:
        _check(route)
        node, segments = self._root, route.path.strip("/").split("/")
        if route.path.endswith("/") and route.path != "/":
            segments.append("")
        for segment in segments:
            if segment.endswith("*}"):
                routes = node.rest
                break
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        else:
            routes = node.routes
        if route.method in routes:
            raise TypeError(f"two routes for {route.method} {route.path}")
        routes[route.method] = route
        self.routes.append(route)


def _check(route: Route) -> None:
    if route.permission != PUBLIC and route.permission not in PERMISSIONS:
        raise TypeError(f"{route.method} {route.path} states no permission that exists: {route.permission!r}")
    if not route.path.startswith("/") or not route.summary:
        raise TypeError(f"{route.method} {route.path} needs a path that begins with / and a summary")
    if route.body in (None, bytes, Path, Stream):
        return
    config = getattr(route.body, "__struct_config__", None)
    if config is None or not config.forbid_unknown_fields:
        raise TypeError(f"{route.method} {route.path}: the body must be a struct that forbids unknown fields (Body)")


def _walk(node: _Node, segments: list[str], position: int) -> dict[str, Route]:
    """Return the routes by method of the most literal path that fits the segments, none when there is none."""
    if position == len(segments):
        return node.routes
    child = node.children.get(segments[position])
    found = _walk(child, segments, position + 1) if child else {}
    if not found and node.parameter is not None and segments[position]:
        found = _walk(node.parameter, segments, position + 1)
    return found or node.rest


def _values(pattern: str, segments: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for position, segment in enumerate(pattern.strip("/").split("/")):
        if segment.endswith("*}"):
            values[segment[1:-2]] = "/".join(segments[position:])
        elif segment.startswith("{"):
            values[segment[1:-1]] = segments[position]
    return values
