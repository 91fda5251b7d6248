"""What the room of work tells the others."""

from dataclasses import dataclass
from datetime import datetime

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class WorkOpened(Event, kind="work.opened", version=1):
    """A work item was opened, by a person or because of an alert (K-F2, K-F3); `due` is when its severity wants it done."""

    item_kind: str
    title: str
    severity: str
    priority: int
    feature: str | None
    alert: str | None
    due: datetime | None


@dataclass(frozen=True, slots=True)
class WorkChanged(Event, kind="work.changed", version=1):
    """Fields of a work item got other values; `changes` holds field, before, after."""

    changes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class WorkCommented(Event, kind="work.commented", version=1):
    """Somebody wrote under a work item."""

    comment: str


@dataclass(frozen=True, slots=True)
class WorkClosed(Event, kind="work.closed", version=1):
    """A work item is done; `overdue` says whether it took longer than its severity allows (L-08)."""

    resolution: str
    seconds: float
    overdue: bool
