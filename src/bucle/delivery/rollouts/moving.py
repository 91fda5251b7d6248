"""How a rollout moves: it starts, goes on, ends with all traffic, or goes back. Each is one transaction: state and events."""

from dataclasses import dataclass, replace
from datetime import datetime

from bucle.delivery.events import (
    RolledBack,
    RolloutAdvanced,
    RolloutCompleted,
    RolloutJudged,
    RolloutRolledBack,
    RolloutStarted,
)
from bucle.delivery.judging import Judgement
from bucle.delivery.promotions import finish_promotion
from bucle.delivery.releases import deploy_release, get_release
from bucle.delivery.rollouts import store
from bucle.delivery.rollouts.evidence import Evidence
from bucle.delivery.rollouts.prospects import Prospect, step_name, step_phrase
from bucle.delivery.rollouts.rollout import Cause, Rollout
from bucle.ledger import Scope, Transaction, because, new_id, within
from bucle.messages import Phrase, Said, joined
from bucle.monitoring import Finding, fire
from bucle.project import RolloutPolicy, current_release
from bucle.registry import Stage, set_stage
from bucle.serving import Candidate, Deployment, accept_challenger, challenge, get_deployment, move_split, withdraw_challenger

STAGES: dict[str, Stage] = {"staging": "staging", "production": "production"}
"""The environments whose name is a stage of the registry: what answers there has that status."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a candidate is tried: what it must show, what could be detected, what the judges begin with.

    `maturity` is how long a label takes (microseconds).
    """

    policy: RolloutPolicy
    prospect: Prospect
    maturity: int
    evidence: Evidence


def begin_rollout(
    tx: Transaction, scope: Scope, promotion: str, candidate: Candidate, champion: Deployment, terms: Terms
) -> Rollout:
    """Let a candidate be tried beside what answers. Emits `delivery.rollout_started`, and because of it the challenger's."""
    id, first, now = new_id("roll"), terms.policy.stages[0], tx.clock.now()
    with within(scope):
        event = tx.emit(_started(candidate, champion, terms), id)
        with because(event):
            challenger = challenge(tx, scope, candidate, id, first.mode, first.share)
    rollout = Rollout(
        id=id,
        project=scope.project,
        environment=scope.environment,
        service=candidate.service,
        promotion=promotion,
        target=name_of(candidate),
        left=name_of(champion.candidate),
        model_version=candidate.model_version,
        champion=champion.id,
        challenger=challenger.id,
        policy=terms.policy,
        kind=candidate.contract.kind,
        maturity=terms.maturity,
        state="running",
        step=0,
        stepped=now,
        evidence=terms.evidence,
        prospect=terms.prospect.said,
        cause="",
        reason=None,
        created=now,
        ended=None,
        event=event,
        last=event,
    )
    store.insert_rollout(tx, rollout)
    store.insert_point(tx, rollout)
    return rollout


def _started(candidate: Candidate, champion: Deployment, terms: Terms) -> RolloutStarted:
    policy = terms.policy
    return RolloutStarted(
        service=candidate.service,
        target=name_of(candidate),
        left=name_of(champion.candidate),
        strategy=policy.strategy,
        steps=tuple(step_name(step) for step in policy.stages),
        champion=champion.id,
        model_version=candidate.model_version,
        requests=policy.requests,
        labels=policy.labels if "shadow" in policy.strategy else 0,
        within_seconds=policy.within.total_seconds(),
        prospect=terms.prospect.sentence,
    )


def decide(tx: Transaction, rollout: Rollout, now: datetime) -> bool:
    """Do what the evidence asks for: go back, go on, or nothing yet. Return whether the rollout moved."""
    worse = next((each for each in rollout.judgements if each.verdict == "worse"), None)
    if worse is not None:
        judged = judge_step(tx, rollout, "worse")
        go_back(tx, replace(rollout, last=judged), _cause(worse), worse.said)
        return True
    missing = rollout.missing(now)
    if not missing:
        judged = judge_step(tx, rollout, "no worse so far")
        go_on(tx, replace(rollout, last=judged), by_hand=False)
        return True
    if now - rollout.stepped > rollout.policy.within:
        judged = judge_step(tx, rollout, "undecided")
        days = rollout.policy.within.total_seconds() / 86_400
        lacks: dict[str, Said] = {"days": days, "step": step_phrase(rollout.stage), "missing": joined("and", *missing)}
        said = Phrase("rollout.undecided", lacks)
        go_back(tx, replace(rollout, last=judged), "time", said)
        return True
    return False


def judge_step(tx: Transaction, rollout: Rollout, verdict: str) -> int:
    """Record what the judges say of a step that ends; return the event's seq, which causes what follows."""
    judgements, errors = rollout.judgements, rollout.evidence.errors
    judged = RolloutJudged(
        service=rollout.service,
        step=step_name(rollout.stage),
        verdict=verdict,
        requests=errors.challenger.requests,
        failed=errors.challenger.failed,
        labelled=rollout.evidence.loss.rows,
        evidence={each.name: each.e_value for each in judgements},
        thresholds={each.name: each.threshold for each in judgements},
        sentences=tuple(each.sentence for each in judgements),
    )
    logged = store.last_logged(tx, rollout.champion, rollout.challenger)
    with within(rollout.scope), because(rollout.last, *logged):
        return tx.emit(judged, rollout.id)


