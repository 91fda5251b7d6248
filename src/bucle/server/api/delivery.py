"""Routes of checks, releases, promotions and rollbacks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bucle.delivery import (
    CheckResult,
    CheckRun,
    Delivery,
    NotOwnRepository,
    Promotion,
    Prospect,
    Release,
    ReleaseDeployment,
    RolledBackTo,
    Rollout,
    RolloutShown,
    abort,
    advance,
    approve,
    deploy_automatically,
    get_check_run,
    get_promotion,
    get_release,
    get_rollout,
    list_check_runs,
    list_promotions,
    list_releases,
    list_rollouts,
    newest_rollout,
    promote,
    prospects,
    refuse,
    release_history,
    roll_back,
    show,
)
from bucle.ledger import Scope, StoredEvent
from bucle.pipelines import Runs
from bucle.server.house import House
from bucle.server.routing import Body, Call, Route
from bucle.serving import Services

_PROJECT = "/api/v1/projects/{project}"
_SERVICE = _PROJECT + "/services/{service}"


def compose(house: House) -> None:
    """Put delivery in: its repositories, and the checks that run in the background."""
    delivery = Delivery(house.home, house.artifacts, house.runners, house.part(Runs), house.part(Services))
    house.add(delivery)
    house.subscribe(delivery.repository_for_projects())
    house.subscribe(deploy_automatically(delivery))
    house.subscribe(delivery.watch.subscription())
    house.busy_while(delivery.checker.activity)
    house.busy_while(delivery.watch.activity)
    house.on_start(delivery.start)
    house.on_stop(delivery.close)


class CheckBody(Body, frozen=True):
    """Which commit to check; `source` is a working directory on the server's own disk, where the owner may have it fetched."""

    commit: str = "HEAD"
    source: str | None = None
    wanted: Literal["check", "release"] = "check"


class ResultView(msgspec.Struct, frozen=True):
    """One check's result; `findings` say what, where and what next."""

    name: str
    kind: str
    tag: str | None
    outcome: str
    message: str
    where: str | None
    findings: list[dict[str, str | None]]
    seconds: float
    log: str | None
    event: int


class CheckRunView(msgspec.Struct, frozen=True):
    """The checks of a commit so far; `release` is there when they led to one."""

    id: str
    project: str
    commit: str
    author: str
    wanted: str
    state: str
    attempt: int
    requester: str
    versions: tuple[str, ...]
    results: list[ResultView]
    release: str | None
    event: int | None


def request_check(call: Call) -> CheckRunView:
    """Begin the checks of a commit; they go on whoever listens."""
    body: CheckBody = call.body
    call.own("delivery.write", "")  # as for a push: what is released moves every environment that is automatic
    delivery = call.house.part(Delivery)
    source = None
    if body.source is not None:
        if call.principal.role_for("identity.admin", Scope()) is None:
            raise NotOwnRepository(project=call.scope.project, where="source")
        source = Path(body.source)
    id = delivery.check(call.scope.project, body.commit, body.wanted, source)
    return _view(call, get_check_run(call.house.ledger, call.scope.project, id))


def requested_check(call: Call, events: Sequence[StoredEvent]) -> CheckRunView | None:
    """Return the checks that a request has begun; a server that starts takes them up."""
    id = next((event.subject for event in events if event.kind == "delivery.checks_requested"), None)
    return None if id is None else _view(call, get_check_run(call.house.ledger, call.scope.project, id))


def read_check(call: Call) -> CheckRunView:
    """Return the checks of a commit as far as they are."""
    return _view(call, get_check_run(call.house.ledger, call.scope.project, call.path["check"]))


def list_checks(call: Call) -> list[CheckRunView]:
    """Return check runs, the newest first."""
    runs = list_check_runs(call.house.ledger, call.scope.project, call.query.get("commit"), call.number("limit", 20, 1, 200))
    return [_view(call, run) for run in runs]


def read_log(call: Call) -> object:
    """Return everything that a check printed."""
    from starlette.responses import Response

    run = get_check_run(call.house.ledger, call.scope.project, call.path["check"])
    log = next((result.log for result in run.results if result.name == call.path["name"]), None)
    text = call.house.artifacts.get_bytes(log) if log else b""
    return Response(text, media_type="text/plain; charset=utf-8")


