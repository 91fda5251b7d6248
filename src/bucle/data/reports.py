"""What a validation says: findings, each of a kind, and what follows from them."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from bucle.data.events import LabelCount
from bucle.data.profiles import Profile

FindingKind = Literal["schema", "value", "accepted"]
Outcome = Literal["pass", "warn", "stop"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is not as it should be.

    `kind` "schema": unexpected, missing or bad-valued data, or a leak; it stops. "value": statistics changed or data grew
    stale; it warns, and the `partition` that it names is not to be trained on. "accepted": what the source declares to have
    been reviewed; it neither stops nor warns. `where` is a line of the reviewed schema or of
    the project's code.
    """

    check: str
    column: str
    kind: FindingKind
    message: str
    rows: int = 0
    where: str | None = None
    partition: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ValidationReport(msgspec.Struct, frozen=True):
    """What was checked, what was found, and the partitions that training leaves out."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    vetoed: tuple[str, ...] = ()
    rows: int = 0
    partitions: tuple[str, ...] = ()
    checks: int = 0
    schema: str | None = None


def judge(
    findings: Iterable[Finding], *, rows: int = 0, partitions: Iterable[str] = (), checks: int = 0, schema: str | None = None
) -> ValidationReport:
    """Return the report that follows from findings: any of kind "schema" stops, any of kind "value" warns (G1-dv)."""
    found = tuple(findings)
    kinds = {finding.kind for finding in found}
    outcome: Outcome = "stop" if "schema" in kinds else "warn" if "value" in kinds else "pass"
    vetoed = tuple(sorted({each.partition for each in found if each.kind == "value" and each.partition}))
    return ValidationReport(outcome, found, vetoed, rows, tuple(partitions), checks, schema)


def combine(*reports: ValidationReport) -> ValidationReport:
    """Return one report of all that several say about the same rows."""
    first = reports[0]
    findings = [finding for report in reports for finding in report.findings]
    checks = sum(report.checks for report in reports)
    return judge(findings, rows=first.rows, partitions=first.partitions, checks=checks, schema=first.schema)


class LabelMonth(msgspec.Struct, frozen=True):
    """The labels of one month's rows; `never`: past maturity without a label, such as a cancelled flight."""

    month: str
    rows: int
    labelled: int
    pending: int
    never: int

    @property
    def share(self) -> float:
        """The share of rows with a label."""
        return self.labelled / self.rows if self.rows else 0.0


class LabelsPresent(msgspec.Struct, frozen=True):
    """The presence of one label, month by month."""

    label: str
    months: tuple[LabelMonth, ...]

    def total(self) -> LabelCount:
        """Return the counts of all months together."""
        sums = [sum(getattr(month, field) for month in self.months) for field in ("rows", "labelled", "pending", "never")]
        return LabelCount(self.label, *sums)


class SourceProfile(msgspec.Struct, frozen=True):
    """What a version looked like at a moment: the distribution of each column, whole and by month, and the labels present.

    `months` count on the bins of `whole`; moments are in microseconds since 1970.
    """

    as_of_us: int
    whole: Profile
    months: dict[str, Profile]
    labels: tuple[LabelsPresent, ...]
