"""Splits: while a rollout is on, a second deployment takes part in a service, in shadow or for a share of the keys."""

import hashlib
import time
from dataclasses import dataclass
from typing import Literal

from bucle.ledger import Reader, Scope, Transaction, new_id, within
from bucle.serving import store
from bucle.serving.deployments import Candidate, Deployment, candidate_values, current_deployment, deploy, get_deployment
from bucle.serving.errors import NothingDeployed
from bucle.serving.events import ChallengerDeployed, ChallengerWithdrawn

SplitMode = Literal["shadow", "canary"]

_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Split:
    """How a service's requests are divided: `challenger` is a deployment, `share` the percent of keys that it answers.

    In shadow it answers none: it scores what the champion answered, beside the requests.
    """

    rollout: str
    step: int
    challenger: str
    mode: SplitMode
    share: int

    def takes(self, key: object) -> bool:
        """Whether the challenger answers for a key: always the same for it, and kept when the share grows."""
        if self.mode != "canary":
            return False
        digest = hashlib.blake2b(f"{self.rollout}\0{key}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % _PARTS < self.share * _PARTS // 100


def challenge(tx: Transaction, scope: Scope, candidate: Candidate, rollout: str, mode: SplitMode, share: int) -> Deployment:
    """Let a candidate take part in a service beside what answers, as step 0 of a rollout. Warm its child before.

    Emits `serving.challenger_deployed`. Raises `serving/nothing-deployed`.
    """
    champion = current_deployment(tx, scope, candidate.service)
    if champion is None:
        raise NothingDeployed(service=candidate.service, environment=scope.environment)
    new = new_id("dep")
    event = ChallengerDeployed(
        deployment=new,
        service=candidate.service,
        model=candidate.model,
        number=candidate.version,
        model_version=candidate.model_version,
        release=candidate.release,
        runtime=candidate.runtime,
        champion=champion.id,
        rollout=rollout,
    )
    with within(scope):
        seq = tx.emit(event, new)
        tx.node(new, "execution", "deployment", f"{candidate.service}: {candidate.model}@{candidate.version}", seq)
        tx.edge(candidate.model_version, new, "serves", seq)
    now = time.time_ns() // 1000
    values = (new, scope.project, scope.environment, *candidate_values(candidate), "challenger", "rollout", champion.id)
    tx.execute(store.INSERT_DEPLOYMENT, (*values, now, tx.clock.now_us(), now, seq))
    place = (scope.project, scope.environment, candidate.service)
    tx.execute(store.INSERT_SPLIT, (*place, rollout, 0, new, mode, share))
    return get_deployment(tx, new)


def move_split(tx: Transaction, scope: Scope, service: str, step: int, mode: SplitMode, share: int) -> None:
    """Let the next step of a rollout begin."""
    tx.execute(store.MOVE_SPLIT, (step, mode, share, scope.project, scope.environment, service))


def accept_challenger(tx: Transaction, scope: Scope, service: str) -> Deployment:
    """Let the challenger answer everything from now on; what answered until now stands by. Emits `serving.deployed`."""
    challenger = _end(tx, scope, service)
    return deploy(tx, scope, challenger.candidate, strategy="rollout")


def withdraw_challenger(tx: Transaction, scope: Scope, service: str) -> Deployment:
    """Give all requests back to what answered before, which never stopped. Emits `serving.challenger_withdrawn`."""
    challenger = _end(tx, scope, service)
    with within(scope):
        tx.emit(ChallengerWithdrawn(challenger.id, service), challenger.id)
    return challenger


def get_split(reader: Reader | Transaction, scope: Scope, service: str) -> Split | None:
    """Return how a service's requests are divided now, None when one deployment answers all."""
    row = reader.row(store.SELECT_SPLIT, (scope.project, scope.environment, service))
    return Split(row["rollout"], row["step"], row["challenger"], row["mode"], row["share"]) if row else None


def _end(tx: Transaction, scope: Scope, service: str) -> Deployment:
    split = get_split(tx, scope, service)
    if split is None:
        raise NothingDeployed(service=service, environment=scope.environment)
    tx.execute(store.DELETE_SPLIT, (scope.project, scope.environment, service))
    tx.execute(store.SET_STATE, ("retired", time.time_ns() // 1000, split.challenger))
    return get_deployment(tx, split.challenger)