def read_releases(call: Call) -> list[Release]:
    """Return releases, the newest first."""
    return list_releases(call.house.ledger, call.scope.project, call.number("limit", 50, 1, 500))


def read_release(call: Call) -> Release:
    """Return a release by id or commit."""
    with call.house.ledger.read() as reader:
        return get_release(reader, call.scope.project, call.path["release"])


class PromoteBody(Body, frozen=True):
    """What is to be promoted to the environment of the query: `MODEL@VERSION`, `release:COMMIT` or a release's id."""

    target: str


class ApproveBody(Body, frozen=True):
    """Why it may go, for the record."""

    note: str = ""


class RefuseBody(Body, frozen=True):
    """Why it may not go."""

    reason: str


class RollBackBody(Body, frozen=True):
    """A service; or the project's own name, to bring its environment back to the release before."""

    name: str


def read_environment(call: Call) -> list[ReleaseDeployment]:
    """Return which releases an environment has run, the newest first."""
    return release_history(call.house.ledger, call.scope, call.number("limit", 50, 1, 500))


def request_promotion(call: Call) -> Promotion:
    """Bring something to an environment, at once or when somebody else has approved it."""
    return promote(call.house.part(Delivery), call.scope, call.body.target, call.principal)


def read_promotions(call: Call) -> list[Promotion]:
    """Return promotions, the newest first."""
    state = call.query.get("state")
    found = list_promotions(call.house.ledger, call.scope.project, state, call.number("limit", 50, 1, 500))
    return [each for each in found if call.may("delivery.read", each.scope)]


def read_promotion(call: Call) -> Promotion:
    """Return a promotion."""
    found = get_promotion(call.house.ledger, call.scope.project, call.path["promotion"])
    call.own("delivery.read", found.environment)
    return found


def approve_promotion(call: Call) -> Promotion:
    """Agree to a promotion, which is then carried out."""
    return approve(call.house.part(Delivery), call.scope.project, read_promotion(call).id, call.principal, call.body.note)


def refuse_promotion(call: Call) -> Promotion:
    """Say no to a promotion."""
    return refuse(call.house.part(Delivery), call.scope.project, read_promotion(call).id, call.principal, call.body.reason)


class AbortBody(Body, frozen=True):
    """Why it may not go on."""

    reason: str = ""


def read_prospects(call: Call) -> list[Prospect]:
    """Return what the rollouts of a promotion could detect with the traffic of the last days; none where none would begin."""
    found = prospects(call.house.part(Delivery), read_promotion(call))
    return [each.told(call.language) for each in found]


def read_rollouts(call: Call) -> list[RolloutShown]:
    """Return the rollouts of an environment, the newest first, without how their evidence grew."""
    now = call.house.ledger.clock.now()
    with call.house.ledger.read() as reader:
        found = list_rollouts(reader, call.scope, call.number("limit", 20, 1, 200))
        return [show(reader, each, now, call.language, points=False) for each in found]


def read_rollout(call: Call) -> RolloutShown:
    """Return a rollout with its evidence over time. Raises `delivery/unknown-rollout`."""
    with call.house.ledger.read() as reader:
        found = get_rollout(reader, call.scope.project, call.path["rollout"])
        call.own("delivery.read", found.environment)
        return show(reader, found, call.house.ledger.clock.now(), call.language)


def read_service_rollout(call: Call) -> RolloutShown:
    """Return the rollout of a service that is on, else its last. Raises `delivery/no-rollout`."""
    call.house.part(Delivery).watch.judge()
    return _shown(call, None)


def advance_rollout(call: Call) -> RolloutShown:
    """Let the next step begin on a person's word. Raises `delivery/no-rollout`."""
    return _shown(call, advance(call.house.part(Delivery), call.scope, call.path["service"]))


def abort_rollout(call: Call) -> RolloutShown:
    """Give the version before all traffic again. Raises `delivery/no-rollout`."""
    return _shown(call, abort(call.house.part(Delivery), call.scope, call.path["service"], call.body.reason))


def _shown(call: Call, rollout: Rollout | None) -> RolloutShown:
    with call.house.ledger.read() as reader:
        found = rollout or newest_rollout(reader, call.scope, call.path["service"])
        return show(reader, found, call.house.ledger.clock.now(), call.language)


