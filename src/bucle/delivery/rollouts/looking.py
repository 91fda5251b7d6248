"""A rollout as people see it: its steps, what it waits for, its evidence and how that grew; and what a person may do to it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from bucle.delivery.errors import NoRollout, UnknownRollout
from bucle.delivery.judging import Judgement
from bucle.delivery.rollouts import store
from bucle.delivery.rollouts.moving import go_back, go_on, judge_step
from bucle.delivery.rollouts.prospects import step_phrase
from bucle.delivery.rollouts.rollout import Decisions, Point, Rollout
from bucle.ledger import Reader, Scope, current_context
from bucle.messages import Phrase, Said, joined
from bucle.serving import Agreement, agreement, get_deployment

if TYPE_CHECKING:
    from bucle.delivery.delivery import Delivery

StepState = Literal["done", "current", "waiting", "never"]


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step of a rollout: "never" is one that it did not come to; the last, all traffic, has share 100."""

    number: int
    name: str
    mode: str
    share: int
    state: StepState


@dataclass(frozen=True, slots=True)
class ArmShown:
    """One of the two deployments of a rollout, what it was asked for and what it could not answer."""

    deployment: str
    name: str
    model_version: str
    release: str
    requests: int
    failed: int


@dataclass(frozen=True, slots=True)
class RolloutShown:
    """A rollout with its steps, arms and evidence. `sentence` says where it stands, `missing` what the step still lacks.

    `step_requests` are the challenger's of the present step, of `requests` that it needs; `latest` is when the step ends
    undecided. `agreement` compares shadow answers, `failures` says why the challenger failed how often. `points` is how the
    evidence grew.
    """

    id: str
    service: str
    environment: str
    promotion: str
    state: str
    strategy: str
    steps: list[StepShown]
    champion: ArmShown
    challenger: ArmShown
    prospect: str
    sentence: str
    missing: list[str]
    step_requests: int
    requests: int
    labelled: int
    labels: int
    hold_seconds: float
    within_seconds: float
    latest: datetime | None
    judgements: list[Judgement]
    agreement: Agreement | None
    failures: dict[str, int]
    cause: str
    created: datetime
    ended: datetime | None
    event: int
    last: int
    points: list[Point]


def get_rollout(reader: Reader, project: str, id: str) -> Rollout:
    """Return a rollout of a project. Raises `delivery/unknown-rollout`."""
    found = store.select_rollout(reader, project, id)
    if found is None:
        raise UnknownRollout(id=id)
    return found


def newest_rollout(reader: Reader, scope: Scope, service: str) -> Rollout:
    """Return the rollout of a service that is on, else its last. Raises `delivery/no-rollout`."""
    found = store.newest_of_service(reader, scope, service)
    if found is None:
        raise NoRollout(service=service, environment=scope.environment)
    return found


def list_rollouts(reader: Reader, scope: Scope, limit: int = 50) -> list[Rollout]:
    """Return the rollouts of an environment, newest first."""
    return store.select_rollouts(reader, scope, limit)


def running_rollouts(reader: Reader) -> list[Rollout]:
    """Return every rollout of the home that is on."""
    return store.select_running(reader)


def count_decisions(reader: Reader) -> list[Decisions]:
    """Return what was decided about the rollouts of the home so far, by service."""
    return store.count_decisions(reader)


def show(reader: Reader, rollout: Rollout, now: datetime, lang: str = "en", *, points: bool = True) -> RolloutShown:
    """Return a rollout as people see it, said in a language, with or without how its evidence grew."""
    policy, evidence = rollout.policy, rollout.evidence
    running = rollout.state == "running"
    return RolloutShown(
        id=rollout.id,
        service=rollout.service,
        environment=rollout.environment,
        promotion=rollout.promotion,
        state=rollout.state,
        strategy=policy.strategy,
        steps=_steps(rollout, lang),
        champion=_arm(reader, rollout, rollout.champion, rollout.left),
        challenger=_arm(reader, rollout, rollout.challenger, rollout.target),
        prospect=rollout.prospect.text(lang),
        sentence=_said(rollout, now).text(lang),
        missing=[each.text(lang) for each in rollout.missing(now)] if running else [],
        step_requests=evidence.step_rows,
        requests=policy.requests,
        labelled=evidence.loss.rows,
        labels=policy.labels if "shadow" in policy.strategy else 0,
        hold_seconds=policy.hold.total_seconds(),
        within_seconds=policy.within.total_seconds(),
        latest=rollout.stepped + policy.within if running else None,
        judgements=[each.told(lang) for each in rollout.judgements],
        agreement=_agreement(reader, rollout) if "shadow" in policy.strategy else None,
        failures=evidence.causes,
        cause=rollout.cause,
        created=rollout.created,
        ended=rollout.ended,
        event=rollout.event,
        last=rollout.last,
        points=[_told(each, lang) for each in store.select_points(reader, rollout.id)] if points else [],
    )


