"""Planning how a candidate comes to answer for a service, and what the judges of its rollout begin with."""

from dataclasses import dataclass

from bucle.delivery.errors import NotComparable, RolloutRunning
from bucle.delivery.judging import ErrorEvidence, PairedLossEvidence
from bucle.delivery.rollouts.evidence import Evidence
from bucle.delivery.rollouts.moving import Terms, name_of
from bucle.delivery.rollouts.prospects import BOUND, history_of, prospect_of
from bucle.delivery.rollouts.store import newest_of_service
from bucle.features import TrainingSetSpec
from bucle.ledger import Home, Reader, Scope, Transaction
from bucle.project import RolloutPolicy
from bucle.registry import version_of_id
from bucle.runtimes import Code
from bucle.serving import Candidate, Deployment, current_deployment


@dataclass(frozen=True, slots=True)
class Planned:
    """What will answer for a service: a candidate, and the terms of its rollout, None where it answers at once."""

    candidate: Candidate
    terms: Terms | None


def plan_service(home: Home, scope: Scope, code: Code, candidate: Candidate, policy: RolloutPolicy) -> Planned:
    """Return how a candidate comes to answer: at once where nothing else does, else by a rollout.

    Raises `delivery/rollout-running`, `delivery/not-comparable`.
    """
    with home.ledger.read() as reader:
        champion = current_deployment(reader, scope, candidate.service)
        must_be_free(reader, scope, candidate.service)
        if champion is None or champion.candidate == candidate or not policy.stages:
            return Planned(candidate, None)
        _must_be_comparable(scope, candidate, champion.candidate)
        return Planned(candidate, terms_of(reader, champion, policy, home.ledger.clock.now_us(), _maturity(code, candidate)))


def terms_of(
    reader: Reader | Transaction, champion: Deployment, policy: RolloutPolicy, now_us: int, maturity: int = 0
) -> Terms:
    """Return the terms of a rollout against a champion, with the traffic of the last days; `maturity` is the label's."""
    scope, service = champion.scope, champion.service
    bound = _bound(reader, scope, champion.candidate)
    history = history_of(reader, scope, service, now_us)
    evidence = Evidence(errors=ErrorEvidence(history=history), loss=PairedLossEvidence(bound=bound))
    return Terms(policy, prospect_of(reader, scope, service, policy, now_us, bound), maturity, evidence)


def _maturity(code: Code, candidate: Candidate) -> int:
    sets = code.description.specs("training_set", TrainingSetSpec)
    return max((each.label.matures_us for each in sets if each.label.name == candidate.contract.label), default=0)


def _bound(reader: Reader | Transaction, scope: Scope, champion: Candidate) -> float:
    """Return beyond which a difference of losses is cut off: nothing of probabilities and classes is; ten mean losses else."""
    if champion.contract.kind != "value":
        return BOUND
    evaluation = version_of_id(reader, champion.model_version, scope.project).evaluation
    return 10 * evaluation.mean_loss if evaluation is not None and evaluation.mean_loss > 0 else BOUND


def must_be_free(reader: Reader | Transaction, scope: Scope, service: str) -> None:
    """Raise `delivery/rollout-running` while a rollout of the service is on."""
    newest = newest_of_service(reader, scope, service)
    if newest is not None and newest.state == "running":
        raise RolloutRunning(target=newest.target, service=service, environment=scope.environment)


def _must_be_comparable(scope: Scope, candidate: Candidate, champion: Candidate) -> None:
    """Both arms must answer the same question about the same rows."""
    new, old = candidate.contract, champion.contract
    for what in ("label", "kind", "classes", "key"):
        if getattr(new, what) != getattr(old, what):
            names = {"target": name_of(candidate), "left": name_of(champion), "service": candidate.service}
            raise NotComparable(what=what, environment=scope.environment, where="rollout", **names)
