"""The components of Figure 4 and the arrows of its feedback, each with what the ledger shows of it."""

from dataclasses import dataclass
from datetime import datetime

from bucle.audit.evidence import Evidence
from bucle.audit.workflow import audit_workflow
from bucle.ledger import Ledger

COMPONENTS: dict[str, tuple[str, ...]] = {
    "DATA": ("data.",),
    "C1": ("delivery.check", "delivery.release", "delivery.promot", "delivery.deployed", "delivery.rolled"),
    "C2": ("delivery.commit_received",),
    "C3": ("pipelines.run",),
    "C4": ("features.",),
    "C5": ("pipelines.step", "runtimes."),
    "C6": ("registry.",),
    "C7": ("tracking.",),
    "C8": ("serving.",),
    "C9": ("monitoring.",),
    "WORK": ("work.",),
}
FEEDBACK = ("K-F1", "K-F2", "K-F3", "K-F4", "K-F6")
_TROUBLE = ("failed", "refused", "fired", "interrupted")


@dataclass(frozen=True, slots=True)
class ComponentState:
    """How often a component acted in the project, its last act, and the tone of that: good, warn or quiet."""

    id: str
    count: int
    last_kind: str | None
    last_at: datetime | None
    tone: str


@dataclass(frozen=True, slots=True)
class ArrowState:
    """An arrow of the feedback and the seq of the event that shows it, None while nothing went that way."""

    id: str
    event: int | None


def component_states(ledger: Ledger, project: str) -> list[ComponentState]:
    """Return the state of each component of a project."""
    kinds = ledger.kinds(project)
    return [_state(ledger, id, [kinds[kind] for kind in kinds if kind.startswith(own)]) for id, own in COMPONENTS.items()]


def arrow_states(evidence: Evidence) -> list[ArrowState]:
    """Return which arrows of the feedback were travelled."""
    rows = {row.id: row for row in audit_workflow(evidence)}
    return [ArrowState(id, rows[id].event) for id in FEEDBACK]


def _state(ledger: Ledger, id: str, seen: list[tuple[int, int]]) -> ComponentState:
    if not seen:
        return ComponentState(id, 0, None, None, "quiet")
    last = ledger.event(max(seq for _, seq in seen))
    tone = "warn" if last.kind.endswith(_TROUBLE) else "good"
    return ComponentState(id, sum(count for count, _ in seen), last.kind, last.as_of, tone)
