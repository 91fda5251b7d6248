"""Evidence: the events of one project, read once by kind, and the question whether one led to another."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bucle.ledger import EventFilter, Ledger, StoredEvent

Condition = Callable[[StoredEvent], bool]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the evidence says: the seq of the event that proves it, or why there is none."""

    event: int | None
    why: str = ""


class Evidence:
    """Reads the ledger on behalf of predicates; it never writes."""

    def __init__(self, ledger: Ledger, project: str) -> None:
        self._ledger = ledger
        self._project = project
        self._by_kind: dict[str, list[StoredEvent]] = {}
        self._by_seq: dict[int, StoredEvent] = {}

    @property
    def now_us(self) -> int:
        """The home's clock, in microseconds."""
        return self._ledger.clock.now_us()

    def all(self, kind: str, where: Condition | None = None) -> list[StoredEvent]:
        """Return the project's events of a kind that meet the condition, oldest first."""
        if kind not in self._by_kind:
            self._by_kind[kind] = list(self._pages(kind))
        found = self._by_kind[kind]
        return found if where is None else [event for event in found if where(event)]

    def first(self, kind: str, where: Condition | None = None, otherwise: str = "") -> Finding:
        """Find the oldest event of a kind that meets the condition."""
        found = next((event for event in self.all(kind) if where is None or where(event)), None)
        return Finding(found.seq) if found else Finding(None, otherwise or f"no {kind} in the ledger")

    def leads_to(self, event: StoredEvent, kind: str, where: Condition | None = None) -> StoredEvent | None:
        """Return an ancestor of `event` of that kind, at any distance, or None."""
        frontier, seen = list(event.caused_by), set[int]()
        while frontier:
            seq = frontier.pop()
            if seq in seen:
                continue
            seen.add(seq)
            cause = self.event(seq)
            if cause.kind == kind and (where is None or where(cause)):
                return cause
            frontier += cause.caused_by
        return None

    def event(self, seq: int) -> StoredEvent:
        """Return one event by seq."""
        if seq not in self._by_seq:
            self._by_seq[seq] = self._ledger.event(seq)
        return self._by_seq[seq]

    def _pages(self, kind: str) -> Iterator[StoredEvent]:
        after = 0
        while page := self._ledger.events(EventFilter(kinds=(kind,), project=self._project, after=after, limit=5000)):
            yield from page
            self._by_seq.update((event.seq, event) for event in page)
            after = page[-1].seq


def has(data: Mapping[str, Any], *fields: str) -> bool:
    """Return whether all fields are there and not empty."""
    return all(data.get(field) not in (None, "", [], {}, ()) for field in fields)
