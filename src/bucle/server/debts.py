"""Hidden debt as routes and pages give it: said in the reader's language, with what is still in memory counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bucle.audit import DebtFinding, DebtRow, audit_debt
from bucle.ledger import Scope
from bucle.server.house import House
from bucle.serving import Services

PRODUCTION = "production"
"""The environment whose debt is looked for unless another is named."""


@dataclass(frozen=True, slots=True)
class FoundDebt:
    """One debt that a detector found, said in the caller's language; see `bucle.audit.DebtFinding`."""

    what: str
    next: str
    where: str | None
    events: tuple[int, ...]
    ids: tuple[str, ...]
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Detected:
    """The answer of one detector, said in the caller's language: "found", "clean" or "insufficient data"."""

    id: str
    title: str
    state: str
    why: str
    numbers: Mapping[str, float]
    findings: list[FoundDebt]
    events: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DebtReport:
    """What each detector says of an environment, as of a moment of the home's clock."""

    project: str
    environment: str
    as_of: datetime
    detectors: list[Detected]


def report_debt(house: House, scope: Scope, lang: str) -> DebtReport:
    """Ask the detectors about an environment and say in a language what they found."""
    house.part(Services).flush()
    found = audit_debt(house.home, house.runners, scope)
    return DebtReport(found.project, found.environment, found.as_of, [_detected(row, lang) for row in found.rows])


def _detected(row: DebtRow, lang: str) -> Detected:
    findings = [_found(each, lang) for each in row.findings]
    return Detected(row.id, row.title.text(lang), row.state, row.why.text(lang), row.numbers, findings, row.events)


def _found(found: DebtFinding, lang: str) -> FoundDebt:
    return FoundDebt(found.what.text(lang), found.next.text(lang), found.where, found.events, found.ids, found.numbers)
