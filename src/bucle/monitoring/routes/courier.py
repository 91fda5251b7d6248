"""The courier: takes each change of an alert to the routes that want it, again until they have it or it is hopeless."""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from bucle.errors import BucleError
from bucle.ledger import Ledger, Scope, StoredEvent, Subscription, acting, because, named_id, new_id, within
from bucle.monitoring import store
from bucle.monitoring.alerts import Alert, AlertState, get_alert
from bucle.monitoring.errors import RouteFailed, UnknownRoute
from bucle.monitoring.events import AlertDelivered, AlertDeliveryFailed, AlertRouteTested
from bucle.monitoring.routes import alertmanager, outbox
from bucle.monitoring.routes.addresses import NetworkPolicy
from bucle.monitoring.routes.failures import SendFailed
from bucle.monitoring.routes.notices import Notice
from bucle.monitoring.routes.outbox import Sending
from bucle.monitoring.routes.sending import send
from bucle.project import AlertRoute, suggest

WAITS: tuple[float, ...] = (5, 15, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
"""Seconds until the next attempt, after the first, the second...; after the last there is none. Nearly eight hours in all."""

_IDLE_SECONDS = 30.0
_STOP_SECONDS = 3.0
_STATES: dict[str, AlertState] = {
    "monitoring.alert_fired": "firing",
    "monitoring.alert_acknowledged": "acknowledged",
    "monitoring.alert_resolved": "resolved",
}
_log = logging.getLogger(__name__)

Lane = tuple[str, str, str]


class Courier:
    """Each route has a lane of its own, a thread while it has something to send: one that fails delays no other."""

    def __init__(
        self,
        ledger: Ledger,
        routes_of: Callable[[Scope], Mapping[str, AlertRoute]],
        policy: Callable[[], NetworkPolicy],
        url: Callable[[], str],
        waits: Sequence[float] = WAITS,
    ) -> None:
        """`routes_of` says which routes are in force in an environment, `policy` where they may lead, `url` where pages are."""
        self._ledger, self._routes_of, self._policy, self._url, self._waits = ledger, routes_of, policy, url, tuple(waits)
        self._stop, self._news = threading.Event(), threading.Event()
        self._lanes: dict[str, threading.Thread] = {}
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._told_again = time.monotonic()

    def subscription(self) -> Subscription:
        """Return what this room does when an alert changes."""
        return Subscription("monitoring-routes", tuple(_STATES), self.enqueue)

    def enqueue(self, event: StoredEvent) -> None:
        """Put the change into the outbox of each route that wants it."""
        scope = Scope(event.project, event.environment)
        with self._ledger.read() as reader:
            alert = get_alert(reader, scope, event.subject)
        routes = [each for each in self._routes_of(scope).values() if each.takes(alert.kind, scope.environment, alert.service)]
        if not routes:
            return
        began = self._ledger.event(alert.event).at
        with self._ledger.write() as tx:
            for route in routes:
                outbox.put(tx, _notice(event, alert, began, named_id("del", f"{event.id} {route.name}")), route.name, _now_us())
        self._news.set()

    def start(self) -> None:
        """Send in the background until `stop`, beginning with what was left waiting."""
        self._thread = threading.Thread(target=self._run, name="bucle-courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; what is on its way is waited for a little, and else sent again by the next start."""
        self._stop.set()
        self._news.set()
        end = time.monotonic() + _STOP_SECONDS
        for thread in (self._thread, *list(self._lanes.values())):
            if thread is not None:
                thread.join(timeout=max(0.0, end - time.monotonic()))

    def test(self, scope: Scope, name: str) -> str:
        """Send a test alert by a route and return what became of it.

        Raises `monitoring/unknown-route`, `monitoring/route-failed`.
        """
        routes = self._routes_of(scope)
        route = routes.get(name)
        if route is None:
            raise UnknownRoute(route=name, environment=scope.environment, hint=suggest(name, routes))
        detail, failure = "", None
        try:
            detail = send(route, _test_notice(scope), self._url(), self._policy())
        except SendFailed as error:
            failure = error
        tested = AlertRouteTested(route=name, route_kind=route.kind, delivered=failure is None, detail=detail or str(failure))
        with self._ledger.write() as tx, within(scope):
            tx.emit(tested, name)
        if failure is not None:
            raise RouteFailed(route=name, reason=failure.reason)
        return detail

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.clear()
            try:
                self._begin_lanes()
                pause = self._pause()
            except Exception:
                _log.exception("the courier pauses")
                pause = _IDLE_SECONDS
            self._news.wait(pause)

    def _begin_lanes(self) -> None:
        with self._ledger.read() as reader:
            lanes = {each.lane for each in outbox.heads(reader) if each.due_us <= _now_us()}
            if time.monotonic() - self._told_again > alertmanager.AGAIN_SECONDS:
                self._told_again = time.monotonic()
                self._begin("again", self._tell_again, outbox.still_open(reader))
        for lane in lanes:
            self._begin(" ".join(lane), self._work, lane)

    def _begin(self, name: str, work: Callable[..., None], *arguments: object) -> None:
        with self._turn:
            running = self._lanes.get(name)
            if running is None or not running.is_alive():
                thread = self._lanes[name] = threading.Thread(
                    target=work, args=arguments, name=f"bucle-route {name}", daemon=True
                )
                thread.start()

    def _pause(self) -> float:
        """Return how long nothing will be due. A lane that is at work wakes the courier when it ends."""
        with self._ledger.read() as reader:
            waiting = outbox.heads(reader)
        first_us = min((each.due_us for each in waiting), default=_now_us() + int(_IDLE_SECONDS * 1e6))
        return min(max((first_us - _now_us()) / 1e6, 0.2), _IDLE_SECONDS)

    def _work(self, lane: Lane) -> None:
        """Send what is due on a lane, one after the other."""
        try:
            while not self._stop.is_set():
                with self._ledger.read() as reader:
                    mine = [each for each in outbox.heads(reader) if each.lane == lane and each.due_us <= _now_us()]
                if not mine:
                    return
                for sending in mine:
                    if self._stop.is_set():
                        return
                    self._attempt(sending)
        except Exception:
            if not self._stop.is_set():  # for instance a full disk: what was not recorded is sent again
                _log.exception("the route %s pauses", lane[2])
                self._stop.wait(_IDLE_SECONDS)

    def _attempt(self, sending: Sending) -> None:
        delivery, attempts = sending.delivery, sending.delivery.attempts + 1
        kind = ""
        try:
            route = self._route(sending)
            kind = route.kind
            detail = send(route, sending.notice, self._url(), self._policy())
        except SendFailed as error:
            if error.lasting or attempts > len(self._waits):
                self._end(sending, attempts, "failed", error.reason, kind)
                return
            wait = max(self._waits[attempts - 1] * random.uniform(0.9, 1.1), error.wait or 0.0)
            with self._ledger.write() as tx:
                tx.execute(
                    store.POSTPONE_DELIVERY, (attempts, _now_us() + int(wait * 1e6), error.reason, _now_us(), delivery.id)
                )
            return
        self._end(sending, attempts, "delivered", detail, kind)

    def _route(self, sending: Sending) -> AlertRoute:
        """Return the route as it is in force now: one that was corrected serves what waits too."""
        delivery = sending.delivery
        try:
            routes = self._routes_of(delivery.scope)
        except BucleError as error:
            raise SendFailed(f"the routes cannot be read: {error.code}") from None
        if delivery.route not in routes:
            raise SendFailed("bucle.toml no longer declares the route", lasting=True)
        return routes[delivery.route]

    def _end(self, sending: Sending, attempts: int, state: str, detail: str, kind: str) -> None:
        delivery = sending.delivery
        values = (delivery.id, delivery.alert, delivery.alert_state, delivery.route, kind, attempts, detail)
        event = AlertDelivered(*values) if state == "delivered" else AlertDeliveryFailed(*values)
        with acting("courier", "system"), self._ledger.write() as tx, within(delivery.scope), because(delivery.event):
            tx.execute(store.END_DELIVERY, (state, attempts, detail, _now_us(), delivery.id))
            tx.emit(event, delivery.id)

    def _tell_again(self, open_ones: list[Sending]) -> None:
        """Tell Alertmanagers what is still open; nothing is recorded, the next time follows soon."""
        for sending in open_ones:
            try:
                route = self._route(sending)
                if route.kind == "alertmanager" and not self._stop.is_set():
                    send(route, sending.notice, self._url(), self._policy())
            except SendFailed as error:
                _log.warning("the route %s was not told again: %s", sending.delivery.route, error.reason)


def _notice(event: StoredEvent, alert: Alert, began: datetime, delivery: str) -> Notice:
    return Notice(
        delivery=delivery,
        alert=alert.id,
        state=_STATES[event.kind],
        kind=alert.kind,
        project=alert.project,
        environment=alert.environment,
        service=alert.service,
        deployment=alert.deployment,
        feature=alert.feature,
        sentence=alert.sentence,
        numbers=alert.numbers,
        fired=alert.fired,
        began=began,
        at=event.at,
        actor=event.actor,
        note=str(event.data.get("note", "")),
        event=event.seq,
    )


def _test_notice(scope: Scope) -> Notice:
    now = datetime.fromtimestamp(time.time(), UTC)
    return Notice(
        delivery=new_id("del"),
        alert=new_id("alert"),
        state="firing",
        kind="test",
        project=scope.project,
        environment=scope.environment,
        service="test",
        deployment="",
        feature="",
        sentence="This is a test of the route; nothing is wrong.",
        numbers={},
        fired=now,
        began=now,
        at=now,
        actor="",
        note="",
        event=0,
        test=True,
    )


def _now_us() -> int:
    return time.time_ns() // 1000
