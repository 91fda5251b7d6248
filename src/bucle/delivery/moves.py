"""Bringing releases and model versions into environments and back: what `promote`, `approve` and `rollback` do."""

import logging
from dataclasses import dataclass, replace

import msgspec

from bucle.delivery import store
from bucle.delivery.checking import checkout_of
from bucle.delivery.delivery import Delivery
from bucle.delivery.errors import BadTarget, CandidateFailed, DevRunsNoRelease, NoEvidence, RolloutRunning, UnknownRelease
from bucle.delivery.models import Plan, carry_out, model_subject, plan, roll_back_service
from bucle.delivery.policies import Policy, policy_of, stricter
from bucle.delivery.promotions import (
    Promotion,
    Subject,
    approve_promotion,
    begin_rolling_out,
    complete_promotion,
    get_promotion,
    may_approve,
    must_be_pending,
    refuse_promotion,
    request_promotion,
)
from bucle.delivery.releases import TEST, Release, deploy_release, has_run, roll_back_release
from bucle.delivery.repositories import open_repository
from bucle.identity import Principal
from bucle.ledger import Scope, StoredEvent, Subscription, Transaction, because, within
from bucle.project import DEV, ProjectFile, current_release, load_project_file
from bucle.registry import list_versions
from bucle.serving import list_deployments

_SYSTEM = Principal("prn_system", "system", "service", ())
_log = logging.getLogger(__name__)


class _Registered(msgspec.Struct, frozen=True):
    """The fields of `registry.version_registered` that this room reads."""

    model: str
    number: int
    passed: bool


class _RolloutEnded(msgspec.Struct, frozen=True):
    """The fields of `delivery.rollout_completed` and `delivery.rollout_rolled_back` that are read here."""

    target: str


@dataclass(frozen=True, slots=True)
class RolledBackTo:
    """What an environment, or a service in it, went back to: a release or a model version."""

    name: str
    environment: str
    left: str
    restored: str


def promote(delivery: Delivery, scope: Scope, target: str, principal: Principal) -> Promotion:
    """Bring `delay@7`, `release:COMMIT` or a release by its id to an environment.

    At once where the policy is automatic, else it waits for approval.

    Raises `delivery/bad-target`, `delivery/no-evidence` (L-02), `delivery/gates-not-passed`, `delivery/unknown-release`,
    `project/unknown-environment`, and what the registry raises for a version that is not there.
    """
    kind, name = _parse(target)
    if kind == "release":
        subject, policy = _release_subject(delivery, scope, name, principal)
    else:
        subject, policy = model_subject(delivery, scope, name)
    planned = _planned(delivery, scope, subject) if policy == "automatic" else None
    with delivery.home.ledger.write() as transaction:
        promotion = request_promotion(transaction, scope, subject, policy, principal)
        if promotion.policy == "automatic":
            return _carry_out(transaction, promotion, subject, planned, promotion.event, None, "")
    return promotion


def approve(delivery: Delivery, project: str, id: str, principal: Principal, note: str = "") -> Promotion:
    """Agree to a promotion, which is then carried out if its evidence still holds.

    Raises `delivery/own-approval`, `delivery/not-pending`, `delivery/no-evidence`, `delivery/gates-not-passed`,
    `identity/forbidden`.
    """
    promotion = get_promotion(delivery.home.ledger, project, id)
    must_be_pending(promotion)
    subject, policy = _again(delivery, promotion)
    promotion = replace(promotion, policy=stricter(promotion.policy, policy))
    may_approve(promotion, principal)
    planned = _planned(delivery, promotion.scope, subject)
    with delivery.home.ledger.write() as transaction:
        promotion = _as_it_is(transaction, promotion)
        approval = approve_promotion(transaction, promotion, principal, note)
        return _carry_out(transaction, promotion, subject, planned, approval, principal.name, note)


def _as_it_is(transaction: Transaction, promotion: Promotion) -> Promotion:
    """Return a promotion with who asked for it meanwhile."""
    found = store.select_promotion(transaction, promotion.id) or promotion
    return replace(found, policy=stricter(promotion.policy, found.policy))


def refuse(delivery: Delivery, project: str, id: str, principal: Principal, reason: str) -> Promotion:
    """Say no to a promotion. Raises `delivery/not-pending`, `identity/forbidden`."""
    promotion = get_promotion(delivery.home.ledger, project, id)
    must_be_pending(promotion)
    with delivery.home.ledger.write() as transaction:
        refuse_promotion(transaction, promotion, principal, reason)
    return get_promotion(delivery.home.ledger, project, id)


def roll_back(delivery: Delivery, scope: Scope, name: str) -> RolledBackTo:
    """Return a service to what answered before, or with the project's name its environment to the release before.

    A rollout of the service that is on ends with that. Raises `delivery/nothing-before`, and what serving raises for a service
    that has nothing to restore.
    """
    if name != scope.project:
        left, restored = roll_back_service(delivery, scope, name)
        return RolledBackTo(name, scope.environment, left, restored)
    with delivery.home.ledger.write() as transaction:
        now = current_release(transaction, scope)
        release = roll_back_release(transaction, scope)
    return RolledBackTo(name, scope.environment, now.release_id if now else "", release.id)


