"""What an online store promises, whatever holds the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

NEVER = -(2**63)
"""A creation that is not known: lowest, as null is in rule R6."""


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """What is held of one entity in one view, microseconds since 1970 UTC.

    `key` is the text of `encode_key`. `event_us` is when the values became true, `created_us` when the source recorded them,
    `tie` the place in the order of ingestion among rows that are equal in both. `content` is for the view's reader.
    """

    key: str
    event_us: int
    content: bytes
    created_us: int = NEVER
    tie: int = 0


class OnlineStore(Protocol):
    """Newest row wins: by `event_us`, then `created_us`, then `tie` (R6); an equal one replaces. Expiry is the reader's."""

    def write(self, view: str, rows: Sequence[OnlineRow]) -> int:
        """Store rows that are not older than what is held; return how many were."""

    def replace(self, view: str, rows: Sequence[OnlineRow]) -> int:
        """Hold these rows and no others of the view; return how many."""

    def read(self, view: str, keys: Sequence[str]) -> list[OnlineRow | None]:
        """Return the row of each key in the order of `keys`, None where there is none."""
