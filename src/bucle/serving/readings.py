"""Who reads what was predicted: counted by day in memory, brought into the ledger with the prediction log (S-03)."""

import threading
from dataclasses import dataclass

from bucle.ledger import Ledger, Scope, Transaction, acting, current_context, from_us, within
from bucle.serving import store
from bucle.serving.events import PredictionsRead

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class _Reading:
    """What is counted together: one reader with one client, one service, one day of the home's clock."""

    scope: Scope
    service: str
    reader: str
    client: str
    day_us: int


@dataclass(slots=True)
class _Count:
    requests: int = 0
    predictions: int = 0
    last_us: int = 0


class Readings:
    """Counts in memory what is not in the ledger yet; a process that is killed loses at most the last second's counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unsaved: dict[_Reading, _Count] = {}

    def note(self, scope: Scope, service: str, client: str, predictions: int, now_us: int) -> None:
        """Count that the actor of the context was given stored predictions; `now_us` is of the home's clock."""
        reading = _Reading(scope, service, current_context().actor, client, now_us // DAY_US * DAY_US)
        self._add(reading, _Count(1, predictions, now_us))

    def save(self, ledger: Ledger) -> None:
        """Add what was counted since the last call to the ledger; a reader's first reading of a day leaves an event."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return
        try:
            with ledger.write() as tx:
                for reading, count in unsaved.items():
                    _write(tx, reading, count)
        except BaseException:
            for reading, count in unsaved.items():
                self._add(reading, count)
            raise

    def _add(self, reading: _Reading, more: _Count) -> None:
        with self._lock:
            count = self._unsaved.setdefault(reading, _Count())
            count.requests += more.requests
            count.predictions += more.predictions
            count.last_us = max(count.last_us, more.last_us)


def _write(tx: Transaction, reading: _Reading, count: _Count) -> None:
    scope, counts = reading.scope, (count.requests, count.predictions, count.last_us)
    key = (scope.project, scope.environment, reading.service, reading.reader, reading.client, reading.day_us)
    if tx.execute(store.COUNT_READING, (*counts, *key)):
        return
    with acting("serving", "system"), within(scope):
        event = PredictionsRead(reading.service, reading.reader, reading.client, from_us(reading.day_us))
        tx.execute(store.INSERT_READING, (*counts, *key, tx.emit(event, f"service:{reading.service}")))