def request_rollback(call: Call) -> RolledBackTo:
    """Bring a service, or the environment's release, back to what was before."""
    return roll_back(call.house.part(Delivery), call.scope, call.body.name)


def _view(call: Call, run: CheckRun) -> CheckRunView:
    with call.house.ledger.read() as reader:
        release = None
        if run.state == "passed" and run.wanted == "release":
            release = get_release(reader, run.project, run.commit).id
    return CheckRunView(
        id=run.id,
        project=run.project,
        commit=run.commit,
        author=run.author,
        wanted=run.wanted,
        state=run.state,
        attempt=run.attempt,
        requester=run.requester,
        versions=run.versions,
        results=[_result(result) for result in run.results],
        release=release,
        event=run.event,
    )


def _result(result: CheckResult) -> ResultView:
    findings = [{"message": each.message, "where": each.where, "next": each.next} for each in result.findings]
    return ResultView(
        name=result.name,
        kind=result.kind,
        tag=result.tag,
        outcome=result.outcome,
        message=result.message,
        where=result.where,
        findings=findings,
        seconds=round(result.seconds, 3),
        log=result.log,
        event=result.event,
    )


ROUTES = [
    Route(
        "POST",
        _PROJECT + "/checks",
        request_check,
        "delivery.write",
        "Check a commit as a push would",
        CheckBody,
        recall=requested_check,
    ),
    Route("GET", _PROJECT + "/checks", list_checks, "delivery.read", "Check runs, newest first", query=("commit", "limit")),
    Route("GET", _PROJECT + "/checks/{check}", read_check, "delivery.read", "The checks of a commit, as far as they are"),
    Route("GET", _PROJECT + "/checks/{check}/{name}/log", read_log, "delivery.read", "What a check printed"),
    Route("GET", _PROJECT + "/releases", read_releases, "delivery.read", "Releases, newest first", query=("limit",)),
    Route("GET", _PROJECT + "/releases/{release}", read_release, "delivery.read", "A release by id or commit"),
    Route(
        "GET",
        _PROJECT + "/deployments/releases",
        read_environment,
        "delivery.read",
        "What an environment ran",
        query=("limit",),
    ),
    Route(
        "POST",
        _PROJECT + "/promotions",
        request_promotion,
        "delivery.promote",
        "Bring something to an environment",
        PromoteBody,
    ),
    Route(
        "GET",
        _PROJECT + "/promotions",
        read_promotions,
        "delivery.read",
        "Promotions, newest first",
        query=("state", "limit"),
        reach="any",
    ),
    Route("GET", _PROJECT + "/promotions/{promotion}", read_promotion, "delivery.read", "A promotion", reach="any"),
    Route(
        "POST",
        _PROJECT + "/promotions/{promotion}/approve",
        approve_promotion,
        "delivery.read",
        "Agree to a promotion; the policy says who may",
        ApproveBody,
        reach="any",
    ),
    Route(
        "POST",
        _PROJECT + "/promotions/{promotion}/refuse",
        refuse_promotion,
        "delivery.read",
        "Say no to a promotion; who asked, or who may approve",
        RefuseBody,
        reach="any",
    ),
    Route(
        "GET",
        _PROJECT + "/promotions/{promotion}/prospects",
        read_prospects,
        "delivery.read",
        "What its rollouts could detect",
        reach="any",
    ),
    Route("GET", _PROJECT + "/rollouts", read_rollouts, "delivery.read", "Rollouts, newest first", query=("limit",)),
    Route(
        "GET",
        _PROJECT + "/rollouts/{rollout}",
        read_rollout,
        "delivery.read",
        "A rollout with its evidence over time",
        reach="any",
    ),
    Route("GET", _SERVICE + "/rollout", read_service_rollout, "delivery.read", "The rollout that is on, else the last"),
    Route("POST", _SERVICE + "/rollout/advance", advance_rollout, "delivery.promote", "Let the next step begin"),
    Route(
        "POST", _SERVICE + "/rollout/abort", abort_rollout, "delivery.promote", "End it; the version before stays", AbortBody
    ),
    Route("POST", _PROJECT + "/rollback", request_rollback, "delivery.promote", "Go back to what was before", RollBackBody),
]
