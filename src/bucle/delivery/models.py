"""Model versions on their way into an environment: what they rest on, and how services come to answer with them (K-24)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bucle.data import ingest
from bucle.delivery import store
from bucle.delivery.errors import GatesNotPassed, NoEvidence
from bucle.delivery.events import RolledBack
from bucle.delivery.policies import Policy, policy_of
from bucle.delivery.promotions import Subject
from bucle.delivery.releases import TEST
from bucle.delivery.repositories import open_repository
from bucle.features import materialize
from bucle.ledger import Reader, Scope, Transaction, because, within
from bucle.project import DEV, Checkout, current_release, dev_checkout, export_commit, load_project_file
from bucle.registry import ModelVersion, Stage, find_version, set_stage
from bucle.runtimes import Code, load_code
from bucle.serving import Candidate, current_deployment, deploy, plan_candidate, rollback, services_of
from bucle.tracking import run_state

if TYPE_CHECKING:
    from bucle.delivery.delivery import Delivery

_STAGES: dict[str, Stage] = {"staging": "staging", "production": "production"}
"""The environments whose name is a stage of the registry: being promoted there changes the version's status."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """What will answer for the services of a model, planned and warmed before anything is decided."""

    version: ModelVersion
    candidates: tuple[Candidate, ...]


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


def plan_rollout(delivery: "Delivery", scope: Scope, subject: Subject) -> Rollout:
    """Plan what will answer, have each model loaded in its runtime (the build and test of K-24) and its features readable now.

    Raises `delivery/no-evidence` when the environment's release declares no service of the model, and what serving raises
    for a contract that does not hold or a model that does not load, and data and features for values that cannot be had.
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
    candidates = tuple(plan_candidate(code, service, version, subject.release) for service in services)
    for candidate in candidates:
        delivery.services.pool.warm(candidate)
        _make_features_readable(delivery, code, scope, candidate)
    return Rollout(version, candidates)


def _make_features_readable(delivery: "Delivery", code: Code, scope: Scope, candidate: Candidate) -> None:
    """Catch up with the clock: while no model took a view in an environment, no tick kept it readable there."""
    for view in candidate.contract.views:
        moment = delivery.home.ledger.clock.now()
        if not materialize(delivery.home, delivery.runners, code, scope, moment, only=view.name):
            ingest(delivery.home, delivery.artifacts, delivery.runners, code, scope, view.source)
            materialize(delivery.home, delivery.runners, code, scope, moment, only=view.name)


def roll_out(transaction: Transaction, scope: Scope, rollout: Rollout) -> tuple[str, ...]:
    """Change the version's status, and because of that let its services answer with it (K-24); return the services."""
    version = rollout.version
    stage = _STAGES.get(scope.environment)
    with within(scope), because(*version.evidence):
        changed = set_stage(transaction, version.id, stage) if stage else None
        with because(changed):
            for candidate in rollout.candidates:
                deploy(transaction, scope, candidate)
    return tuple(candidate.service for candidate in rollout.candidates)


def roll_back_service(delivery: "Delivery", scope: Scope, service: str) -> tuple[str, str]:
    """Let the model version that answered before answer again; return what was left and what came back.

    Raises `serving/nothing-to-restore`.
    """
    with delivery.home.ledger.write() as transaction, within(scope):
        left = current_deployment(transaction, scope, service)
        restored = rollback(transaction, scope, service)
        candidate = restored.candidate
        names = (f"{left.candidate.model}@{left.candidate.version}" if left else "", f"{candidate.model}@{candidate.version}")
        stage = _STAGES.get(scope.environment)
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
