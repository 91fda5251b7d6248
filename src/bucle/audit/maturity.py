"""Google's MLOps levels, assessed from dated evidence: what nobody did lately counts no more.

Source: Google Cloud, "MLOps: Continuous delivery and automation pipelines in machine learning", levels 0 to 2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bucle.audit.evidence import Evidence
from bucle.audit.workflow import ALERT, RUN_STARTED, STEP_FINISHED, VERSION_REGISTERED
from bucle.ledger import StoredEvent, format_instant, from_us
from bucle.messages import Phrase, Said, joined

MAXIMUM_AGE = timedelta(days=30)
"""How old evidence may be, by the home's clock, and still count."""

CI_TAGS = ("feature-logic", "model-methods", "training-converges", "no-nan", "artifacts", "integration")
GATE_KINDS = ("criterion", "production", "slices", "loadable")
Proof = Callable[[Evidence], StoredEvent | None]


@dataclass(frozen=True, slots=True)
class Criterion:
    """Something that a level asks for, and the newest event that proves it."""

    id: str
    level: int
    title: str
    proof: Proof


@dataclass(frozen=True, slots=True)
class CriterionRow:
    """A criterion with its newest evidence; `met` is false when there is none or it is too old.

    `until` is when the evidence ages out, or did. `why` says in English what is missing, `said` in any language.
    """

    id: str
    level: int
    title: str
    met: bool
    event: int | None
    as_of: datetime | None
    until: datetime | None
    why: str
    said: Phrase | None

    @property
    def aged(self) -> bool:
        """Whether there is evidence, but it is too old to count."""
        return self.event is not None and not self.met


@dataclass(frozen=True, slots=True)
class Maturity:
    """The highest level all of whose criteria, and those of the levels below, are met now.

    `sentence` says in English what keeps it from the next level, and which evidence aged out when; `said` in any language.
    """

    level: int
    as_of: datetime
    sentence: str
    said: Phrase
    criteria: tuple[CriterionRow, ...]

    def told(self, lang: str) -> "Maturity":
        """Return the assessment with its sentences in a language."""
        rows = tuple(replace(row, why=row.said.text(lang)) if row.said else row for row in self.criteria)
        return replace(self, sentence=self.said.text(lang), criteria=rows)


def audit_maturity(evidence: Evidence) -> Maturity:
    """Assess Google's level of a project from its events; level 0 until level 1 is proven."""
    now = from_us(evidence.now_us)
    rows = tuple(_row(criterion, evidence, now) for criterion in CRITERIA)
    level = 0
    while level < 2 and all(row.met for row in rows if row.level == level + 1):
        level += 1
    said = _said(level, rows)
    return Maturity(level, now, str(said), said, rows)


def _said(level: int, rows: Sequence[CriterionRow]) -> Phrase:
    """Say what the next level lacks: what was never shown, and what was but aged out."""
    if level == 2:
        first = min((row for row in rows if row.until is not None), key=lambda row: (row.until, row.id))
        return Phrase("maturity.highest", {"id": first.id, "until": _day(first.until)})
    next_rows = [row for row in rows if row.level <= level + 1 and not row.met]
    never, aged = [row for row in next_rows if not row.aged], [row for row in next_rows if row.aged]
    days = MAXIMUM_AGE.days
    parts: list[Phrase] = []
    if aged:
        each = [Phrase("maturity.aged_one", {"id": row.id, "until": _day(row.until)}) for row in aged]
        key = "maturity.aged" if never else "maturity.only_aged"
        parts.append(Phrase(key, {"level": level + 1, "days": days, "rows": joined("list", *each)}))
    if never:
        parts.append(Phrase("maturity.never", {"level": level + 1, "ids": ", ".join(row.id for row in never)}))
    return joined("then", *parts)


def _day(moment: datetime | None) -> str:
    return "" if moment is None else format_instant(moment)[:10]


def _row(criterion: Criterion, evidence: Evidence, now: datetime) -> CriterionRow:
    event = criterion.proof(evidence)
    if event is None:
        none = Phrase("maturity.no_evidence")
        return CriterionRow(criterion.id, criterion.level, criterion.title, False, None, None, None, str(none), none)
    age, until = now - event.as_of, event.as_of + MAXIMUM_AGE
    met = age <= MAXIMUM_AGE
    fields: dict[str, Said] = {"age": age.days, "day": _day(event.as_of), "until": _day(until)}
    said = None if met else Phrase("maturity.old", fields)
    named = (criterion.id, criterion.level, criterion.title, met, event.seq, event.as_of, until)
    return CriterionRow(*named, str(said) if said else "", said)


