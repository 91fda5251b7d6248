"""The house: what one process holds while it has a home's lock. Rooms add their parts, subscriptions and hooks to it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from bucle.artifacts import ArtifactStore
from bucle.ledger import Dispatcher, Home, Ledger, Subscription
from bucle.monitoring import LAPTOP

if TYPE_CHECKING:
    from bucle.runtimes import RunnerPool

T = TypeVar("T")
Mode = Literal["server", "call"]
"""A long-lived server, or one call of the CLI or a notebook that holds the lock meanwhile."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a room's check of its own health says; `fix` is the next thing to do where it is not well."""

    check: str
    ok: bool
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of an id that is no event's subject, such as a prediction: the events behind it, what it was made from.

    `made_from` are (id, role) of lineage nodes: `bucle lineage` goes on from there.
    """

    kind: str
    project: str
    environment: str
    events: tuple[int, ...]
    made_from: tuple[tuple[str, str], ...] = ()


class House:
    """The parts of all rooms around one open home.

    A room's `compose(house)` in `server/api/ROOM.py` adds its parts with `add`, reaches those of rooms below with `part`,
    and says what shall happen when with `subscribe`, `on_start`, `on_stop`, `busy_while`, `check_with` and `explain_with`.
    """

    def __init__(self, home: Home, mode: Mode, *, acts: bool = True) -> None:
        self.home = home
        self.mode = mode
        self.acts = acts
        self.url = ""
        self.public_url = ""
        self.network = LAPTOP
        self._parts: dict[type, object] = {}
        self._subscriptions: list[Subscription] = []
        self._start: list[Callable[[], None]] = []
        self._start_last: list[Callable[[], None]] = []
        self._stop: list[Callable[[], None]] = []
        self._active: list[Callable[[], str | None]] = []
        self._checks: list[Callable[[], list[Finding]]] = []
        self._explain: list[Callable[[str], Explanation | None]] = []
        self._dispatcher: Dispatcher | None = None
        self._composing = threading.Lock()
        self._closing = threading.Event()

    @property
    def ledger(self) -> Ledger:
        """The home's ledger."""
        return self.home.ledger

    @property
    def artifacts(self) -> ArtifactStore:
        """The home's artifact store."""
        return self.part(ArtifactStore)

    @property
    def runners(self) -> "RunnerPool":
        """The warm child processes that run projects' code."""
        from bucle.runtimes import RunnerPool

        return self.part(RunnerPool)

    @property
    def dispatcher(self) -> Dispatcher:
        """What hands events to the subscriptions; there once all rooms are composed."""
        with self._composing:
            if self._dispatcher is None:
                self._dispatcher = Dispatcher(self.ledger, self._subscriptions)
            return self._dispatcher

    def add(self, part: object, as_type: type | None = None) -> None:
        """Put a room's part in; others find it by its type (or the Protocol that is given)."""
        kind = as_type or type(part)
        if kind in self._parts:
            raise TypeError(f"the house has a {kind.__name__} already")
        self._parts[kind] = part

    def part(self, kind: type[T]) -> T:
        """Return the part of a type."""
        return cast(T, self._parts[kind])

    def subscribe(self, subscription: Subscription) -> None:
        """Have a handler called for each event of its kinds, at least once, also across restarts."""
        if self._dispatcher is not None:
            raise RuntimeError("subscribe while the house is composed, not later")
        self._subscriptions.append(subscription)

    def on_start(self, hook: Callable[[], None], *, last: bool = False) -> None:
        """Call `hook` when a server has started that acts on its own (resume runs, ship spools); not for a single call.

        `last` is for what must find everything else resumed: the clock.
        """
        (self._start_last if last else self._start).append(hook)

    def on_stop(self, hook: Callable[[], None]) -> None:
        """Call `hook` before the home is closed (close pools); the last added first."""
        self._stop.append(hook)

    def busy_while(self, active: Callable[[], str | None]) -> None:
        """Have `settle` and the clock wait while `active()` names something that is not finished, such as a run."""
        self._active.append(active)

    def check_with(self, check: Callable[[], list[Finding]]) -> None:
        """Have `bucle doctor` ask `check`."""
        self._checks.append(check)

    def explain_with(self, explain: Callable[[str], Explanation | None]) -> None:
        """Have `bucle why` and `bucle lineage` ask `explain` about ids that are not in the ledger's events."""
        self._explain.append(explain)

    def explanation(self, id: str) -> Explanation | None:
        """Return what some room knows of an id that is no event's subject, or None."""
        return next((found for explain in self._explain if (found := explain(id)) is not None), None)

    def start(self) -> None:
        """Begin to act: run the start hooks, then hand out events in a thread. A hook that fails stops no other."""
        if not self.acts:
            return
        for hook in (*self._start, self.dispatcher.start, *self._start_last):
            try:
                hook()
            except Exception:
                _log.exception("a start hook failed")

    def activity(self) -> str | None:
        """Return what is active now, or None when all is quiet."""
        return next((name for active in self._active if (name := active())), None)

    def settle(self, report: Callable[[str], None] = lambda what: None) -> None:
        """Deliver all events and wait until nothing is active, also what the deliveries bring about.

        Ends early when the house is closed meanwhile; `report` is told what is waited for.
        """
        quiet, pause = False, _SHORTEST_PAUSE
        while not quiet and not self._closing.is_set():
            delivered = self.dispatcher.drain()
            what = self.activity()
            if what is not None:
                report(what)
                self._closing.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            quiet = what is None and delivered == 0

    @property
    def closing(self) -> bool:
        """Whether the house is being closed: long work should stop at the next safe point."""
        return self._closing.is_set()

    def pause(self, seconds: float) -> bool:
        """Sleep; return False as soon as the house is being closed."""
        return not self._closing.wait(seconds)

    def examine(self) -> list[Finding]:
        """Ask every room's check."""
        return [finding for check in self._checks for finding in check()]

    def leave(self) -> None:
        """Begin to close: streams end, new work is refused, long work stops at its next safe point."""
        self._closing.set()

    def close(self) -> None:
        """Stop acting, run the stop hooks, give the home back. A hook that fails does not keep the others from running."""
        self.leave()
        if self._dispatcher is not None:
            self._dispatcher.stop()
        for hook in reversed(self._stop):
            try:
                hook()
            except Exception:
                _log.exception("a stop hook failed")
        self.home.close()