def deploy_automatically(delivery: Delivery) -> Subscription:
    """Return the subscription that deploys a version which passed its gates, where the environment's policy is automatic.

    So a retraining can reach its service without anybody's hand (G1-a, J-2). In dev the developer decides. What is registered
    while another version is rolled out has its turn, if it is still the newest, when that has ended; what was rolled back has
    none again.
    """

    def handle(event: StoredEvent) -> None:
        scope = Scope(event.project, event.environment)
        if scope.environment == DEV:
            return
        if event.kind == "registry.version_registered":
            registered = event.decode(_Registered)
            if registered.passed:
                _promote_by_itself(delivery, scope, f"{registered.model}@{registered.number}", event.subject)
            return
        model, _, ended = event.decode(_RolloutEnded).target.partition("@")
        with delivery.home.ledger.read() as reader:
            here = [each for each in list_versions(reader, scope.project, model) if each.environment == scope.environment]
        if here and here[0].version > int(ended) and here[0].passed:
            _promote_by_itself(delivery, scope, here[0].name, here[0].id)

    kinds = ("registry.version_registered", "delivery.rollout_completed", "delivery.rollout_rolled_back")
    return Subscription("deploy-automatically", kinds, handle)


def _promote_by_itself(delivery: Delivery, scope: Scope, name: str, id: str) -> None:
    try:
        policy = model_subject(delivery, scope, name)[1]
        if policy == "automatic" and not _already_answers(delivery, scope, id):
            promote(delivery, scope, name, _SYSTEM)
    except (CandidateFailed, NoEvidence, RolloutRunning) as error:
        _log.info("%s is not deployed automatically: %s", name, error.text)


def _already_answers(delivery: Delivery, scope: Scope, version: str) -> bool:
    with delivery.home.ledger.read() as reader:
        return any(each.candidate.model_version == version for each in list_deployments(reader, scope, limit=1000))


def _parse(target: str) -> tuple[str, str]:
    if target.startswith("release:") and len(target) > len("release:"):
        return "release", target.removeprefix("release:")
    if target.startswith("rel_"):
        return "release", target
    model, at, version = target.partition("@")
    if model and at and version:
        return "model", target
    raise BadTarget(target=target[:80])


def _again(delivery: Delivery, promotion: Promotion) -> tuple[Subject, Policy]:
    """Look at evidence and policy once more: what was true when somebody asked may not be when somebody agrees."""
    if promotion.kind == "release":
        return _release_subject(delivery, promotion.scope, promotion.target.removeprefix("release:"))
    return model_subject(delivery, promotion.scope, promotion.target)


def _planned(delivery: Delivery, scope: Scope, subject: Subject) -> Plan | None:
    """Make ready what will answer, before anything is decided: a model that cannot be loaded is found here."""
    return plan(delivery, scope, subject) if subject.kind == "model" else None


def _carry_out(
    transaction: Transaction,
    promotion: Promotion,
    subject: Subject,
    planned: Plan | None,
    agreed: int,
    approver: str | None,
    note: str,
) -> Promotion:
    """State and events in one transaction: either all of the promotion is there or nothing."""
    with within(promotion.scope), because(promotion.event, agreed, *subject.evidence):
        if planned is not None:
            services, begun = carry_out(transaction, promotion.scope, planned, promotion.id)
            if begun:
                return begin_rolling_out(transaction, promotion, approver, note)
        else:
            release = store.select_release(transaction, promotion.project, subject.release)
            if release is None:
                raise UnknownRelease(project=promotion.project, release=subject.release)
            with because(deploy_release(transaction, promotion.scope, release, promotion.id)):
                return complete_promotion(transaction, promotion, (), approver, note)
        return complete_promotion(transaction, promotion, services, approver, note)


def _release_subject(delivery: Delivery, scope: Scope, name: str, asker: Principal | None = None) -> tuple[Subject, Policy]:
    release = _find_release(delivery, scope.project, name)
    candidate = _project_file(delivery, release)
    if scope.environment == DEV:
        raise DevRunsNoRelease(project=scope.project, known=", ".join(candidate.environments))
    with delivery.home.ledger.read() as reader:
        policy = policy_of(delivery.home, reader, candidate, scope.environment, asker)
        if scope.environment != TEST and TEST in candidate.environments:
            tested = has_run(reader, Scope(scope.project, TEST), release.id)
            if not tested:
                raise NoEvidence(
                    subject=f"release {release.commit[:10]}",
                    environment=scope.environment,
                    reason="it has never run in test",
                    advice=f"Bring it there first: bucle promote release:{release.commit[:10]} test",
                )
    authors = tuple(dict.fromkeys((release.author, release.requester)))
    return Subject("release", f"release:{release.commit}", release.id, authors, (release.event,)), policy


def _find_release(delivery: Delivery, project: str, name: str) -> Release:
    """By id, or by anything that names a commit of the repository. A commit that is no release has no evidence (L-02)."""
    with delivery.home.ledger.read() as reader:
        found = store.select_release(reader, project, name)
    if found is not None:
        return found
    sha = open_repository(delivery.home, project).resolve(name)
    with delivery.home.ledger.read() as reader:
        found = store.select_release(reader, project, sha)
    if found is None:
        raise UnknownRelease(project=project, release=sha[:10])
    return found


def _project_file(delivery: Delivery, release: Release) -> ProjectFile:
    repository = open_repository(delivery.home, release.project)
    return load_project_file(checkout_of(delivery.home, repository, release.commit).root)
