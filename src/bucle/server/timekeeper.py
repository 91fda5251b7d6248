"""Time in the house: a tick for each full hour, of the wall clock as it passes or of a replay clock as it is advanced."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bucle.ledger import (
    ClockAdvanced,
    EventFilter,
    StoredEvent,
    Ticked,
    acting,
    because,
    current_context,
    format_instant,
)
from bucle.server.errors import ClockBusy, OnlyAnswers
from bucle.server.house import House

_HOUR = timedelta(hours=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClockState:
    """Where the home's clock stands and, on its way, where to and what it waits for."""

    kind: Literal["wall", "replay"]
    now: datetime
    until: datetime | None
    waiting_for: str | None
    error: str | None


class Timekeeper:
    """Moves a replay clock hour by hour; rings the hours of a wall clock."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._ledger = house.ledger
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._left = self._left_behind() if house.acts and house.mode == "server" else None
        self._until = max(datetime.fromisoformat(self._left.data["until"]), self._ledger.clock.now()) if self._left else None
        self._waiting_for: str | None = None
        self._arrived = threading.Event()
        if self._until is None:
            self._arrived.set()
        self._error: str | None = None

    def state(self) -> ClockState:
        """Return where the clock stands."""
        clock = self._ledger.clock
        return ClockState(clock.kind, clock.now(), self._until, self._waiting_for, self._error)

    def wait(self, seconds: float) -> ClockState:
        """Return where the clock stands once it is not on its way, and after so many seconds in any case."""
        self._arrived.wait(seconds)
        return self.state()

    def advance(self, until: datetime) -> ClockState:
        """Send the replay clock on its way, and return at once; `state` shows how far it is.

        Raises `server/clock-busy`, `server/only-answers`, `ledger/clock-not-replay`, `ledger/clock-backwards`.
        """
        if not self._house.acts:
            raise OnlyAnswers()
        with self._lock:
            if self._until is not None:
                raise ClockBusy(until=format_instant(self._until))
            now = self._ledger.clock.now()
            self._ledger.clock.check(until)
            with self._ledger.write() as tx:
                seq = tx.emit(ClockAdvanced(now, until), "clock")
            context = current_context()
            self._go(until, seq, context.actor, context.role)
        return self.state()

    def start(self) -> None:
        """Ring the hours of a wall clock; carry a replay clock on where a server that died left it.

        It is on its way until then, also when it had arrived: what its last hour brought about may be missing.
        """
        if self._ledger.clock.kind == "wall":
            self._run(self._ring)
            return
        if self._left is not None and self._until is not None:
            with self._lock:
                self._go(self._until, self._left.seq, self._left.actor, self._left.role)

    def _left_behind(self) -> StoredEvent | None:
        """Return the last journey of a replay clock, which a server that died may not have ended."""
        if self._ledger.clock.kind == "wall":
            return None
        asked = self._ledger.events(EventFilter(kinds=("ledger.clock_advanced",), newest_first=True, limit=1))
        return asked[0] if asked else None

    def stop(self) -> None:
        """Wait for the thread, which ends at the next safe point once the house is closing."""
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _go(self, until: datetime, seq: int, actor: str, role: str) -> None:
        self._until, self._error = until, None
        self._arrived.clear()

        def travel() -> None:
            try:
                with acting(actor, role), because(seq):
                    self._travel(until)
            except Exception as error:
                self._error = f"{type(error).__name__}: {error}"
                _log.exception("the clock stopped on its way")
            finally:
                self._until = self._waiting_for = None
                self._arrived.set()

        self._run(travel)

    def _travel(self, until: datetime) -> None:
        self._house.settle(self._report)
        while not self._house.closing and (now := self._ledger.clock.now()) < until:
            following = _full_hour(now) + _HOUR
            if following > until:
                self._ledger.move_clock(until)
            else:
                self._ledger.move_clock(following, Ticked(following))
            self._house.settle(self._report)
            self._waiting_for = None

    def _report(self, what: str) -> None:
        self._waiting_for = what

    def _ring(self) -> None:
        """Emit the present hour if no process did, then each following one; hours that nobody was up for coalesce."""
        last = self._ledger.events(EventFilter(kinds=("ledger.ticked",), newest_first=True, limit=1))
        rung = datetime.fromisoformat(last[0].data["hour"]) if last else None
        while not self._house.closing:
            hour = _full_hour(self._ledger.clock.now())
            if rung is None or hour > rung:
                rung = self._rang(hour) or rung
            remaining = 60.0 if rung != hour else (hour + _HOUR - self._ledger.clock.now()).total_seconds()
            self._house.pause(min(max(remaining, 0.01), 60.0))

    def _rang(self, hour: datetime) -> datetime | None:
        """Emit an hour; None when that cannot be, as on a full disk: the next minute tries again."""
        try:
            with self._ledger.write() as tx:
                tx.emit(Ticked(hour), "clock")
        except Exception:
            _log.exception("the hour %s could not be written", hour)
            return None
        return hour

    def _run(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="bucle-clock", daemon=True)
        self._thread.start()


def _full_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
