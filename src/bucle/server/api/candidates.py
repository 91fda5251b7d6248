"""Routes of the checks that a model version must pass where it is to answer: what they found, their logs, waivers."""

from bucle.delivery import CandidateResult, candidate_checks, waive_candidate
from bucle.ledger import Reader, Scope, Transaction, UnknownId
from bucle.registry import ModelVersion, get_version
from bucle.server.routing import Body, Call, Route

_VERSION = "/api/v1/projects/{project}/models/{model}/versions/{version}"


class WaiveCheckBody(Body, frozen=True):
    """Why the version may answer all the same."""

    reason: str


def visible_checks(call: Call, reader: Reader | Transaction, version: ModelVersion) -> list[CandidateResult]:
    """Return what the checks of a version found last in the environments that the caller may see."""
    found = candidate_checks(reader, version)
    return [each for each in found if call.may("delivery.read", Scope(version.project, each.environment))]


def read_checks(call: Call) -> list[CandidateResult]:
    """Return what the checks of a version found. Raises `registry/unknown-version`."""
    with call.house.ledger.read() as reader:
        return visible_checks(call, reader, _version(call, reader))


def read_check_log(call: Call) -> object:
    """Return what a check found and what the model printed. Raises `ledger/unknown-id`."""
    from starlette.responses import Response

    with call.house.ledger.read() as reader:
        found = visible_checks(call, reader, _version(call, reader))
    result = next((each for each in found if str(each.event) == call.path["event"]), None)
    if result is None:
        raise UnknownId(id=call.path["event"][:60])
    return Response(call.house.artifacts.get_bytes(result.log), media_type="text/plain; charset=utf-8")


def waive_check(call: Call) -> list[CandidateResult]:
    """Let a version answer in an environment although it failed a check there."""
    scope = call.own("registry.waive", call.scope.environment)
    with call.house.ledger.write() as tx:
        version = _version(call, tx)
        waive_candidate(tx, scope, version, call.path["check"], call.body.reason)
        return visible_checks(call, tx, version)


def _version(call: Call, reader: Reader | Transaction) -> ModelVersion:
    return get_version(reader, call.scope.project, call.path["model"], call.path["version"])


ROUTES = [
    Route(
        "GET", f"{_VERSION}/checks", read_checks, "delivery.read", "What its checks found where it was to answer", reach="any"
    ),
    Route("GET", f"{_VERSION}/checks/{{event}}/log", read_check_log, "delivery.read", "The log of such a check", reach="any"),
    Route(
        "POST",
        f"{_VERSION}/checks/{{check}}/waiver",
        waive_check,
        "registry.waive",
        "Waive such a check that it failed in the environment, with a reason",
        WaiveCheckBody,
    ),
]
