"""Releases: a commit whose checks passed, with its lock and the data versions they saw (K-CI), and where they run."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from bucle.delivery import store
from bucle.delivery.errors import NothingToRollBack, UnknownRelease
from bucle.delivery.events import Deployed, Released, ReleaseRefused, RolledBack
from bucle.delivery.results import CheckRun
from bucle.ledger import EventFilter, Ledger, Reader, Scope, StoredEvent, Transaction, because, content_id, new_id, within
from bucle.project import current_release, point_environment

TEST = "test"
"""The environment in whose data and runtime a commit is checked; nothing reaches another without it (L-02)."""

_MANUAL = ("delivery.promotion_requested", "delivery.promotion_approved")


@dataclass(frozen=True, slots=True)
class Release:
    """A commit that passed its checks. `digest` names commit, lock and data versions together; `event` is its evidence."""

    id: str
    project: str
    commit: str
    lock: str
    versions: tuple[str, ...]
    digest: str
    author: str
    requester: str
    check_run: str
    created: datetime
    event: int


@dataclass(frozen=True, slots=True)
class ReleaseDeployment:
    """That an environment ran a release since a moment; `cause` is a promotion's id, "automatic" or "rollback"."""

    environment: str
    release: str
    cause: str
    since: datetime
    event: int


def get_release(reader: Reader | Transaction, project: str, id_or_commit: str) -> Release:
    """Return a release by its id or full commit. Raises `delivery/unknown-release`."""
    found = store.select_release(reader, project, id_or_commit)
    if found is None:
        raise UnknownRelease(project=project, release=id_or_commit)
    return found


def list_releases(ledger: Ledger, project: str, limit: int = 50) -> list[Release]:
    """Return the project's releases, the newest first."""
    with ledger.read() as reader:
        return store.select_releases(reader, project, limit)


def make_release(transaction: Transaction, run: CheckRun) -> Release:
    """Make the release of a commit whose checks passed; a commit that is released already keeps its release."""
    known = store.select_release(transaction, run.project, run.commit)
    if known is not None:
        return known
    digest = content_id(msgspec.json.encode((run.commit, run.lock, sorted(run.versions))))
    id = new_id("rel")
    event = transaction.emit(Released(run.commit, run.lock, run.versions, digest, run.id, run.author), id)
    release = Release(
        id=id,
        project=run.project,
        commit=run.commit,
        lock=run.lock,
        versions=run.versions,
        digest=digest,
        author=run.author,
        requester=run.requester,
        check_run=run.id,
        created=transaction.clock.now(),
        event=event,
    )
    store.insert_release(transaction, release)
    transaction.node(id, "artifact", "release", run.commit[:12], event)
    transaction.node(run.id, "execution", "check_run", run.commit[:12], run.event)
    transaction.edge(run.id, id, "released", event)
    for version in run.versions:
        transaction.edge(version, run.id, "data", event)
    return release


def refuse_release(transaction: Transaction, run: CheckRun) -> int:
    """Tell a commit's author why it is not released (K-F6); return the event's seq."""
    reasons = tuple(_reason(result.name, result.message, result.where) for result in run.failed)
    return transaction.emit(ReleaseRefused(run.commit, run.author, run.id, reasons), run.id)


def deploy_release(transaction: Transaction, scope: Scope, release: Release, cause: str) -> int:
    """Let an environment run a release from now on; return the event's seq. Running it already changes nothing."""
    before = current_release(transaction, scope)
    if before is not None and before.release_id == release.id:
        return before.event
    with within(scope):
        deployed = Deployed(
            release=release.id,
            commit=release.commit,
            lock=release.lock,
            before=before.release_id if before else None,
            manual=_manual_steps(transaction, cause),
        )
        event = transaction.emit(deployed, release.id)
        with because(event):
            point_environment(transaction, scope, release.id, release.commit, release.lock)
    store.insert_deployment(transaction, scope.project, scope.environment, release.id, cause, event)
    transaction.edge(release.id, f"{scope.project}/{scope.environment}", "runs", event)
    return event


def roll_back_release(transaction: Transaction, scope: Scope) -> Release:
    """Return an environment to the release that it ran before this one. Raises `delivery/nothing-before`."""
    now = current_release(transaction, scope)
    earlier = _before(transaction, scope, now.release_id) if now else None
    if now is None or earlier is None:
        raise NothingToRollBack(name=scope.project, environment=scope.environment)
    release = get_release(transaction, scope.project, earlier)
    with within(scope), because(release.event, now.event):
        event = transaction.emit(RolledBack(scope.project, now.release_id, release.id), scope.project)
        with because(event):
            deploy_release(transaction, scope, release, "rollback")
    return release


def release_history(ledger: Ledger, scope: Scope, limit: int = 50) -> list[ReleaseDeployment]:
    """Return what an environment has run, the newest first."""
    with ledger.read() as reader:
        return store.select_deployments(reader, scope.project, scope.environment, limit)


def has_run(reader: Reader | Transaction, scope: Scope, release: str) -> bool:
    """Return whether an environment has ever run a release."""
    return any(each.release == release for each in store.select_deployments(reader, scope.project, scope.environment, 10_000))


def refusals(ledger: Ledger, project: str, limit: int = 20) -> list[StoredEvent]:
    """Return the last refusals of the project, the newest first: what its developers should know (K-F6)."""
    wanted = EventFilter(kinds=(ReleaseRefused.kind,), project=project, newest_first=True, limit=limit)
    return ledger.events(wanted)


def _before(transaction: Transaction, scope: Scope, now: str) -> str | None:
    """The newest release that was not itself left by going back to what lies before it."""
    stack: list[str] = []
    for each in reversed(store.select_deployments(transaction, scope.project, scope.environment, 10_000)):
        if each.cause == "rollback" and each.release in stack:
            del stack[stack.index(each.release) + 1 :]
        else:
            stack.append(each.release)
    return stack[-2] if len(stack) > 1 and stack[-1] == now else None


def _manual_steps(transaction: Transaction, cause: str) -> int:
    """How many people had to do something for this deployment beside pushing (S-22)."""
    if cause == "automatic":
        return 0
    if cause == "rollback":
        return 1
    return store.count_events(transaction, cause, _MANUAL)


def _reason(name: str, message: str, where: str | None) -> str:
    return f"{name}: {where}: {message}" if where else f"{name}: {message}"
