"""What the registry tells the others: gates judged, versions registered, waived, labelled, retired."""

from dataclasses import dataclass
from typing import Any

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class GateJudged(Event, kind="registry.gate_judged", version=1):
    """A gate judged a model version that is about to be registered; `evidence` holds the numbers."""

    model: str
    number: int
    run: str | None
    gate: str
    gate_kind: str
    passed: bool
    reason: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VersionRegistered(Event, kind="registry.version_registered", version=1):
    """A model version entered the registry; caused by what its gates found and by the run's evaluation."""

    model: str
    number: int
    run: str | None
    package: str
    evaluation: str | None
    passed: bool
    failed: tuple[str, ...]
    previous: str | None


@dataclass(frozen=True, slots=True)
class GateWaived(Event, kind="registry.gate_waived", version=1):
    """A named person let a version pass a gate that it had failed; caused by the gate's verdict."""

    model: str
    number: int
    gate: str
    reason: str


@dataclass(frozen=True, slots=True)
class StageChanged(Event, kind="registry.stage_changed", version=1):
    """A version got another stage: registered, staging, production, archived. A label: traffic is moved by delivery."""

    model: str
    number: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class AliasSet(Event, kind="registry.alias_set", version=1):
    """An alias points to another version; `previous` is the id of the version that it pointed to."""

    model: str
    alias: str
    number: int
    previous: str | None


@dataclass(frozen=True, slots=True)
class AliasRemoved(Event, kind="registry.alias_removed", version=1):
    """An alias points to nothing any more."""

    model: str
    alias: str
    previous: str


@dataclass(frozen=True, slots=True)
class VersionRetired(Event, kind="registry.version_retired", version=1):
    """A version must not be used any more; its record stays."""

    model: str
    number: int
    reason: str
