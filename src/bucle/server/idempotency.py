"""A write that is sent twice with one Idempotency-Key happens once: the ledger keeps that it took effect, and its answer."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from bucle.errors import BucleError, RemoteError
from bucle.identity import Principal
from bucle.ledger import Ledger, RequestKey, handling
from bucle.server.errors import AlreadyDone, BadKey, InProgress, KeyReused
from bucle.server.problems import MEDIA_TYPE, problem_of

if TYPE_CHECKING:
    from starlette.requests import Request

_LARGEST_KEPT = 1 << 18


class Replies:
    """The answers of writes by principal and key.

    The ledger notes the key in the same transaction as the first effect. So a request that died in between is never done
    again: it is answered with `server/already-done`. One that had no effect may be tried again.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._handled: set[str] = set()

    def once(self, principal: Principal, key: str, digest: str, act: Callable[[], Response]) -> Response:
        """Act, or return the answer of the first time.

        Raises `server/idempotency-key-reused`, `server/request-in-progress`, `server/already-done`.
        """
        if not 1 <= len(key) <= 200 or not key.isprintable():
            raise BadKey(where="header.Idempotency-Key")
        name = f"{principal.id}:{key}"
        with self._lock:
            if name in self._handled:
                raise InProgress(key=key)
            self._handled.add(name)
        try:
            return self._kept(name, key, digest) or self._act(RequestKey(name, digest), act)
        finally:
            with self._lock:
                self._handled.discard(name)

    def _kept(self, name: str, key: str, digest: str) -> Response | None:
        kept = self._ledger.request(name)
        if kept is None:
            return None
        if kept.digest != digest:
            raise KeyReused(key=key, where="header.Idempotency-Key")
        if kept.status is None or kept.answer is None:
            raise AlreadyDone(key=key)
        media = MEDIA_TYPE if kept.status >= 400 else "application/json"
        return Response(kept.answer or None, kept.status, {"idempotency-replayed": "true"}, media if kept.answer else None)

    def _act(self, request: RequestKey, act: Callable[[], Response]) -> Response:
        with handling(request):
            try:
                response = act()
            except (BucleError, RemoteError) as error:
                self._ledger.keep_answer(request.name, error.status, msgspec.json.encode(problem_of(error)).decode())
                raise
        body = bytes(response.body) if hasattr(response, "body") else None
        if body is not None and len(body) <= _LARGEST_KEPT:
            self._ledger.keep_answer(request.name, response.status_code, body.decode("utf-8", "replace"))
        return response


def digest_of(request: "Request", body: object) -> str:
    """Return a digest of all that makes a request what it is: method, path, query and body."""
    digest = hashlib.sha256()
    for part in (request.method, request.url.path, request.url.query):
        digest.update(part.encode() + b"\0")
    if isinstance(body, Path):
        with body.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    elif isinstance(body, bytes):
        digest.update(body)
    elif body is not None:
        digest.update(msgspec.json.encode(body))
    return digest.hexdigest()
