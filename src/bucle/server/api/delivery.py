"""Routes of checks, releases, promotions and rollbacks."""

from pathlib import Path
from typing import Literal

import msgspec

from bucle.delivery import (
    CheckResult,
    CheckRun,
    Delivery,
    NotOwnRepository,
    Release,
    get_check_run,
    get_release,
    list_check_runs,
    list_releases,
)
from bucle.ledger import Scope
from bucle.server.house import House
from bucle.server.routing import Body, Call, Route

_PROJECT = "/api/v1/projects/{project}"


def compose(house: House) -> None:
    """Put delivery in: its repositories, and the checks that run in the background."""
    delivery = Delivery(house.home, house.artifacts, house.runners)
    house.add(delivery)
    house.subscribe(delivery.repository_for_projects())
    house.busy_while(delivery.checker.activity)
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
    delivery = call.house.part(Delivery)
    source = None
    if body.source is not None:
        if call.principal.role_for("identity.admin", Scope()) is None:
            raise NotOwnRepository(project=call.scope.project, where="source")
        source = Path(body.source)
    id = delivery.check(call.scope.project, body.commit, body.wanted, source)
    return _view(call, get_check_run(call.house.ledger, call.scope.project, id))


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
    Route("POST", _PROJECT + "/checks", request_check, "delivery.write", "Check a commit as a push would", CheckBody),
    Route("GET", _PROJECT + "/checks", list_checks, "delivery.read", "Check runs, newest first", query=("commit", "limit")),
    Route("GET", _PROJECT + "/checks/{check}", read_check, "delivery.read", "The checks of a commit, as far as they are"),
    Route("GET", _PROJECT + "/checks/{check}/{name}/log", read_log, "delivery.read", "What a check printed"),
    Route("GET", _PROJECT + "/releases", read_releases, "delivery.read", "Releases, newest first", query=("limit",)),
    Route("GET", _PROJECT + "/releases/{release}", read_release, "delivery.read", "A release by id or commit"),
]
