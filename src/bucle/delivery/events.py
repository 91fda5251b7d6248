"""What delivery tells the other rooms: pushes, checks, releases, promotions, deployments of releases, rollbacks."""

from dataclasses import dataclass

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class CommitReceived(Event, kind="delivery.commit_received", version=1):
    """A push brought a commit to a branch of the project's repository (K-C2). `run` is the trailer Bucle-Run (K-F1)."""

    ref: str
    before: str
    commit: str
    author: str
    email: str
    message: str
    run: str | None


@dataclass(frozen=True, slots=True)
class ChecksRequested(Event, kind="delivery.checks_requested", version=1):
    """A commit waits for its checks. `wanted` is "release" when passing makes a release, else "check"."""

    commit: str
    wanted: str


@dataclass(frozen=True, slots=True)
class ChecksStarted(Event, kind="delivery.checks_started", version=1):
    """The checks of a commit began; `attempt` is above 1 when an earlier one was interrupted."""

    commit: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ChecksInterrupted(Event, kind="delivery.checks_interrupted", version=1):
    """The process that ran the checks died; they will be done again from the start."""

    commit: str
    attempt: int


@dataclass(frozen=True, slots=True)
class CheckFinished(Event, kind="delivery.check_finished", version=1):
    """One named check of a commit ended. `where` is file:line of the first finding, `log` an artifact, `tag` one of G2-ci."""

    commit: str
    name: str
    check_kind: str
    tag: str | None
    outcome: str
    message: str
    where: str | None
    seconds: float
    log: str | None


@dataclass(frozen=True, slots=True)
class ChecksFinished(Event, kind="delivery.checks_finished", version=1):
    """All checks of a commit ended. `tags` are those of G2-ci that passed."""

    commit: str
    passed: bool
    failed: tuple[str, ...]
    tags: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Released(Event, kind="delivery.released", version=1):
    """A commit whose checks passed became a release (K-CI): commit, lock and data versions, named together by `digest`."""

    commit: str
    lock: str
    data_versions: tuple[str, ...]
    digest: str
    check_run: str
    author: str


@dataclass(frozen=True, slots=True)
class ReleaseRefused(Event, kind="delivery.release_refused", version=1):
    """A commit's checks failed; its author is told why, with file and line (K-F6)."""

    commit: str
    author: str
    check_run: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromotionRequested(Event, kind="delivery.promotion_requested", version=1):
    """Somebody wants a release or a model version in an environment; `policy` says what it takes (L-02)."""

    target: str
    policy: str
    authors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromotionApproved(Event, kind="delivery.promotion_approved", version=1):
    """Somebody who is not the author approved a promotion."""

    target: str
    note: str


@dataclass(frozen=True, slots=True)
class PromotionRefused(Event, kind="delivery.promotion_refused", version=1):
    """Somebody who may approve a promotion said no, or what it rested on no longer held."""

    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class CandidateChecked(Event, kind="delivery.candidate_checked", version=1):
    """A model version was checked as it is to answer for a service, before it does. The subject is the model version.

    `log` is an artifact with what was found and what the model printed.
    """

    target: str
    service: str
    name: str
    check_kind: str
    outcome: str
    message: str
    seconds: float
    log: str


@dataclass(frozen=True, slots=True)
class CandidateWaived(Event, kind="delivery.candidate_waived", version=1):
    """A person lets a model version answer in an environment although it failed a check there. The subject is the version."""

    target: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Promoted(Event, kind="delivery.promoted", version=1):
    """A promotion was carried out: the target is in the environment."""

    target: str
    promotion: str
    policy: str
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deployed(Event, kind="delivery.deployed", version=1):
    """An environment runs a release from now on, until then `before`; `manual` actions led to it (S-22)."""

    release: str
    commit: str
    lock: str
    before: str | None
    manual: int


@dataclass(frozen=True, slots=True)
class RolledBack(Event, kind="delivery.rolled_back", version=1):
    """A service, or an environment's release, went back to what it ran before."""

    name: str
    left: str
    restored: str


@dataclass(frozen=True, slots=True)
class RolloutStarted(Event, kind="delivery.rollout_started", version=1):
    """A model version is tried beside the one that answers (K-24). `prospect` says what could be detected at all.

    `champion` is the deployment that answers, `steps` are texts such as "shadow" and "canary 10 %"; `requests` and `labels`
    are what a step needs, `within_seconds` the time that it has for it. The subject is the rollout.
    """

    service: str
    target: str
    left: str
    strategy: str
    steps: tuple[str, ...]
    champion: str
    model_version: str
    requests: int
    labels: int
    within_seconds: float
    prospect: str


@dataclass(frozen=True, slots=True)
class RolloutJudged(Event, kind="delivery.rollout_judged", version=1):
    """The judges decided about a step: "worse", "no worse so far", or "undecided" when its time was over.

    `evidence` is the e-value of each judge against the challenger, `thresholds` what it takes; `requests`, `failed` and
    `labelled` are the challenger's since the start. The subject is the rollout.
    """

    service: str
    step: str
    verdict: str
    requests: int
    failed: int
    labelled: int
    evidence: dict[str, float]
    thresholds: dict[str, float]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RolloutAdvanced(Event, kind="delivery.rollout_advanced", version=1):
    """The next step of a rollout began, because of its judges or `by_hand`. The subject is the rollout."""

    service: str
    step: str
    share: int
    by_hand: bool


@dataclass(frozen=True, slots=True)
class RolloutCompleted(Event, kind="delivery.rollout_completed", version=1):
    """The new version answers everything from now on; the one before stands by. The subject is the rollout."""

    service: str
    target: str
    left: str
    requests: int
    by_hand: bool


@dataclass(frozen=True, slots=True)
class RolloutRolledBack(Event, kind="delivery.rollout_rolled_back", version=1):
    """The version before has all traffic again, which it never wholly lost. The subject is the rollout.

    `reason` is "errors", "latency" or "loss" (a judge), "time" (undecided for too long), "hand" or "other service".
    """

    service: str
    target: str
    restored: str
    step: str
    reason: str
    requests: int
    failed: int
    sentence: str
