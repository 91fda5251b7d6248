"""Events: what happened, to what, by whom, because of what. Each room declares its kinds as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar

import msgspec

T = TypeVar("T")

KINDS: dict[str, type["Event"]] = {}
"""Every kind that has been defined so far in this process."""


class Event:
    """Base of all kinds; a kind is a frozen dataclass: `class RunStarted(Event, kind="tracking.run_started", version=1)`."""

    __slots__ = ()
    kind: ClassVar[str]
    version: ClassVar[int]

    def __init_subclass__(cls, *, kind: str | None = None, version: int | None = None) -> None:
        if kind is not None and version is not None:
            cls.kind, cls.version = kind, version
        elif "kind" not in cls.__dict__:  # dataclass(slots=True) makes the class again and passes no arguments
            raise TypeError(f"{cls.__name__} states no kind and version")
        taken = KINDS.get(cls.kind)
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"event kind {cls.kind!r} is that of {taken.__module__}.{taken.__qualname__} already")
        KINDS[cls.kind] = cls


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the ledger holds it; `at` is database time, `as_of` the home's clock, both UTC; `caused_by` are seqs."""

    seq: int
    id: str
    at: datetime
    as_of: datetime
    project: str
    environment: str
    kind: str
    version: int
    subject: str
    actor: str
    role: str
    caused_by: tuple[int, ...]
    data: Mapping[str, Any]

    def decode(self, kind: type[T]) -> T:
        """Return the data as a reader's own struct or dataclass of the fields that it needs."""
        return msgspec.convert(self.data, kind, strict=False)


@dataclass(frozen=True, slots=True)
class ClockAdvanced(Event, kind="ledger.clock_advanced", version=1):
    """The replay clock was asked to move; `ledger.ticked` follows for each hour on the way."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Ticked(Event, kind="ledger.ticked", version=1):
    """The home's clock reached a full hour: time to ingest, materialize, monitor and fire triggers."""

    hour: datetime


@dataclass(frozen=True, slots=True)
class DurabilitySet(Event, kind="ledger.durability_set", version=1):
    """The home was told what an acknowledged write has to survive: "process" (kill -9) or also a loss of "power"."""

    durability: str
    before: str


@dataclass(frozen=True, slots=True)
class DeliveryFailed(Event, kind="ledger.delivery_failed", version=1):
    """A subscription could not handle an event after several attempts and went on without it."""

    subscription: str
    event: int
    reason: str
