"""Routes of monitoring: how a service does, its windows, alerts and what becomes of them."""

from dataclasses import replace
from typing import get_args

from bucle.monitoring import (
    Alert,
    AlertState,
    Inspector,
    ServiceSummary,
    StoredWindow,
    Watching,
    acknowledge,
    get_alert,
    list_alerts,
    list_windows,
    resolve,
    summarize,
)
from bucle.server.errors import BadParameter
from bucle.server.house import House
from bucle.server.problems import wanted_language
from bucle.server.routing import Body, Call, Route
from bucle.serving import Services

_PROJECT = "/api/v1/projects/{project}"
_ALERT = f"{_PROJECT}/alerts/{{alert}}"


def compose(house: House) -> None:
    """Have each deployment watched, and each watch brought up to each hour of the clock."""
    inspector = Inspector(house.home, house.artifacts, house.runners)
    watching = Watching(house.ledger, house.part(Services), inspector.inspect, inspector.load_reference)
    for subscription in watching.subscriptions():
        house.subscribe(subscription)


class Noted(Body, frozen=True):
    """What a person has to say about an alert."""

    note: str = ""


def summary(call: Call) -> ServiceSummary:
    """Return how a service does."""
    with call.house.ledger.read() as reader:
        now = call.house.ledger.clock.now()
        found = summarize(reader, call.scope, call.path["service"], now, call.number("windows", 14, 0, 400))
    return replace(found, alerts=[_said(call, each) for each in found.alerts])


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


def _said(call: Call, alert: Alert) -> Alert:
    """The sentence is in the caller's language, as an error's text would be."""
    return replace(alert, sentence=alert.said.text(wanted_language(call.request.headers.get("accept-language", ""))))


_SERVICE = f"{_PROJECT}/services/{{service}}"

ROUTES = [
    Route("GET", f"{_SERVICE}/monitoring", summary, "monitoring.read", "How a service does", query=("windows",)),
    Route("GET", f"{_SERVICE}/windows", windows, "monitoring.read", "Its windows, newest first", query=("limit",)),
    Route("GET", f"{_PROJECT}/alerts", alerts, "monitoring.read", "Alerts, newest first", query=("service", "state", "limit")),
    Route("GET", _ALERT, alert, "monitoring.read", "One alert"),
    Route("POST", f"{_ALERT}/acknowledge", acknowledge_alert, "monitoring.write", "Take care of an alert", Noted),
    Route("POST", f"{_ALERT}/resolve", resolve_alert, "monitoring.write", "Say that its reason is gone", Noted),
]
