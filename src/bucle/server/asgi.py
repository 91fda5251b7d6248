"""The ASGI application: from a request to a handler and back, every face through the same checks."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import inspect
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bucle.errors import BucleError, RemoteError
from bucle.identity import Principal, require
from bucle.ledger import DiskFull, Scope, StoredEvent, acting, new_id, within
from bucle.server.decoding import body_of, query_of, segments_of
from bucle.server.errors import Internal, ShuttingDown
from bucle.server.house import House
from bucle.server.idempotency import Replies, digest_of
from bucle.server.problems import MEDIA_TYPE, Problem, problem_of
from bucle.server.routing import PUBLIC, Call, Recall, Route, RouteTable, Stream
from bucle.server.security import Guard
from bucle.server.statistics import RequestStatistics

if TYPE_CHECKING:
    from starlette.types import Receive, Send
    from starlette.types import Scope as ASGIScope

_log = logging.getLogger(__name__)
_NOBODY = Principal("prn_nobody", "anonymous", "service", ())
_SAFE = ("GET", "HEAD")
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "cache-control": "no-store",
}


class Application:
    """One route table over one house."""

    def __init__(self, house: House, table: RouteTable, guard: Guard) -> None:
        self.house = house
        self.table = table
        self.guard = guard
        self._threads = ThreadPoolExecutor(32, "bucle-request")
        self._lock = threading.Lock()
        self._at_work = 0
        self._replies = Replies(house.ledger)
        self._statistics = house.part(RequestStatistics)

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing but HTTP is spoken."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        request = Request(scope, receive)
        started = time.perf_counter()
        pattern, response = "", Response(status_code=500)
        try:
            pattern, response = await self._answer(request)
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
            await response(scope, receive, send)
        except ClientDisconnect:
            _log.info("%s %s: the client went away", request.method, pattern)
        finally:
            seconds = time.perf_counter() - started
            self._statistics.count(request.method, pattern, response.status_code, seconds)

    def close(self, seconds: float = 10.0) -> bool:
        """Give the requests at hand so long to end; return whether all did."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + seconds
        while self._at_work and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self._at_work

    async def _answer(self, request: Request) -> tuple[str, Response]:
        pattern = "(none)"
        route: Route | None = None
        try:
            self.guard.check_host(request.headers)
            route, path = self._find(request)
            pattern = route.path
            return pattern, await self._serve(request, route, path)
        except (BucleError, RemoteError) as error:
            return pattern, self.refuse(problem_of(error, request.headers.get("accept-language", "")), route)
        except ClientDisconnect:
            raise
        except Exception as error:
            explained = self._explained(error, f"{request.method} {pattern}")
            return pattern, self.refuse(problem_of(explained, request.headers.get("accept-language", "")), route)

    def _explained(self, error: Exception, what: str) -> BucleError:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return DiskFull(path=self.house.home.path)
        incident = new_id("inc")
        _log.exception("incident %s: %s", incident, what)
        return Internal(incident=incident, log=self.house.home.path / "logs" / "bucle.log")

    def _find(self, request: Request) -> tuple[Route, dict[str, str]]:
        """Return the route, but tell somebody without a token nothing about which there are."""
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode("utf-8")
        try:
            return self.table.find(request.method, segments_of(raw), request.scope["path"])
        except BucleError:
            self.guard.principal(self.house.ledger, request.headers)
            raise

    async def _serve(self, request: Request, route: Route, path: Mapping[str, str]) -> Response:
        self.guard.check_origin(request.method, request.headers, route.events)
        principal, role, scope = self._allowed(request, route, path)
        if self.house.closing and not route.permission == PUBLIC:
            raise ShuttingDown()
        query = query_of(request, route)
        client = "".join(c for c in request.headers.get("x-bucle-client", "")[:100] if c.isprintable())
        body = None if route.body is Stream else await body_of(request, route, self.house.home.folder("tmp"))
        call = Call(self.house, path, query, body, principal, scope, client, request)
        try:
            if inspect.iscoroutinefunction(route.handler):
                with acting(principal.name, role), within(scope):
                    return respond(await route.handler(call))
            key = request.headers.get("idempotency-key") if request.method not in _SAFE else None
            if key is None:
                return await self._in_thread(lambda: _run(call, route, role))
            digest = digest_of(request, body)
            recall = None if route.recall is None else partial(_recall, call, route.recall, role)
            act = partial(_run, call, route, role)
            return await self._in_thread(lambda: self._replies.once(principal, key, digest, act, recall))
        finally:
            if isinstance(body, Path):
                body.unlink(missing_ok=True)

    def _allowed(self, request: Request, route: Route, path: Mapping[str, str]) -> tuple[Principal, str, Scope]:
        environment = request.query_params.get("environment", "dev") if "project" in path else ""
        scope = Scope(path.get("project", ""), "" if environment == "*" else environment)
        if route.permission == PUBLIC:
            return _NOBODY, "public", scope
        principal = self.guard.principal(self.house.ledger, request.headers)
        if route.reach == "any":
            role = principal.role_anywhere(route.permission)
            if role is not None:
                return principal, role, scope
        return principal, require(principal, route.permission, scope), scope

    async def _in_thread(self, work: Callable[[], Response]) -> Response:
        context = contextvars.copy_context()
        try:
            future = asyncio.get_running_loop().run_in_executor(self._threads, context.run, self._counted, work)
        except RuntimeError:  # the threads are shut down
            raise ShuttingDown() from None
        return await future

    def _counted(self, work: Callable[[], Response]) -> Response:
        with self._lock:
            self._at_work += 1
        try:
            return work()
        finally:
            with self._lock:
                self._at_work -= 1

    def refuse(self, problem: Problem, route: Route | None = None) -> Response:
        """Return the response that carries a problem document, in the form that the route's protocol has for errors."""
        if route is not None and route.problem is not None:
            document = msgspec.json.encode(route.problem(problem))
            response = Response(document, problem.status, media_type="application/json")
        else:
            response = Response(msgspec.json.encode(problem), problem.status, media_type=MEDIA_TYPE)
        if problem.status == 408:
            response.headers["connection"] = "close"  # what may still come of the body belongs to no other request
        if problem.status == 401:
            response.headers["www-authenticate"] = 'Basic realm="bucle: the token is the password"'
        return response


def _run(call: Call, route: Route, role: str) -> Response:
    with acting(call.principal.name, role), within(call.scope):
        return respond(route.handler(call))


def _recall(call: Call, recall: Recall, role: str, events: Sequence[StoredEvent]) -> Response | None:
    with acting(call.principal.name, role), within(call.scope):
        found = recall(call, events)
    return None if found is None else respond(found)


def respond(result: Any) -> Response:
    """Return the response of what a handler returned: its own, nothing (204), or JSON of a struct, dataclass or list."""
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status_code=204)
    return Response(msgspec.json.encode(result, enc_hook=_encode), media_type="application/json")


def _encode(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
