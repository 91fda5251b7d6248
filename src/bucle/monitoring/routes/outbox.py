"""The outbox: what has still to be sent, and what became of the rest. It is in the ledger, so nothing is lost by a kill -9."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from bucle.ledger import Reader, Row, Scope, Transaction, from_us, to_us
from bucle.monitoring import store
from bucle.monitoring.alerts import AlertState
from bucle.monitoring.routes.notices import Notice

DeliveryState = Literal["waiting", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A change of an alert on its way by a route. `detail` says what became of the last attempt; `due` is of this world."""

    id: str
    project: str
    environment: str
    route: str
    alert: str
    alert_state: AlertState
    event: int
    state: DeliveryState
    attempts: int
    due: datetime
    changed: datetime
    detail: str

    @property
    def scope(self) -> Scope:
        """Project and environment."""
        return Scope(self.project, self.environment)


@dataclass(frozen=True, slots=True)
class RouteState:
    """What a route has still to send and what became of the rest; `detail` is that of the last that changed."""

    waiting: int
    delivered: int
    failed: int
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """How many deliveries of a route are in a state."""

    project: str
    environment: str
    route: str
    state: DeliveryState
    deliveries: int


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery that is due, with what it tells."""

    delivery: Delivery
    notice: Notice

    @property
    def due_us(self) -> int:
        """When it may be sent, microseconds since 1970."""
        return to_us(self.delivery.due)

    @property
    def lane(self) -> tuple[str, str, str]:
        """Project, environment and route: one lane does not wait for another."""
        return (self.delivery.project, self.delivery.environment, self.delivery.route)


def put(tx: Transaction, notice: Notice, route: str, now_us: int) -> None:
    """Note that a notice is to be sent by a route; again is nothing new."""
    place = (notice.delivery, notice.project, notice.environment, route, notice.alert, notice.state, notice.event)
    tx.execute(store.INSERT_DELIVERY, (*place, msgspec.json.encode(notice).decode(), now_us, now_us))


def heads(reader: Reader) -> list[Sending]:
    """Return what waits, oldest first: of each alert on each route only its first change, so that none overtakes another."""
    first: dict[tuple[str, str, str, str], Sending] = {}
    for row in reader.rows(store.SELECT_WAITING):
        key = (row["project"], row["environment"], row["route"], row["alert"])
        if key not in first:
            first[key] = _sending(row)
    return list(first.values())


def still_open(reader: Reader) -> list[Sending]:
    """Return the last delivered change of each alert that is not resolved, by each route."""
    last = {
        (row["project"], row["environment"], row["route"], row["alert"]): row for row in reader.rows(store.SELECT_OPEN_SENT)
    }
    return [_sending(row) for row in last.values()]


def list_deliveries(
    reader: Reader, scope: Scope, *, alert: str | None = None, route: str | None = None, limit: int = 100
) -> list[Delivery]:
    """Return deliveries of an environment, newest first, if wanted of one alert or by one route only."""
    return [_delivery(row) for row in store.delivery_rows(reader, scope, alert, route, limit)]


def route_states(reader: Reader, scope: Scope) -> dict[str, RouteState]:
    """Return what became of what was sent by each route of an environment."""
    counts: dict[str, dict[str, int]] = {}
    for row in reader.rows(store.COUNT_ROUTES, (scope.project, scope.environment)):
        counts.setdefault(row["route"], {})[row["state"]] = row["deliveries"]
    last = {row["route"]: row["detail"] for row in reader.rows(store.LAST_DETAILS, (scope.project, scope.environment))}
    return {route: _state(found, last.get(route, "")) for route, found in counts.items()}


def count_deliveries(reader: Reader) -> list[DeliveryCount]:
    """Return the number of deliveries of the home by project, environment, route and state."""
    return [DeliveryCount(*(row[column] for column in row.keys())) for row in reader.rows(store.COUNT_DELIVERIES)]


def _state(found: dict[str, int], detail: str) -> RouteState:
    return RouteState(found.get("waiting", 0), found.get("delivered", 0), found.get("failed", 0), detail)


def _sending(row: Row) -> Sending:
    return Sending(_delivery(row), msgspec.json.decode(row["notice"], type=Notice))


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        route=row["route"],
        alert=row["alert"],
        alert_state=row["alert_state"],
        event=row["event"],
        state=row["state"],
        attempts=row["attempts"],
        due=from_us(row["due_us"]),
        changed=from_us(row["changed_us"]),
        detail=row["detail"],
    )
