"""What happens to stored bytes."""

from dataclasses import dataclass

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class GarbageCollected(Event, kind="artifacts.garbage_collected", version=1):
    """Artifacts that nothing referred to were removed; sizes in bytes."""

    removed: int
    freed: int
    kept: int