def _newest(kind: str, where: Callable[[StoredEvent], bool] | None = None) -> Proof:
    return lambda evidence: next(reversed(evidence.all(kind, where)), None)


def _newest_caused(kind: str, cause: str) -> Proof:
    def found(evidence: Evidence) -> StoredEvent | None:
        return next((event for event in reversed(evidence.all(kind)) if evidence.leads_to(event, cause)), None)

    return found


def _production(event: StoredEvent) -> bool:
    return event.environment == "production"


def _symmetric(evidence: Evidence) -> StoredEvent | None:
    """The same pipeline code ran in an experiment and in production."""
    tried = {event.data["code"] for event in evidence.all(RUN_STARTED, lambda event: not _production(event))}
    return next((event for event in reversed(evidence.all(RUN_STARTED, _production)) if event.data["code"] in tried), None)


def _all_of(kind: str, field: str, values: tuple[str, ...], group: Callable[[StoredEvent], object]) -> Proof:
    """The newest event that completes a group in which every one of `values` was seen."""

    def found(evidence: Evidence) -> StoredEvent | None:
        seen: dict[object, set[str]] = {}
        complete = None
        for event in evidence.all(kind):
            group_values = seen.setdefault(group(event), set())
            group_values.add(event.data.get(field) or "")
            if group_values.issuperset(values):
                complete = event
        return complete

    return found


def _triggers(evidence: Evidence) -> StoredEvent | None:
    """The newest run of the second kind of trigger: it is as old as that a second kind was used at all."""
    newest = {event.data["trigger"]: event for event in evidence.all(RUN_STARTED)}
    return sorted(newest.values(), key=lambda event: event.seq)[-2] if len(newest) >= 2 else None


COMPONENTS: tuple[tuple[str, str], ...] = (
    ("source control", "delivery.commit_received"),
    ("test and build services", "delivery.checks_finished"),
    ("deployment services", "serving.deployed"),
    ("model registry", VERSION_REGISTERED),
    ("feature store", "features.materialized"),
    ("metadata store", "tracking.run_finished"),
    ("pipeline orchestrator", RUN_STARTED),
)

CRITERIA: tuple[Criterion, ...] = (
    Criterion("G1-a1", 1, "Orchestrated experiments", _newest(RUN_STARTED, lambda event: not _production(event))),
    Criterion("G1-a2", 1, "Continuous training in production", _newest_caused(RUN_STARTED, ALERT)),
    Criterion("G1-a3", 1, "The same pipeline in experiment and production", _symmetric),
    Criterion("G1-a4", 1, "The pipeline is deployed, not only the model", _newest("delivery.deployed", _production)),
    Criterion("G1-dv", 1, "Data validated before training", _newest("data.validated")),
    Criterion(
        "G1-mv",
        1,
        "Offline validation: metrics, production, segments, compatibility",
        _all_of("registry.gate_judged", "gate_kind", GATE_KINDS, lambda event: event.data.get("run")),
    ),
    Criterion("G1-on", 1, "Online validation before all traffic", _newest("delivery.rollout_judged")),
    Criterion("G1-fs", 1, "Feature store: one definition offline and online", _newest("features.materialized")),
    Criterion(
        "G1-md", 1, "Metadata of each run complete", _newest("tracking.iteration_recorded", lambda e: not e.data["missing"])
    ),
    Criterion("G1-tr", 1, "More than one kind of trigger", _triggers),
    *(
        Criterion(f"G2-c{number}", 2, f"In use: {name}", _newest(kind))
        for number, (name, kind) in enumerate(COMPONENTS, start=1)
    ),
    Criterion(
        "G2-s", 2, "One chain from the push to a model that monitoring asked for", _newest_caused("serving.deployed", ALERT)
    ),
    Criterion(
        "G2-ci",
        2,
        "The six tests of continuous integration passed on one commit",
        _all_of("delivery.check_finished", "tag", CI_TAGS, lambda event: event.data["commit"]),
    ),
    Criterion("G2-cd", 2, "Delivered through test before production", _newest("delivery.promoted", _production)),
    Criterion("K-D0", 2, "Tasks run isolated in a locked runtime", _newest(STEP_FINISHED, _production)),
)
