"""A request for predictions that is sent again with its Idempotency-Key: the log says what it was answered the first time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bucle.ledger import Ledger, current_context, named_id, new_id
from bucle.serving import store
from bucle.serving.contract import Value


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """One prediction of an earlier request, as it was logged."""

    id: str
    deployment: str
    key: str | None
    inputs: list[Value]
    output: float


class Repeats:
    """Which requests with a key are in the prediction log already. `ship` brings what waits in the spool into the ledger.

    The log itself is the memory: it was durable before the first answer left, so nothing else has to be kept of a request.
    """

    def __init__(self, ledger: Ledger, ship: Callable[[], object], inherited: bool) -> None:
        """`inherited`: the spool holds what a process before this one left in it."""
        self._ledger, self._ship, self._inherited = ledger, ship, inherited
        self._waiting: set[str] = set()
        self._lock = threading.Lock()

    def request_id(self, part: int = 0) -> str:
        """Return the id of the request at hand, or of a part of it: always the same for the same key and content."""
        request = current_context().request
        return new_id("req") if request is None else named_id("req", f"{request.name}\0{request.digest}\0{part}")

    def logged(self, request: str) -> list[LoggedAnswer]:
        """Return what was answered to a request before, in the order of its rows; empty when it is new."""
        if current_context().request is None:
            return []
        if self._inherited or request in self._waiting:
            self._ship()
            self._inherited = False
        with self._ledger.read() as reader:
            rows = reader.rows(store.SELECT_OF_REQUEST, (request,))
        decode = msgspec.json.Decoder(list[Value]).decode
        return [LoggedAnswer(row["id"], row["deployment"], row["key"], decode(row["inputs"]), row["output"]) for row in rows]

    def note(self, request: str) -> None:
        """Remember that a request with a key went into the spool."""
        if current_context().request is not None:
            with self._lock:
                self._waiting.add(request)

    def waiting(self) -> frozenset[str]:
        """Return the requests that the spool may still hold."""
        with self._lock:
            return frozenset(self._waiting)

    def shipped(self, requests: frozenset[str]) -> None:
        """Forget requests that are in the ledger by now."""
        with self._lock:
            self._waiting -= requests
