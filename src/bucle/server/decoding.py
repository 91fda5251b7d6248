"""From bytes to what handlers take: path segments, query parameters, bodies. Size and shape are checked before anything."""

import asyncio
import difflib
import re
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec

from bucle.server.errors import (
    BadBody,
    BadJSON,
    BadPath,
    BodyTooLarge,
    BodyTooSlow,
    UnexpectedBody,
    UnknownParameter,
    UnknownPath,
    WrongContentType,
)
from bucle.server.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

SILENCE = 30.0
"""Seconds in which nothing of a body came, after which no more is waited for."""

_PATIENCE, _SLOWEST = 60.0, 10_000.0
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f]")


def segments_of(raw_path: bytes) -> list[str]:
    """Return the decoded segments of a path. Decoded once; a separator or dot segment inside is refused (security.md, 1 and 2).

    Raises `server/bad-path`, `server/unknown-path`.
    """
    parts = raw_path.split(b"/")[1:]
    if b"" in parts[:-1]:
        raise UnknownPath(path=raw_path.decode("ascii", "replace"))
    return [_segment(part) for part in parts]


def query_of(request: "Request", route: Route) -> Mapping[str, str]:
    """Return the query's parameters. Raises `server/unknown-parameter`."""
    found = dict(request.query_params)
    known = {*route.query, "environment"} if "{project}" in route.path else set(route.query)
    if "*" in known:
        return found
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise UnknownParameter(
                name=name[:100], known=", ".join(near or sorted(known)) or "none", where=f"query.{name[:100]}"
            )
    return found


async def body_of(request: "Request", route: Route, folder: Path) -> Any:
    """Return the body as the route takes it.

    Raises `server/body-too-large`, `server/body-too-slow`, `server/unexpected-body`, `server/wrong-content-type`,
    `server/bad-json`, `server/bad-body`.
    """
    if route.body is Path:
        return await _to_file(request, route.limit, folder)
    data = await _read(request, route.limit)
    if route.body is bytes:
        return data
    if route.body is None:
        if data:
            raise UnexpectedBody(method=request.method, path=request.url.path, where="body")
        return None
    media = request.headers.get("content-type", "")
    if media.partition(";")[0].strip().lower() != "application/json":
        raise WrongContentType(found=media[:100], where="header.Content-Type")
    return decode_body(data, route.body)


def decode_body(data: bytes, kind: type) -> Any:
    """Return the struct that JSON bytes hold. Raises `server/bad-json`, `server/bad-body` with the field."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$")
        raise BadBody(reason=reason, where="body" + place.rstrip("`")) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadJSON(reason=str(error), where="body") from None
    except RecursionError:
        raise BadJSON(reason="it is nested too deeply", where="body") from None


def _segment(part: bytes) -> str:
    try:
        text = unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath(where="path") from None
    if _FORBIDDEN.search(text) or text in (".", ".."):
        raise BadPath(where="path")
    return text


async def _read(request: "Request", limit: int) -> bytes:
    chunks, size = [], 0
    _check_declared(request, limit)
    async for chunk in _chunks(request):
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(limit=limit, where="body")
        chunks.append(chunk)
    return b"".join(chunks)


async def _to_file(request: "Request", limit: int, folder: Path) -> Path:
    size = 0
    _check_declared(request, limit)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="body-", delete=False) as file:
        path = Path(file.name)
        try:
            async for chunk in _chunks(request):
                size += len(chunk)
                if size > limit:
                    raise BodyTooLarge(limit=limit, where="body")
                file.write(chunk)
        except BaseException:
            path.unlink()
            raise
    return path


async def _chunks(request: "Request") -> AsyncIterator[bytes]:
    """Return the body as it comes. Raises `server/body-too-slow`: whoever sends by drops would hold a place for ever."""
    stream, began, received = request.stream(), time.monotonic(), 0
    while True:
        waited = time.monotonic() - began
        try:
            async with asyncio.timeout(min(SILENCE, max(_PATIENCE + received / _SLOWEST - waited, 0))):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise BodyTooSlow(received=received, seconds=time.monotonic() - began, where="body") from None
        if chunk is None:
            return
        received += len(chunk)
        yield chunk


def _check_declared(request: "Request", limit: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise BodyTooLarge(limit=limit, where="body")
