"""Delivery (C1, C2): git hosting, checks, releases, promotion through environments, approvals, rollback."""

from bucle.delivery.checking import Checker, checkout_of
from bucle.delivery.checks import CHECKS, Bench, Check
from bucle.delivery.delivery import Delivery
from bucle.delivery.errors import GitRefused, NoRepository, NotOwnRepository, PushTooLarge, UnknownCheckRun
from bucle.delivery.judging import (
    LATENCY_EDGES_MS,
    Counts,
    Detectability,
    ErrorEvidence,
    Judgement,
    LatencyEvidence,
    PairedLossEvidence,
    alpha_of,
    detectable,
)
from bucle.delivery.models import prospects
from bucle.delivery.moves import RolledBackTo, approve, deploy_automatically, promote, refuse, roll_back
from bucle.delivery.policies import Policy, policy_of
from bucle.delivery.promotions import Promotion, get_promotion, list_promotions
from bucle.delivery.releases import (
    TEST,
    Release,
    ReleaseDeployment,
    get_release,
    list_releases,
    refusals,
    release_history,
)
from bucle.delivery.repositories import MAIN, Commit, Repository, ensure_repository, open_repository, repository_to_be
from bucle.delivery.results import CheckResult, CheckRun, Finding, Verdict, get_check_run, list_check_runs
from bucle.delivery.rollouts.looking import (
    ArmShown,
    RolloutShown,
    StepShown,
    abort,
    advance,
    count_decisions,
    get_rollout,
    list_rollouts,
    newest_rollout,
    running_rollouts,
    show,
)
from bucle.delivery.rollouts.prospects import Prospect
from bucle.delivery.rollouts.rollout import Point, Rollout
from bucle.delivery.trials import CandidateResult, candidate_checks, waive_candidate

__all__ = [
    "CHECKS",
    "LATENCY_EDGES_MS",
    "MAIN",
    "TEST",
    "ArmShown",
    "Bench",
    "CandidateResult",
    "Check",
    "CheckResult",
    "CheckRun",
    "Checker",
    "Commit",
    "Counts",
    "Delivery",
    "Detectability",
    "ErrorEvidence",
    "Finding",
    "GitRefused",
    "Judgement",
    "LatencyEvidence",
    "NoRepository",
    "NotOwnRepository",
    "PairedLossEvidence",
    "Point",
    "Policy",
    "Promotion",
    "Prospect",
    "PushTooLarge",
    "Release",
    "ReleaseDeployment",
    "Repository",
    "RolledBackTo",
    "Rollout",
    "RolloutShown",
    "StepShown",
    "UnknownCheckRun",
    "Verdict",
    "abort",
    "advance",
    "alpha_of",
    "approve",
    "candidate_checks",
    "checkout_of",
    "count_decisions",
    "deploy_automatically",
    "detectable",
    "ensure_repository",
    "get_check_run",
    "get_promotion",
    "get_release",
    "get_rollout",
    "list_check_runs",
    "list_promotions",
    "list_releases",
    "list_rollouts",
    "newest_rollout",
    "open_repository",
    "policy_of",
    "promote",
    "prospects",
    "refusals",
    "refuse",
    "release_history",
    "repository_to_be",
    "roll_back",
    "running_rollouts",
    "show",
    "waive_candidate",
]