def go_on(tx: Transaction, rollout: Rollout, *, by_hand: bool) -> None:
    """Let the next step begin; after the last one the new version answers everything."""
    step = rollout.step + 1
    if step == len(rollout.policy.stages):
        _complete(tx, rollout, by_hand)
        return
    stage = rollout.policy.stages[step]
    with within(rollout.scope), because(rollout.last):
        event = tx.emit(RolloutAdvanced(rollout.service, step_name(stage), stage.share, by_hand), rollout.id)
    move_split(tx, rollout.scope, rollout.service, step, stage.mode, stage.share)
    store.move_rollout(tx, rollout, step, event)


def go_back(tx: Transaction, rollout: Rollout, cause: Cause, said: Phrase) -> None:
    """Give the version before all traffic again, and end the promotion's other rollouts too.

    A judge's word fires an alert, and takes back the release with which the version came, if that is what runs there.
    """
    errors = rollout.evidence.errors
    gone = RolloutRolledBack(
        service=rollout.service,
        target=rollout.target,
        restored=rollout.left,
        step=step_name(rollout.stage),
        reason=cause,
        requests=errors.challenger.requests,
        failed=errors.challenger.failed,
        sentence=str(said),
    )
    with within(rollout.scope), because(rollout.last):
        event = tx.emit(gone, rollout.id)
        with because(event):
            challenger = withdraw_challenger(tx, rollout.scope, rollout.service)
            store.end_rollout(tx, rollout, "rolled back", cause, said, event)
            for other in store.select_of_promotion(tx, rollout.promotion):
                if other.state == "running":
                    ended = Phrase("rollout.ended_by_service", {"service": rollout.service})
                    go_back(tx, replace(other, last=event), "other service", ended)
            finish_promotion(tx, rollout.promotion, "rolled back")
            if cause in ("errors", "latency", "loss"):
                _alert(tx, rollout, challenger, cause)
                _return_release(tx, rollout, challenger)


def _complete(tx: Transaction, rollout: Rollout, by_hand: bool) -> None:
    requests = rollout.evidence.errors.challenger.requests
    done = RolloutCompleted(rollout.service, rollout.target, rollout.left, requests, by_hand)
    with within(rollout.scope), because(rollout.last):
        event = tx.emit(done, rollout.id)
        stage = STAGES.get(rollout.environment)
        with because(event):
            changed = set_stage(tx, rollout.model_version, stage) if stage else None
            with because(changed):
                accept_challenger(tx, rollout.scope, rollout.service)
            reason = Phrase("rollout.completed", {"target": rollout.target, "left": rollout.left})
            store.end_rollout(tx, rollout, "completed", "", reason, event)
            others = store.select_of_promotion(tx, rollout.promotion)
            if all(each.state == "completed" for each in others):
                finish_promotion(tx, rollout.promotion, "done", [each.service for each in others])


def _alert(tx: Transaction, rollout: Rollout, challenger: Deployment, judge: str) -> None:
    errors, losses = rollout.evidence.errors, rollout.evidence.loss
    judged = next(each for each in rollout.judgements if each.name == judge)
    numbers = {
        "requests": float(errors.challenger.requests),
        "failed": float(errors.challenger.failed),
        "labelled": float(losses.rows),
        "evidence": judged.e_value,
        "threshold": judged.threshold,
    }
    usual = {"champion_requests": errors.champion.requests, "champion_failed": errors.champion.failed}
    lost = losses.bound * losses.total / losses.rows if losses.rows else 0.0
    said = Phrase(f"alert.rollout_{judge}", {"target": rollout.target, "left": rollout.left, "lost": lost, **usual, **numbers})
    model = challenger.candidate.model
    fire(tx, rollout.scope, rollout.service, rollout.champion, model, Finding("rollout", "", said, numbers))


def _return_release(tx: Transaction, rollout: Rollout, challenger: Deployment) -> None:
    """Take back the release that the version came with: what runs there would train the next one in the same way."""
    champion = get_deployment(tx, rollout.champion)
    before, came = champion.candidate.release, challenger.candidate.release
    running = current_release(tx, rollout.scope)
    if not before or before == came or running is None or running.release_id != came:
        return
    release = get_release(tx, rollout.project, before)
    with because(release.event):
        event = tx.emit(RolledBack(rollout.project, came, before), rollout.project)
        with because(event):
            deploy_release(tx, rollout.scope, release, "rollback")


def name_of(candidate: Candidate) -> str:
    """Return a candidate's name: delay@7."""
    return f"{candidate.model}@{candidate.version}"


def _cause(judgement: Judgement) -> Cause:
    causes: dict[str, Cause] = {"errors": "errors", "latency": "latency", "loss": "loss"}
    return causes[judgement.name]
