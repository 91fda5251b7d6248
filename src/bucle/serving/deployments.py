"""Deployments: which model version answers for a service in an environment. One is current, the one before stands by."""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from bucle.ledger import Reader, Row, Scope, Transaction, from_us, new_id, within
from bucle.serving import store
from bucle.serving.contract import Contract
from bucle.serving.errors import NothingDeployed, NothingToRestore
from bucle.serving.events import Deployed, Withdrawn

State = Literal["current", "standby", "retired", "challenger"]
"""Answers now; answered before and is kept warm for a rollback; answered once; is tried beside the current one."""

Strategy = Literal["replace", "rollback", "rollout"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is about to be deployed: a model version, where its code runs, and what its service promises.

    `runtime` is the digest of the lock's runtime, `root` the folder of the project's code; `commit` is empty for a working
    tree that has none. `scope` is where it is to answer: its child's log lies there.
    """

    service: str
    model: str
    version: int
    model_version: str
    package: str
    runtime: str
    root: str
    commit: str
    release: str
    contract: Contract
    scope: Scope | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model version that answers, or answered, for a service. `event` is the seq of its `serving.deployed`."""

    id: str
    project: str
    environment: str
    candidate: Candidate
    state: State
    strategy: Strategy
    replaced: str
    created: datetime
    as_of: datetime
    changed: datetime
    event: int

    @property
    def service(self) -> str:
        """The service's name."""
        return self.candidate.service

    @property
    def scope(self) -> Scope:
        """Project and environment."""
        return Scope(self.project, self.environment)


def deploy(tx: Transaction, scope: Scope, candidate: Candidate, *, strategy: Strategy = "replace") -> Deployment:
    """Let a candidate answer from now on; what answered until now stands by. Warm the candidate's child before.

    Emits `serving.deployed`, whose causes are those of the context: wrap it in `because(promotion.event)`.
    """
    previous = store.current_row(tx, scope, candidate.service)
    new, replaced = new_id("dep"), previous["id"] if previous else ""
    event = Deployed(
        deployment=new,
        service=candidate.service,
        model=candidate.model,
        number=candidate.version,
        model_version=candidate.model_version,
        release=candidate.release,
        runtime=candidate.runtime,
        strategy=strategy,
        replaced=replaced,
    )
    with within(scope):
        seq = tx.emit(event, new)
        tx.node(new, "execution", "deployment", f"{candidate.service}: {candidate.model}@{candidate.version}", seq)
        tx.edge(candidate.model_version, new, "serves", seq)
    now = _database_us()
    tx.execute(store.RETIRE_STANDBY, (now, scope.project, scope.environment, candidate.service))
    if previous:
        tx.execute(store.SET_STATE, ("standby", now, replaced))
    values = (new, scope.project, scope.environment, *candidate_values(candidate), "current", strategy, replaced)
    tx.execute(store.INSERT_DEPLOYMENT, (*values, now, tx.clock.now_us(), now, seq))
    return get_deployment(tx, new)


def rollback(tx: Transaction, scope: Scope, service: str) -> Deployment:
    """Let the deployment that answered before answer again. Raises `serving/nothing-to-restore`."""
    standby = tx.row(store.SELECT_STANDBY, (scope.project, scope.environment, service))
    if standby is None:
        raise NothingToRestore(service=service, environment=scope.environment)
    return deploy(tx, scope, _deployment(standby).candidate, strategy="rollback")


def withdraw(tx: Transaction, scope: Scope, service: str) -> None:
    """Let nothing answer for a service any more; what answered stands by. Raises `serving/nothing-deployed`."""
    deployment = current_deployment(tx, scope, service)
    if deployment is None:
        raise NothingDeployed(service=service, environment=scope.environment)
    with within(scope):
        tx.emit(Withdrawn(deployment.id, service), deployment.id)
    now = _database_us()
    tx.execute(store.RETIRE_STANDBY, (now, scope.project, scope.environment, service))
    tx.execute(store.SET_STATE, ("standby", now, deployment.id))


def current_deployment(reader: Reader | Transaction, scope: Scope, service: str) -> Deployment | None:
    """Return the deployment that answers for a service now, or None."""
    row = store.current_row(reader, scope, service)
    return _deployment(row) if row else None


def standby_deployment(reader: Reader | Transaction, scope: Scope, service: str) -> Deployment | None:
    """Return the deployment that a rollback would restore, or None."""
    row = reader.row(store.SELECT_STANDBY, (scope.project, scope.environment, service))
    return _deployment(row) if row else None


def get_deployment(reader: Reader | Transaction, id: str) -> Deployment:
    """Return a deployment by id. Raises KeyError: ids come from the ledger, not from users."""
    row = reader.row(store.SELECT_DEPLOYMENT, (id,))
    if row is None:
        raise KeyError(id)
    return _deployment(row)


def list_deployments(
    reader: Reader | Transaction, scope: Scope, service: str | None = None, limit: int = 100
) -> list[Deployment]:
    """Return the deployments of a service, or of all services of the scope, newest first."""
    if service is None:
        rows = reader.rows(store.SELECT_DEPLOYMENTS, (scope.project, scope.environment, limit))
    else:
        rows = reader.rows(store.SELECT_HISTORY, (scope.project, scope.environment, service, limit))
    return [_deployment(row) for row in rows]


def active_deployments(reader: Reader) -> list[Deployment]:
    """Return every deployment of the home whose child may be needed: what answers, stands by or is tried beside it."""
    return [_deployment(row) for row in reader.rows(store.SELECT_ACTIVE)]


def candidate_values(candidate: Candidate) -> tuple[object, ...]:
    """Return a candidate as the columns of its deployment's row, from `service` to `contract`."""
    return (
        candidate.service,
        candidate.model,
        candidate.version,
        candidate.model_version,
        candidate.package,
        candidate.runtime,
        candidate.root,
        candidate.commit,
        candidate.release,
        msgspec.json.encode(candidate.contract).decode(),
    )


def _deployment(row: Row) -> Deployment:
    return Deployment(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        candidate=Candidate(
            service=row["service"],
            model=row["model"],
            version=row["version"],
            model_version=row["model_version"],
            package=row["package"],
            runtime=row["runtime"],
            root=row["root"],
            commit=row["commit_sha"],
            release=row["release_id"],
            contract=msgspec.json.decode(row["contract"], type=Contract),
            scope=Scope(row["project"], row["environment"]),
        ),
        state=row["state"],
        strategy=row["strategy"],
        replaced=row["replaced"],
        created=from_us(row["created_us"]),
        as_of=from_us(row["as_of_us"]),
        changed=from_us(row["changed_us"]),
        event=row["event"],
    )


def _database_us() -> int:
    return time.time_ns() // 1000
