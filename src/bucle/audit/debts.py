"""Hidden technical debt (Sculley et al., 2015): what a detector answers, with its numbers, its evidence and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from bucle.messages import Phrase

DebtState = Literal["found", "clean", "insufficient data"]
"""Insufficient data is an answer of its own: neither a debt nor its absence was shown."""


@dataclass(frozen=True, slots=True)
class DebtFinding:
    """One debt: what it is, where it stands (file:line), what to do; as evidence seqs of events and ids that tell more."""

    what: Phrase
    next: Phrase
    where: str | None = None
    events: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DebtRow:
    """The answer of one detector. `why` says in a sentence what the state rests on; `numbers` are what was counted."""

    id: str
    state: DebtState
    why: Phrase
    numbers: Mapping[str, float] = field(default_factory=dict)
    findings: tuple[DebtFinding, ...] = ()
    events: tuple[int, ...] = ()

    @property
    def title(self) -> Phrase:
        """What the detector looks for."""
        return Phrase(f"debt.{self.id}.title")


@dataclass(frozen=True, slots=True)
class Debt:
    """What the detectors say of a project in one environment, as of a moment of the home's clock."""

    project: str
    environment: str
    as_of: datetime
    rows: tuple[DebtRow, ...]


def unknown(id: str, reason: str, **fields: str | int | float) -> DebtRow:
    """Return the answer of a detector that cannot know; `reason` is a key below `debt.ID`."""
    return DebtRow(id, "insufficient data", Phrase(f"debt.{id}.{reason}", fields))
