"""The prediction log: a record for each request goes to the spool before the answer, and from there into the ledger.

During a rollout the same record holds what each arm did, so that the evidence is as durable as the answers.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import astuple

from bucle.ledger import Ledger, Scope, Transaction, acting, because, from_us, within
from bucle.serving import store
from bucle.serving.contract import Value
from bucle.serving.events import PredictionsLogged
from bucle.serving.observations import Observation, ShadowRow
from bucle.serving.spool import Position, Spool

_log = logging.getLogger(__name__)


class LoggedRow(msgspec.Struct, frozen=True, array_like=True):
    """One prediction: its inputs as they were given or found, in the order of the signature, and the model's answer."""

    id: str
    key: str | None
    as_of_us: int
    inputs: list[Value]
    output: float


class LoggedRequest(msgspec.Struct, frozen=True, array_like=True):
    """One request: who asked, declared by which client, answered by which deployment, features from which store.

    `store` is "online" or "offline" (K-25); `event` is the seq of the deployment's event.
    """

    request: str
    project: str
    environment: str
    service: str
    deployment: str
    model_version: str
    event: int
    caller: str
    client: str
    store: str
    at_us: int
    rows: list[LoggedRow]


class LoggedEntry(msgspec.Struct, frozen=True, array_like=True):
    """One record of the spool: what was answered to a request, by each deployment that had a part in it, and what was seen."""

    requests: list[LoggedRequest] = []
    observations: list[Observation] = []
    shadows: list[ShadowRow] = []


class PredictionLog:
    """Nothing is answered that is not here: `append` is durable on return, `ship` moves it into the ledger, exactly once."""

    def __init__(self, ledger: Ledger, folder: Path, *, limit: int = 64 << 20, power: bool = False) -> None:
        self._ledger = ledger
        self._spool = Spool(folder, limit=limit, power=power)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(LoggedEntry)
        self._turn = threading.Lock()
        self._dirty = self._spool.waiting > 0

    @property
    def waiting(self) -> int:
        """How many bytes of predictions are not in the ledger yet."""
        return self._spool.waiting if self._dirty else 0

    def append(self, *requests: LoggedRequest) -> None:
        """Put the predictions of a request on disk, all of its parts or none. Raises `serving/log-full`."""
        self.enter(LoggedEntry(list(requests)))

    def enter(self, entry: LoggedEntry) -> None:
        """Put a whole entry on disk. Raises `serving/log-full`."""
        self._spool.append(self._encoder.encode(entry))
        self._dirty = True

    def ship(self) -> int:
        """Move everything that waits into the ledger and return how many predictions were new there."""
        moved = 0
        with self._turn:
            while self._dirty:
                self._dirty = False
                try:
                    moved += self._ship_some()
                except BaseException:
                    self._dirty = True
                    raise
        return moved

    def close(self) -> None:
        """Close the spool; what waits in it is shipped when it is opened again."""
        self._spool.close()

    def _ship_some(self) -> int:
        with self._ledger.read() as reader:
            shipped = store.shipped_offsets(reader)
        records, reached = self._spool.read(shipped)
        new = 0
        if records:
            new = self._record([self._decoder.decode(record) for record in records], reached)
            shipped |= {position.segment: position.offset for position in reached}
            self._dirty = True
        self._forget(self._spool.drop(shipped))
        return new

    def _record(self, entries: Sequence[LoggedEntry], reached: Sequence[Position]) -> int:
        groups: dict[tuple[str, ...], list[LoggedRequest]] = {}
        for request in (request for entry in entries for request in entry.requests):
            groups.setdefault((request.project, request.environment, request.deployment, request.store), []).append(request)
        with self._ledger.write() as tx:
            new = sum(_record_group(tx, group) for group in groups.values())
            tx.execute_many(store.INSERT_OBSERVATION, (astuple(each) for entry in entries for each in entry.observations))
            tx.execute_many(store.INSERT_SHADOW, (astuple(each) for entry in entries for each in entry.shadows))
            tx.execute_many(store.UPSERT_SHIPPED, [(position.segment, position.offset) for position in reached])
        return new

    def _forget(self, segments: Sequence[str]) -> None:
        if segments:
            with self._ledger.write() as tx:
                tx.execute_many(store.DELETE_SHIPPED, [(segment,) for segment in segments])


def _record_group(tx: Transaction, group: Sequence[LoggedRequest]) -> int:
    head = group[0]
    rows = [row for request in group for row in request.rows]
    moments = [row.as_of_us for row in rows]
    event = PredictionsLogged(
        deployment=head.deployment,
        service=head.service,
        model_version=head.model_version,
        store=head.store,
        first=min(row.id for row in rows),
        last=max(row.id for row in rows),
        count=len(rows),
        requests=len(group),
        since=from_us(min(moments)),
        until=from_us(max(moments)),
        callers=tuple(sorted({request.caller for request in group})),
        clients=tuple(sorted({request.client for request in group})),
    )
    with acting("serving", "system"), within(Scope(head.project, head.environment)), because(head.event):
        logged = tx.emit(event, head.deployment)
    return store.insert_predictions(tx, (_values(request, row, logged) for request in group for row in request.rows))


def _values(request: LoggedRequest, row: LoggedRow, logged: int) -> tuple[object, ...]:
    return (
        row.id,
        request.project,
        request.environment,
        request.service,
        request.deployment,
        request.model_version,
        request.event,
        logged,
        row.key,
        request.request,
        request.caller,
        request.client,
        request.store,
        request.at_us,
        row.as_of_us,
        msgspec.json.encode(row.inputs).decode(),
        row.output,
    )


class Shipper:
    """A thread that does `work` (ship, save counts) every `seconds`, and a last time when it is stopped."""

    def __init__(self, work: Callable[[], None], seconds: float = 1.0) -> None:
        self._work, self._seconds = work, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bucle-prediction-log", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Do the work once more and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def _run(self) -> None:
        while True:
            stopped = self._stop.wait(self._seconds)
            try:
                self._work()
            except Exception:  # a full disk, say: the spool keeps what waits, and the next round tries again
                _log.exception("the prediction log could not be shipped")
            if stopped:
                return
