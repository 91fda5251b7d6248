"""The pages of rollouts: all of them, and one with its split, its steps and the evidence of its judges as it grows."""

from dataclasses import dataclass

from bucle.delivery import Judgement, RolloutShown, get_rollout, list_rollouts, show
from bucle.server.pages.chart import Chart
from bucle.server.pages.environments import visible_environments
from bucle.server.pages.evidence import draw_evidence
from bucle.server.pages.page import Page
from bucle.server.routing import Call

_SHOWN = 100
LIVE = ("delivery.rollout_started", "delivery.rollout_judged", "delivery.rollout_advanced", "delivery.rollout_completed",
        "delivery.rollout_rolled_back", "serving.predictions_logged", "serving.labels_recorded")  # fmt: skip


@dataclass(frozen=True, slots=True)
class RolloutsDocument:
    """The rollouts of the environments that the caller may see: those that are on first, then the newest."""

    rollouts: list[RolloutShown]


@dataclass(frozen=True, slots=True)
class Judge:
    """What a judge says, and how its evidence grew."""

    judgement: Judgement
    chart: Chart | None


@dataclass(frozen=True, slots=True)
class RolloutDocument:
    """A rollout; `share` is how much of the traffic the challenger answers now, in percent."""

    rollout: RolloutShown
    share: int
    judges: list[Judge]


def rollouts_document(call: Call) -> RolloutsDocument:
    """Return the rollouts of the project."""
    now = call.house.ledger.clock.now()
    with call.house.ledger.read() as reader:
        scopes = visible_environments(call, reader, "delivery.read")
        found = [each for scope in scopes for each in list_rollouts(reader, scope, _SHOWN)]
        found.sort(key=lambda each: (each.state != "running", -each.event))
        return RolloutsDocument([show(reader, each, now, call.language, points=False) for each in found[:_SHOWN]])


def rollout_document(call: Call) -> RolloutDocument:
    """Return one rollout with its evidence over the challenger's requests. Raises `delivery/unknown-rollout`."""
    with call.house.ledger.read() as reader:
        found = get_rollout(reader, call.path["project"], call.path["rollout"])
        call.own("delivery.read", found.environment)
        shown = show(reader, found, call.house.ledger.clock.now(), call.language)
    judges = [Judge(each, draw_evidence(shown.points, each.name)) for each in shown.judgements]
    return RolloutDocument(shown, _share(shown), judges)


def _share(shown: RolloutShown) -> int:
    if shown.state != "running":
        return 100 if shown.state == "completed" else 0
    return next((step.share for step in shown.steps if step.state == "current"), 0)


PAGES = (
    Page(
        "/projects/{project}/rollouts",
        "rollouts.html.j2",
        rollouts_document,
        "delivery.read",
        "Rollouts.",
        live=LIVE,
        reach="any",
    ),
    Page(
        "/projects/{project}/rollouts/{rollout}",
        "rollout.html.j2",
        rollout_document,
        "delivery.read",
        "Rollout.",
        live=LIVE,
        reach="any",
    ),
)
