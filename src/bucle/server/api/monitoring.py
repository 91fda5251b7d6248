"""Routes of monitoring: how a service does, its windows, alerts and what becomes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

from bucle.ledger import Scope
from bucle.monitoring import (
    Alert,
    AlertState,
    Courier,
    Delivery,
    Inspector,
    Objectives,
    RouteState,
    ServiceSummary,
    StoredWindow,
    Watching,
    acknowledge,
    count_deliveries,
    get_alert,
    list_alerts,
    list_deliveries,
    list_windows,
    missing_variables,
    resolve,
    route_states,
    summarize,
)
from bucle.project import AlertRoute
from bucle.server.codes import file_in_force
from bucle.server.errors import BadParameter
from bucle.server.house import Finding, House
from bucle.server.routing import Body, Call, Route, act_again
from bucle.serving import Services

_PROJECT = "/api/v1/projects/{project}"
_ALERT = f"{_PROJECT}/alerts/{{alert}}"


def compose(house: House) -> None:
    """Have each deployment watched, and each watch brought up to each hour of the clock."""
    inspector = Inspector(house.home, house.artifacts, house.runners)
    watching = Watching(house.ledger, house.part(Services), inspector.inspect, inspector.load_reference)
    for subscription in watching.subscriptions():
        house.subscribe(subscription)
    objectives = Objectives(house.ledger, house.part(Services))
    house.subscribe(objectives.subscription())
    house.on_start(objectives.start)
    house.on_stop(objectives.stop)
    courier = Courier(
        house.ledger, lambda scope: _routes(house, scope), lambda: house.network, lambda: house.public_url or house.url
    )
    house.add(courier)
    house.subscribe(courier.subscription())
    house.on_start(courier.start)
    house.on_stop(courier.stop)
    house.check_with(lambda: [_undelivered(house)])


@dataclass(frozen=True, slots=True)
class RouteView:
    """A route of alerts that is in force, what it wants to hear of, which variables the server lacks, and how it does."""

    name: str
    kind: str
    alerts: list[str]
    environments: list[str]
    services: list[str]
    missing: list[str]
    waiting: int
    delivered: int
    failed: int
    detail: str


@dataclass(frozen=True, slots=True)
class RouteTest:
    """That a receiver took a test alert, and its answer in a word."""

    route: str
    detail: str


class Noted(Body, frozen=True):
    """What a person has to say about an alert."""

    note: str = ""


def summary(call: Call) -> ServiceSummary:
    """Return how a service does."""
    with call.house.ledger.read() as reader:
        now = call.house.ledger.clock.now()
        found = summarize(reader, call.scope, call.path["service"], now, call.number("windows", 14, 0, 400))
    loss = replace(found.loss, sentence=found.loss.said.text(call.language))
    return replace(found, alerts=[_said(call, each) for each in found.alerts], loss=loss)


def windows(call: Call) -> list[StoredWindow]:
    """Return the windows of a service, newest first."""
    with call.house.ledger.read() as reader:
        return list_windows(reader, call.scope, call.path["service"], call.number("limit", 30, 1, 1000))


def alerts(call: Call) -> list[Alert]:
    """Return alerts, newest first: of one service or all, in one state or all."""
    states = [each for each in get_args(AlertState) if each == call.query.get("state", each)]
    if not states:
        expected = ", ".join(get_args(AlertState))
        raise BadParameter(name="state", value=call.query["state"][:100], expected=expected, where="query.state")
    with call.house.ledger.read() as reader:
        found = list_alerts(reader, call.scope, call.query.get("service"), states, call.number("limit", 100, 1, 1000))
    return [_said(call, each) for each in found]


def alert(call: Call) -> Alert:
    """Return one alert."""
    with call.house.ledger.read() as reader:
        return _said(call, get_alert(reader, call.scope, call.path["alert"]))


def acknowledge_alert(call: Call) -> Alert:
    """Note that the caller takes care of an alert."""
    with call.house.ledger.write() as tx:
        return _said(call, acknowledge(tx, call.scope, call.path["alert"], call.body.note))


def resolve_alert(call: Call) -> Alert:
    """Note that an alert's reason is gone."""
    with call.house.ledger.write() as tx:
        return _said(call, resolve(tx, call.scope, call.path["alert"], call.body.note))


