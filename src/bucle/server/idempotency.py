"""A write that is sent twice with one Idempotency-Key happens once, and is answered as the first time."""

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from bucle.errors import BucleError, RemoteError
from bucle.identity import Principal
from bucle.ledger import Ledger, RequestKey, StoredEvent, handling
from bucle.server.errors import BadKey, InProgress, KeyReused
from bucle.server.problems import MEDIA_TYPE, problem_of

if TYPE_CHECKING:
    from starlette.requests import Request

_LARGEST_KEPT = 1 << 18

Act = Callable[[], Response]
Recall = Callable[[Sequence[StoredEvent]], Response | None]


class Replies:
    """The answers of writes by principal and key.

    Without a `recall` effect and answer are one transaction: a request that died in between had no effect, and is done
    when it comes again. With one, the ledger notes the key and the events of each of its transactions; of a request that
    died on the way, `recall` makes the answer from its events, or says with None that it is to be done again.

    An answer may hold a secret, which must not lie in the ledger: of the key only a digest is kept, and the answer is sealed
    with the key itself, so that only who has the key can read it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._handled: set[str] = set()

    def once(self, principal: Principal, key: str, digest: str, act: Act, recall: Recall | None) -> Response:
        """Act, or return the answer of the first time.

        Raises `server/idempotency-key-reused`, `server/request-in-progress`.
        """
        if not 1 <= len(key) <= 200 or not key.isprintable():
            raise BadKey(where="header.Idempotency-Key")
        whole = f"{principal.id}:{key}"
        name, seal = hashlib.sha256(whole.encode()).hexdigest(), _Seal(whole)
        with self._lock:
            if name in self._handled:
                raise InProgress(key=key)
            self._handled.add(name)
        try:
            kept = self._kept(name, key, digest, recall, seal)
            if kept is not None:
                return kept
            request = RequestKey(name, digest)
            return self._whole(request, act, seal) if recall is None else self._in_parts(request, act, seal)
        finally:
            with self._lock:
                self._handled.discard(name)

    def _kept(self, name: str, key: str, digest: str, recall: Recall | None, seal: "_Seal") -> Response | None:
        kept = self._ledger.request(name)
        if kept is None:
            return None
        if kept.digest != digest:
            raise KeyReused(key=key, where="header.Idempotency-Key")
        if kept.status is None or kept.answer is None:
            found = recall([self._ledger.event(seq) for seq in kept.events]) if recall is not None else None
            return None if found is None else _replayed(self._keep(name, found, seal))
        media = MEDIA_TYPE if kept.status >= 400 else "application/json"
        answer = seal.open(kept.answer)
        return _replayed(Response(answer or None, kept.status, media_type=media if answer else None))

    def _whole(self, request: RequestKey, act: Act, seal: "_Seal") -> Response:
        """Act in one transaction with the answer; a refusal is an answer too, and keeps what took effect before it."""
        refusal: BucleError | RemoteError | None = None
        with self._ledger.whole(request) as unit:
            try:
                response = act()
                unit.keep(response.status_code, seal.close(bytes(response.body).decode()))
            except (BucleError, RemoteError) as error:
                unit.keep(error.status, seal.close(_document(error)))
                refusal = error
        if refusal is not None:
            raise refusal
        return response

    def _in_parts(self, request: RequestKey, act: Act, seal: "_Seal") -> Response:
        with handling(request):
            try:
                response = act()
            except (BucleError, RemoteError) as error:
                self._ledger.keep_answer(request.name, error.status, seal.close(_document(error)))
                raise
        return self._keep(request.name, response, seal)

    def _keep(self, name: str, response: Response, seal: "_Seal") -> Response:
        body = bytes(response.body) if hasattr(response, "body") else None
        if body is not None and len(body) <= _LARGEST_KEPT:
            self._ledger.keep_answer(name, response.status_code, seal.close(body.decode("utf-8", "replace")))
        return response


class _Seal:
    """A stream of SHAKE-256 from the key and a new nonce each time: no key, no answer. As strong as the key is random."""

    def __init__(self, secret: str) -> None:
        self._secret = b"bucle answer\0" + secret.encode() + b"\0"

    def close(self, answer: str) -> str:
        """Return the answer as nobody without the key can read it."""
        nonce = secrets.token_bytes(16)
        return base64.b64encode(nonce + self._mixed(nonce, answer.encode())).decode()

    def open(self, sealed: str) -> str:
        """Return what `close` was given."""
        data = base64.b64decode(sealed)
        return self._mixed(data[:16], data[16:]).decode()

    def _mixed(self, nonce: bytes, data: bytes) -> bytes:
        stream = hashlib.shake_256(self._secret + nonce).digest(len(data))
        return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))


def _document(error: BucleError | RemoteError) -> str:
    return msgspec.json.encode(problem_of(error)).decode()


def _replayed(response: Response) -> Response:
    response.headers["idempotency-replayed"] = "true"
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
