"""What the checks of a commit found: one result per named check, all of them together a check run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import msgspec

from bucle.delivery import store
from bucle.delivery.errors import UnknownCheckRun
from bucle.ledger import Ledger

Kind = Literal["unit", "integration", "acceptance", "stress", "usability", "performance", "security"]
"""The seven kinds of test that the lecture names (L-07)."""

Tag = Literal["feature-logic", "model-methods", "training-converges", "no-nan", "artifacts", "integration"]
"""The six tests that Google asks of a pipeline's CI (G2-ci)."""

Outcome = Literal["passed", "failed", "skipped"]
"""A check is skipped, with the reason, when there is nothing to look at, or when an earlier one explains all."""

Wanted = Literal["check", "release"]
CheckState = Literal["waiting", "running", "passed", "failed"]

KINDS, TAGS = get_args(Kind), get_args(Tag)


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: what, where (file:line), and what to do next."""

    message: str
    where: str | None = None
    next: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What a check decided. `message` is one line for people; a failed verdict has at least one finding."""

    outcome: Outcome
    message: str
    findings: list[Finding] = []


def passed(message: str) -> Verdict:
    """Return the verdict of a check that found nothing wrong."""
    return Verdict("passed", message)


def skipped(reason: str) -> Verdict:
    """Return the verdict of a check that had nothing to look at."""
    return Verdict("skipped", reason)


def failed(findings: list[Finding]) -> Verdict:
    """Return the verdict of a check that found something wrong."""
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return Verdict("failed", findings[0].message + more, findings)


def report(name: str, verdict: Verdict, seconds: float) -> list[str]:
    """Return a check's result in lines for people: a failed one with file, line and what to do."""
    mark = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[verdict.outcome]
    lines = [f"{mark:>7}  {name:<16} {verdict.message}  ({seconds:.1f} s)"]
    for finding in verdict.findings[:10]:
        lines.append(f"         {finding.where}: {finding.message}" if finding.where else f"         {finding.message}")
        if finding.next:
            lines.append(f"           next: {finding.next}")
    if len(verdict.findings) > 10:
        lines.append(f"         and {len(verdict.findings) - 10} more")
    return lines


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one named check of a commit ended; `log` is an artifact with everything that it printed."""

    name: str
    kind: str
    tag: str | None
    outcome: str
    message: str
    findings: tuple[Finding, ...]
    log: str | None
    seconds: float
    event: int

    @property
    def where(self) -> str | None:
        """File and line of the first finding that has one."""
        return next((finding.where for finding in self.findings if finding.where), None)


@dataclass(frozen=True, slots=True)
class CheckRun:
    """The checks of one commit; `attempt` grows when the process that ran them died. `versions` are the data they saw."""

    id: str
    project: str
    environment: str
    commit: str
    author: str
    wanted: str
    state: str
    attempt: int
    requester: str
    role: str
    cause: int | None
    lock: str
    versions: tuple[str, ...]
    created: datetime
    ended: datetime | None
    event: int | None
    results: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(result for result in self.results if result.outcome == "failed")


def get_check_run(ledger: Ledger, project: str, id: str) -> CheckRun:
    """Return a check run with the results of its last attempt. Raises `delivery/unknown-check-run`."""
    with ledger.read() as reader:
        found = store.select_check_run(reader, id)
    if found is None or found.project != project:
        raise UnknownCheckRun(id=id)
    return found


def list_check_runs(ledger: Ledger, project: str, commit: str | None = None, limit: int = 20) -> list[CheckRun]:
    """Return the project's check runs, the newest first."""
    with ledger.read() as reader:
        return store.select_check_runs(reader, project, commit, limit)