def alert_routes(call: Call) -> list[RouteView]:
    """Return the routes of alerts that are in force in an environment. Raises what reading bucle.toml raises."""
    routes = _routes(call.house, call.scope)
    with call.house.ledger.read() as reader:
        states = route_states(reader, call.scope)
    return [_route_view(route, states.get(route.name, RouteState(0, 0, 0, ""))) for route in routes.values()]


def test_route(call: Call) -> RouteTest:
    """Send a test alert by a route. Raises `monitoring/unknown-route`, `monitoring/route-failed`."""
    name = call.path["route"]
    return RouteTest(name, call.house.part(Courier).test(call.scope, name))


def alert_deliveries(call: Call) -> list[Delivery]:
    """Return what was or is to be sent, newest first: of one alert or by one route, or all."""
    query = call.query
    with call.house.ledger.read() as reader:
        limit = call.number("limit", 100, 1, 1000)
        return list_deliveries(reader, call.scope, alert=query.get("alert"), route=query.get("route"), limit=limit)


def _routes(house: House, scope: Scope) -> Mapping[str, AlertRoute]:
    file = file_in_force(house.home, scope)
    return {} if file is None else file.alerts


def _route_view(route: AlertRoute, state: RouteState) -> RouteView:
    return RouteView(
        name=route.name,
        kind=route.kind,
        alerts=list(route.alerts),
        environments=list(route.environments),
        services=list(route.services),
        missing=missing_variables(route),
        waiting=state.waiting,
        delivered=state.delivered,
        failed=state.failed,
        detail=state.detail,
    )


def _undelivered(house: House) -> Finding:
    """Say how many alerts wait for their receivers, and how many were given up."""
    with house.ledger.read() as reader:
        counts = count_deliveries(reader)
    failed = sum(each.deliveries for each in counts if each.state == "failed")
    waiting = sum(each.deliveries for each in counts if each.state == "waiting")
    detail = f"{waiting} alerts wait for their receivers, {failed} were given up"
    return Finding("alert routes", not failed, detail, "`bucle alerts routes` says why; `bucle alerts test ROUTE` tries one.")


def _said(call: Call, alert: Alert) -> Alert:
    """Its sentences are in the caller's language, as an error's text would be."""
    return alert.told(call.language)


_SERVICE = f"{_PROJECT}/services/{{service}}"

ROUTES = [
    Route("GET", f"{_SERVICE}/monitoring", summary, "monitoring.read", "How a service does", query=("windows",)),
    Route("GET", f"{_SERVICE}/windows", windows, "monitoring.read", "Its windows, newest first", query=("limit",)),
    Route("GET", f"{_PROJECT}/alerts", alerts, "monitoring.read", "Alerts, newest first", query=("service", "state", "limit")),
    Route("GET", _ALERT, alert, "monitoring.read", "One alert"),
    Route("GET", f"{_PROJECT}/alert-routes", alert_routes, "monitoring.read", "Where alerts go, and how that does"),
    Route(
        "POST",
        f"{_PROJECT}/alert-routes/{{route}}/test",
        test_route,
        "monitoring.write",
        "Send a test alert",
        recall=act_again,
    ),
    Route(
        "GET",
        f"{_PROJECT}/alert-deliveries",
        alert_deliveries,
        "monitoring.read",
        "What was sent of alerts, newest first",
        query=("alert", "route", "limit"),
    ),
    Route("POST", f"{_ALERT}/acknowledge", acknowledge_alert, "monitoring.write", "Take care of an alert", Noted),
    Route("POST", f"{_ALERT}/resolve", resolve_alert, "monitoring.write", "Say that its reason is gone", Noted),
]
