"""The page of delivery: what was checked, what was released, what runs where, what waits for somebody's word."""

from dataclasses import dataclass

from bucle.delivery import (
    CheckRun,
    Promotion,
    Release,
    ReleaseDeployment,
    list_check_runs,
    list_promotions,
    list_releases,
    release_history,
)
from bucle.ledger import Scope
from bucle.project import DEV, EnvironmentPointer, list_environments
from bucle.server.pages.environments import visible_environments
from bucle.server.pages.page import Page
from bucle.server.routing import Call

_RUNS, _RELEASES, _PROMOTIONS, _HISTORY = 20, 20, 50, 5


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """An environment with what it runs now and what it ran before, newest first."""

    name: str
    pointer: EnvironmentPointer | None
    history: list[ReleaseDeployment]


@dataclass(frozen=True, slots=True)
class DeliveryDocument:
    """What delivery did for a project; check runs, releases and promotions newest first, pending promotions before others."""

    environments: list[EnvironmentRow]
    promotions: list[Promotion]
    checks: list[CheckRun]
    releases: list[Release]


def delivery_document(call: Call) -> DeliveryDocument:
    """Return the checks, releases and promotions of the project."""
    project, ledger = call.path["project"], call.house.ledger
    with ledger.read() as reader:
        scopes = visible_environments(call, reader, "delivery.read")
        pointers = {each.scope: each for each in list_environments(reader, project)}
    environments = [_environment(call, scope, pointers.get(scope)) for scope in scopes if scope.environment != DEV]
    promotions = [each for each in list_promotions(ledger, project, limit=_PROMOTIONS) if _shown(call, each.environment)]
    promotions.sort(key=lambda each: each.state != "pending")
    checks = [each for each in list_check_runs(ledger, project, limit=_RUNS) if _shown(call, each.environment)]
    return DeliveryDocument(environments, promotions, checks, list_releases(ledger, project, _RELEASES))


def _environment(call: Call, scope: Scope, pointer: EnvironmentPointer | None) -> EnvironmentRow:
    return EnvironmentRow(scope.environment, pointer, release_history(call.house.ledger, scope, _HISTORY))


def _shown(call: Call, environment: str) -> bool:
    return call.may("delivery.read", Scope(call.path["project"], environment))


PAGES = (
    Page(
        "/projects/{project}/delivery",
        "delivery.html.j2",
        delivery_document,
        "delivery.read",
        "Delivery.",
        live=("delivery.",),
        reach="any",
    ),
)
