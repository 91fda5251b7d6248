"""Durable subscriptions: each has its own cursor and sees every event of its kinds at least once, in order."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bucle.errors import BucleError
from bucle.ledger.context import Scope, acting, because, within
from bucle.ledger.events import DeliveryFailed, StoredEvent
from bucle.ledger.store import EventFilter
from bucle.ledger.transactions import Ledger

_ATTEMPTS = 3
_NO_SPACE = 507
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a room does about events of other rooms. The handler may see an event twice: it must be idempotent by event id."""

    name: str
    kinds: tuple[str, ...]
    handler: Callable[[StoredEvent], None]


class Dispatcher:
    """Hands committed events to subscriptions, one event at a time in the order of the ledger."""

    def __init__(self, ledger: Ledger, subscriptions: Sequence[Subscription]) -> None:
        self._ledger = ledger
        self._subscriptions = tuple(subscriptions)
        self._cursors = {each.name: self._cursor(each.name) for each in subscriptions}
        self._turn = threading.RLock()
        self._stop = threading.Event()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def drain(self) -> int:
        """Handle everything that waits, also what the handlers themselves bring about; return how many deliveries."""
        delivered = 0
        with self._turn:
            while not self._stop.is_set() and (batch := self._deliver_batch()) is not None:
                delivered += batch
        return delivered

    def start(self) -> None:
        """Deliver in a thread of its own until `stop`."""
        self._ledger.on_commit(self._news.set)
        self._thread = threading.Thread(target=self._run, name="bucle-dispatcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread after the event at hand."""
        self._stop.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.drain()
                self._news.wait(1.0)
                self._news.clear()
            except Exception:
                if not self._stop.is_set():  # for instance a full disk: what was not delivered stays waiting
                    _log.exception("the dispatcher pauses")
                    self._stop.wait(5.0)

    def _deliver_batch(self) -> int | None:
        """Deliver the next events that anybody waits for; None when all cursors are at the end."""
        since = min(self._cursors.values(), default=self._ledger.newest())
        events = self._ledger.events(EventFilter(after=since, limit=500))
        if not events:
            return None
        delivered = 0
        for event in events:
            if self._stop.is_set():
                return delivered
            for subscription in self._subscriptions:
                if self._cursors[subscription.name] < event.seq and _wants(subscription, event):
                    self._deliver(subscription, event)
                    delivered += 1
        self._move_cursors(events[-1].seq)
        return delivered

    def _deliver(self, subscription: Subscription, event: StoredEvent) -> None:
        scope = Scope(event.project, event.environment)
        with acting(f"subscription:{subscription.name}", "system"), within(scope), because(event.seq):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    subscription.handler(event)
                    break
                except Exception as error:
                    if self._stop.is_set():  # the house is going down under the handler: the event waits for the next start
                        return
                    if isinstance(error, BucleError) and error.status == _NO_SPACE:
                        raise  # no fault of the event: it waits until there is room
                    _log.exception("subscription %s, event %s, attempt %s", subscription.name, event.seq, attempt)
                    if attempt == _ATTEMPTS or isinstance(error, BucleError):
                        self._give_up(subscription, event, error)
                        break
                    time.sleep(0.05 * attempt)
        self._save_cursor(subscription.name, event.seq)

    def _give_up(self, subscription: Subscription, event: StoredEvent, error: Exception) -> None:
        with self._ledger.write() as transaction:
            transaction.emit(DeliveryFailed(subscription.name, event.seq, f"{type(error).__name__}: {error}"), event.subject)

    def _move_cursors(self, seq: int) -> None:
        for name, cursor in self._cursors.items():
            if cursor < seq:
                self._cursors[name] = seq

    def _save_cursor(self, name: str, seq: int) -> None:
        self._cursors[name] = seq
        sql = "INSERT INTO subscription (name, cursor) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor"
        with self._ledger.write() as transaction:
            transaction.execute(sql, (name, seq))

    def _cursor(self, name: str) -> int:
        with self._ledger.read() as reader:
            row = reader.row("SELECT cursor FROM subscription WHERE name = ?", (name,))
            return int(row[0]) if row else 0


def _wants(subscription: Subscription, event: StoredEvent) -> bool:
    return any(event.kind == kind or (kind.endswith(".") and event.kind.startswith(kind)) for kind in subscription.kinds)