def advance(delivery: "Delivery", scope: Scope, service: str) -> Rollout:
    """Let the next step begin on a person's word, without the evidence that it lacks. Raises `delivery/no-rollout`."""
    delivery.watch.judge()
    with delivery.watch.turn, delivery.home.ledger.write() as tx:
        running = _running(store.newest_of_service(tx, scope, service), scope, service)
        judged = judge_step(tx, running, "not waited for")
        go_on(tx, replace(running, last=judged), by_hand=True)
    with delivery.home.ledger.read() as reader:
        return newest_rollout(reader, scope, service)


def abort(delivery: "Delivery", scope: Scope, service: str, reason: str = "") -> Rollout:
    """Give the version before all traffic again on a person's word. Raises `delivery/no-rollout`."""
    ended = {"actor": current_context().actor, "reason": reason}
    said = Phrase("rollout.ended_because" if reason else "rollout.ended", ended)
    with delivery.watch.turn, delivery.home.ledger.write() as tx:
        running = _running(store.newest_of_service(tx, scope, service), scope, service)
        go_back(tx, running, "hand", said)
    with delivery.home.ledger.read() as reader:
        return newest_rollout(reader, scope, service)


def _running(found: Rollout | None, scope: Scope, service: str) -> Rollout:
    if found is None or found.state != "running":
        raise NoRollout(service=service, environment=scope.environment)
    return found


def _steps(rollout: Rollout, lang: str) -> list[StepShown]:
    stages = rollout.policy.stages
    shown = [
        StepShown(number, step_phrase(step).text(lang), step.mode, step.share, _state(rollout, number))
        for number, step in enumerate(stages)
    ]
    last = Phrase("rollout.step.all").text(lang)
    return [*shown, StepShown(len(stages), last, "all", 100, _state(rollout, len(stages)))]


def _state(rollout: Rollout, number: int) -> StepState:
    if rollout.state == "completed" or number < rollout.step:
        return "done"
    if number > rollout.step:
        return "waiting" if rollout.state == "running" else "never"
    return "current" if rollout.state == "running" else "done"


def _arm(reader: Reader, rollout: Rollout, id: str, name: str) -> ArmShown:
    candidate = get_deployment(reader, id).candidate
    errors = rollout.evidence.errors
    counts = errors.champion if id == rollout.champion else errors.challenger
    return ArmShown(id, name, candidate.model_version, candidate.release, counts.requests, counts.failed)


def _agreement(reader: Reader, rollout: Rollout) -> Agreement:
    champion = get_deployment(reader, rollout.champion).candidate.contract
    challenger = get_deployment(reader, rollout.challenger).candidate.contract
    return agreement(reader, rollout.id, champion.threshold, challenger.threshold)


def _told(point: Point, lang: str) -> Point:
    return replace(point, judgements=tuple(each.told(lang) for each in point.judgements))


def _said(rollout: Rollout, now: datetime) -> Phrase:
    if rollout.reason is not None:
        return rollout.reason
    missing = rollout.missing(now)
    waits = Phrase("rollout.waits", {"missing": joined("and", *missing)}) if missing else Phrase("rollout.ready")
    where: dict[str, Said] = {
        "target": rollout.target,
        "step": step_phrase(rollout.stage),
        "left": rollout.left,
        "waits": waits,
    }
    return Phrase("rollout.under_way", where)
