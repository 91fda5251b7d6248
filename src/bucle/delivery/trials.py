"""The checks of candidates as people read them, with their logs; and a person's word that lets one pass which failed."""

from dataclasses import dataclass
from datetime import datetime

from bucle.delivery import store
from bucle.delivery.events import CandidateWaived
from bucle.delivery.results import Finding
from bucle.ledger import Reader, Scope, Transaction, because, current_context, within
from bucle.registry import BadWaiver, ModelVersion, UnknownGate, Waiver, must_be_a_word


@dataclass(frozen=True, slots=True)
class CandidateResult:
    """How one check of a model version ended where it was to answer; `log` is an artifact, `event` the result's id."""

    event: int
    environment: str
    service: str
    name: str
    kind: str
    outcome: str
    message: str
    findings: tuple[Finding, ...]
    log: str
    seconds: float
    at: datetime
    waiver: Waiver | None = None

    @property
    def cleared(self) -> bool:
        """Whether it does not keep the version from answering."""
        return self.outcome != "failed" or self.waiver is not None


def candidate_checks(reader: Reader | Transaction, version: ModelVersion) -> list[CandidateResult]:
    """Return what the checks of a version found last, for each service and environment in which it was to answer."""
    return store.select_trials(reader, version.project, version.id)


def waive_candidate(tx: Transaction, scope: Scope, version: ModelVersion, name: str, reason: str) -> None:
    """Let a version answer in an environment although it failed a check there, in the name of the context's actor.

    Later checks are made and recorded all the same. Raises `registry/unknown-gate`, `registry/bad-waiver`.
    """
    found = [each for each in candidate_checks(tx, version) if each.environment == scope.environment]
    held = [each for each in found if each.name == name]
    if not held:
        raise UnknownGate(
            version=version.name, name=name[:60], gates=", ".join(sorted({each.name for each in found})) or "none"
        )
    failures = [each for each in held if not each.cleared]
    if not failures:
        passed = all(each.outcome != "failed" for each in held)
        raise BadWaiver(gate=name, problem="it passed" if passed else "it is waived already")
    must_be_a_word(name, reason)
    context, why = current_context(), reason.strip()
    with within(scope), because(*(each.event for each in failures), version.event):
        event = tx.emit(CandidateWaived(version.name, name, why), version.id)
    store.insert_waiver(tx, version.id, name, scope, (context.actor, context.role), why, event)
