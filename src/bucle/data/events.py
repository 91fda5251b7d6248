"""What this room tells the others."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class SourceConnected(Event, kind="data.source_connected", version=1):
    """The raw files of a source were found and read for a new version (K-8)."""

    source: str
    location: str
    format: str
    files: int
    bytes: int
    raw: str


@dataclass(frozen=True, slots=True)
class RulesRecorded(Event, kind="data.rules_recorded", version=1):
    """Cleaning rules were used for the first time in their present form (K-6).

    `changed` names the pieces of code that differ from the rules before; `because_run` is the run that a commit's trailer
    `Bucle-Run:` gives as the reason of the change (K-F1).
    """

    source: str
    digest: str
    commit: str | None
    where: str
    changed: list[str]
    because_run: str | None


@dataclass(frozen=True, slots=True)
class SchemaRecorded(Event, kind="data.schema_recorded", version=1):
    """A reviewed schema was used for the first time in its present form (BR-D1)."""

    source: str
    schema: str
    columns: int


@dataclass(frozen=True, slots=True)
class VersionCreated(Event, kind="data.version_created", version=1):
    """Raw files were extracted and cleaned by the rules into an immutable dataset version (K-9, K-10)."""

    source: str
    dataset: str
    manifest: str
    rows: int
    undated: int
    raw: str
    rules: str
    spec: str
    reused: bool


class LabelCount(msgspec.Struct, frozen=True):
    """How many of a source's rows have a label, still wait for it, or are past waiting and never got one.

    `label` is the name of a training set's label, or of a late column of a source that no training set takes as its spine.
    """

    label: str
    rows: int
    labelled: int
    pending: int
    never: int


@dataclass(frozen=True, slots=True)
class SourceProfiled(Event, kind="data.source_profiled", version=1):
    """A version's distributions, null shares and labels present were computed from the rows visible at that moment (K-5)."""

    source: str
    dataset: str
    profile: str
    rows: int
    null_shares: dict[str, float]
    labels: list[LabelCount]


@dataclass(frozen=True, slots=True)
class Validated(Event, kind="data.validated", version=1):
    """Rows were checked against the reviewed schema and for leaks (K-14, K-19, G1-dv).

    `outcome` is "pass", "warn" (value skew: the months and days in `vetoed` are not to be trained on) or "stop" (schema skew or
    leak).
    """

    source: str
    dataset: str
    outcome: str
    schema: str | None
    report: str
    rows: int
    findings: list[str]
    vetoed: list[str]


@dataclass(frozen=True, slots=True)
class LeakAccepted(Event, kind="data.leak_accepted", version=1):
    """A column that tells a label almost perfectly was let pass for the first time for the reason that its source declares.

    The actor is who had it ingested; `commit` holds the declaration, None outside of git or when the tree has changed since.
    """

    source: str
    column: str
    finding: str
    reason: str
    commit: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Arrived(Event, kind="data.arrived", version=1):
    """Rows of a source became visible since the last such event of it (K-12): at a tick, or of a day when nobody waits."""

    source: str
    dataset: str
    rows: int
    until: datetime


@dataclass(frozen=True, slots=True)
class IngestionFailed(Event, kind="data.ingestion_failed", version=1):
    """A due ingestion could not be done: malformed files, failing rules, missing files; the version before stays current."""

    source: str
    code: str
    reason: str
    where: str | None
