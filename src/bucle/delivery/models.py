"""Model versions on their way into an environment: what they rest on, and how services come to answer with them (K-24)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bucle.data import ingest
from bucle.delivery import store
from bucle.delivery.candidates import must_pass
from bucle.delivery.errors import GatesNotPassed, NoEvidence
from bucle.delivery.events import RolledBack
from bucle.delivery.policies import Policy, policy_of
from bucle.delivery.promotions import Promotion, Subject
from bucle.delivery.releases import TEST
from bucle.delivery.repositories import open_repository
from bucle.delivery.rollouts.looking import abort
from bucle.delivery.rollouts.moving import STAGES, begin_rollout
from bucle.delivery.rollouts.planning import Planned, must_be_free, plan_service, terms_of
from bucle.delivery.rollouts.prospects import Prospect
from bucle.delivery.rollouts.rollout import Rollout
from bucle.delivery.rollouts.store import newest_of_service
from bucle.features import materialize
from bucle.ledger import Reader, Scope, Transaction, because, within
from bucle.project import DEV, Checkout, current_release, dev_checkout, export_commit, load_project_file
from bucle.registry import ModelVersion, find_version, set_stage
from bucle.runtimes import Code, load_code
from bucle.serving import Candidate, active_deployments, current_deployment, deploy, plan_candidate, rollback, services_of
from bucle.tracking import run_state

if TYPE_CHECKING:
    from bucle.delivery.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Plan:
    """What will answer for the services of a model, warmed and checked before anything is decided, and how it gets there.

    `checked` are the events of the checks that it passed.
    """

    version: ModelVersion
    services: tuple[Planned, ...]
    checked: tuple[int, ...]


def model_subject(delivery: "Delivery", scope: Scope, target: str) -> tuple[Subject, Policy]:
    """Return a model version as something to be promoted, and what it takes; dev, the working tree, takes any.

    Raises `delivery/gates-not-passed`, `delivery/no-evidence`, and what the registry raises for a version that is not there.
    """
    with delivery.home.ledger.read() as reader:
        version = find_version(reader, scope.project, target, usable=True)
        release, evidence = _evidence(reader, scope, version)
        if scope.environment != DEV:
            _must_have_passed(version)
        trainer = (run_state(reader, version.run, scope.project).actor,) if version.run else ()
    checkout = checkout_in(delivery, scope)
    with delivery.home.ledger.read() as reader:
        policy = policy_of(delivery.home, reader, load_project_file(checkout.root), scope.environment)
    authors = tuple(dict.fromkeys((version.actor, *trainer)))
    return Subject("model", version.name, release, authors, evidence, version.model, version.version), policy


def plan(delivery: "Delivery", scope: Scope, subject: Subject) -> Plan:
    """Plan what will answer, have each model loaded in its runtime (the build and test of K-24) and its features readable now.

    Raises `delivery/no-evidence` when the environment's release declares no service of the model, and what serving raises
    for a contract that does not hold or a model that does not load, and data and features for values that cannot be had;
    where a rollout would begin, `delivery/rollout-running` and `delivery/not-comparable`. Outside of dev the
    candidates must pass their checks: `delivery/candidate-failed`.
    """
    code = code_of(delivery, scope)
    with delivery.home.ledger.read() as reader:
        version = find_version(reader, scope.project, subject.target, usable=True)
    services = services_of(code, version.model)
    if not services:
        raise NoEvidence(
            subject=version.name,
            environment=scope.environment,
            reason=f"what runs there declares no service of the model {version.model!r}",
            advice=f'Add bucle.Service("{version.model}", model="{version.model}") and release it.',
        )
    environment = load_project_file(code.checkout.root).environment(scope.environment)
    candidates = [plan_candidate(code, service, version, subject.release, scope) for service in services]
    planned = [plan_service(delivery.home, scope, code, candidate, environment.rollout) for candidate in candidates]
    for each in planned:
        delivery.services.pool.warm(each.candidate)
        _make_features_readable(delivery, code, scope, each.candidate)
    checked: list[int] = []
    if scope.environment != DEV:
        checked = must_pass(delivery, scope, code, candidates, environment.load, version.evidence)
    return Plan(version, tuple(planned), tuple(checked))


def prospects(delivery: "Delivery", promotion: Promotion) -> list[Prospect]:
    """Return what the rollouts of a promotion could detect, one for each service that they would be tried in."""
    if promotion.kind != "model" or promotion.environment == DEV:
        return []
    policy = load_project_file(checkout_in(delivery, promotion.scope).root).environment(promotion.environment).rollout
    if not policy.stages:
        return []
    with delivery.home.ledger.read() as reader:
        names = {each.service for each in active_deployments(reader) if each.scope == promotion.scope}
        found = [current_deployment(reader, promotion.scope, name) for name in sorted(names)]
        champions = [each for each in found if each is not None and each.candidate.model == promotion.model]
        now_us = delivery.home.ledger.clock.now_us()
        return [terms_of(reader, each, policy, now_us).prospect for each in champions]


def _make_features_readable(delivery: "Delivery", code: Code, scope: Scope, candidate: Candidate) -> None:
    """Catch up with the clock: while no model took a view in an environment, no tick kept it readable there."""
    for view in candidate.contract.views:
        moment = delivery.home.ledger.clock.now()
        if not materialize(delivery.home, delivery.runners, code, scope, moment, only=view.name):
            ingest(delivery.home, delivery.artifacts, delivery.runners, code, scope, view.source)
            materialize(delivery.home, delivery.runners, code, scope, moment, only=view.name)


def carry_out(transaction: Transaction, scope: Scope, plan: Plan, promotion: str) -> tuple[list[str], list[Rollout]]:
    """Bring a version to its services: those that answer with another one begin a rollout, the others answer with it at once.

    Return the services that answer with it, and the rollouts. Nothing has the version's status before it has all traffic.
    """
    begun: list[Rollout] = []
    at_once = [each.candidate for each in plan.services if each.terms is None]
    with within(scope), because(*plan.version.evidence, *plan.checked):
        for each in plan.services:
            champion = current_deployment(transaction, scope, each.candidate.service)
            if each.terms is not None and champion is not None:
                must_be_free(transaction, scope, each.candidate.service)
                begun.append(begin_rollout(transaction, scope, promotion, each.candidate, champion, each.terms))
        stage = STAGES.get(scope.environment) if at_once else None
        changed = set_stage(transaction, plan.version.id, stage) if stage else None
        with because(changed):
            for candidate in at_once:
                deploy(transaction, scope, candidate)
    return [candidate.service for candidate in at_once], begun


def roll_back_service(delivery: "Delivery", scope: Scope, service: str) -> tuple[str, str]:
    """Let the model version that answered before answer again; return what was left and what came back.

    During a rollout that is its end. Raises `serving/nothing-to-restore`.
    """
    with delivery.home.ledger.read() as reader:
        newest = newest_of_service(reader, scope, service)
    if newest is not None and newest.state == "running":
        ended = abort(delivery, scope, service)
        return ended.target, ended.left
    with delivery.home.ledger.write() as transaction, within(scope):
        left = current_deployment(transaction, scope, service)
        restored = rollback(transaction, scope, service)
        candidate = restored.candidate
        names = (f"{left.candidate.model}@{left.candidate.version}" if left else "", f"{candidate.model}@{candidate.version}")
        stage = STAGES.get(scope.environment)
        with because(restored.event):
            if stage is not None:
                set_stage(transaction, candidate.model_version, stage)
            transaction.emit(RolledBack(service, *names), restored.id)
    return names


def code_of(delivery: "Delivery", scope: Scope) -> Code:
    """Return the code that an environment runs, in its runtime."""
    return load_code(delivery.home, delivery.runners, checkout_in(delivery, scope))


def checkout_in(delivery: "Delivery", scope: Scope) -> Checkout:
    """Return the files that an environment runs: the working tree of dev, else its release's commit.

    Raises `delivery/no-evidence` before the environment's first release, `project/no-working-tree`.
    """
    if scope.environment == DEV:
        return dev_checkout(delivery.home, scope.project)
    with delivery.home.ledger.read() as reader:
        pointer = current_release(reader, scope)
    if pointer is None:
        raise _nothing_there(scope, scope.project)
    return export_commit(delivery.home, open_repository(delivery.home, scope.project).path, scope.project, pointer.commit)


def _must_have_passed(version: ModelVersion) -> None:
    if not version.passed:
        failed = "; ".join(f"{gate.name}: {gate.reason}" for gate in version.failed) or "it was not judged by any gate"
        raise GatesNotPassed(model=version.model, version=version.version, failed=failed)


def _evidence(reader: Reader, scope: Scope, version: ModelVersion) -> tuple[str, tuple[int, ...]]:
    """Return the release whose services will answer, and the events that the promotion rests on (L-02).

    The working tree needs none. Elsewhere the code that the model was trained with must have passed its checks in test.
    """
    if scope.environment == DEV:
        return "", version.evidence
    pointer = current_release(reader, scope)
    if pointer is None:
        raise _nothing_there(scope, version.name)
    trained = store.select_release(reader, scope.project, version.commit) if version.commit else None
    run = run_state(reader, version.run, scope.project) if version.run else None
    if trained is None or (run is not None and run.dirty):
        raise NoEvidence(
            subject=version.name,
            environment=scope.environment,
            reason=f"the code that it was trained with has no passing evidence from {TEST}",
            advice="Commit it, push it, and train again from what was released.",
        )
    return pointer.release_id, (*version.evidence, trained.event, pointer.event)


def _nothing_there(scope: Scope, subject: str) -> NoEvidence:
    advice = f"Bring one there first: bucle promote release:COMMIT {scope.environment}"
    return NoEvidence(subject=subject, environment=scope.environment, reason="no release runs there yet", advice=advice)
