"""The home's clock: the wall clock, or a replay clock that moves only when it is told to."""

import threading
from datetime import UTC, datetime
from typing import Literal

from bucle.ledger.errors import ClockBackwards, ClockNotReplay
from bucle.ledger.instants import format_instant, from_us, to_us
from bucle.ledger.sqlite import Reader, Writer

ClockKind = Literal["wall", "replay"]


class Clock:
    """What time it is for everything about the domain: as-of, schedules, maturity, staleness, windows."""

    def __init__(self, kind: ClockKind, now_us: int) -> None:
        self.kind = kind
        self._now_us = now_us
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the present moment, UTC."""
        return datetime.now(UTC) if self.kind == "wall" else from_us(self._now_us)

    def now_us(self) -> int:
        """Return the present moment in microseconds since 1970."""
        return to_us(self.now())

    def check(self, to: datetime) -> None:
        """Refuse a move that cannot be. Raises `ledger/clock-not-replay`, `ledger/clock-backwards`."""
        if self.kind == "wall":
            raise ClockNotReplay()
        if to_us(to) < self._now_us:
            raise ClockBackwards(now=format_instant(self.now()), to=format_instant(to))

    def move(self, writer: Writer, to: datetime) -> None:
        """Set a replay clock forward within a transaction; whoever ends it puts the clock back if it fails.

        Raises `ledger/clock-not-replay`, `ledger/clock-backwards`.
        """
        with self._lock:
            self.check(to)
            writer.execute("UPDATE clock SET now_us = ? WHERE id = 1", (to_us(to),))
            self._now_us = to_us(to)

    def put_back(self, stored: Reader) -> None:
        """Go back to what is stored after a transaction with a `move` failed: others of its group may have failed with it."""
        row = stored.row("SELECT now_us FROM clock WHERE id = 1")
        with self._lock:
            self._now_us = row["now_us"] if row is not None else self._now_us


def load_clock(reader: Reader) -> Clock | None:
    """Return the clock that the home was made with, or None before that."""
    row = reader.row("SELECT kind, now_us FROM clock WHERE id = 1")
    return Clock(row["kind"], row["now_us"]) if row else None


def make_clock(writer: Writer, replay_from: datetime | None) -> Clock:
    """Give a new home its clock: replay from a moment, or the wall clock."""
    clock = Clock("replay", to_us(replay_from)) if replay_from else Clock("wall", 0)
    writer.execute("INSERT INTO clock (id, kind, now_us) VALUES (1, ?, ?)", (clock.kind, clock.now_us()))
    return clock
