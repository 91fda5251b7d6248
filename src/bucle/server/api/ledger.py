"""Routes of the ledger: events, causes, lineage, the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bucle.ledger import (
    ClockAdvanced,
    Edge,
    EventFilter,
    Scope,
    StoredEvent,
    UnknownId,
    parse_duration,
    parse_instant,
)
from bucle.server.errors import BadParameter
from bucle.server.feed import EventFeed
from bucle.server.house import House
from bucle.server.routing import Body, Call, Route
from bucle.server.security import is_known
from bucle.server.timekeeper import ClockState, Timekeeper

if TYPE_CHECKING:
    from starlette.responses import StreamingResponse

_HEARTBEAT = 15.0
_LONGEST_WAIT = 10


def compose(house: House) -> None:
    """Put the timekeeper in."""
    timekeeper = Timekeeper(house)
    house.add(timekeeper)
    house.on_start(timekeeper.start, last=True)
    house.on_stop(timekeeper.stop)


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in the order asked for; `newest` is the last seq of the ledger, to follow on from."""

    events: list[StoredEvent]
    newest: int


@dataclass(frozen=True, slots=True)
class Why:
    """What happened to an id and what caused it, transitively; newest first."""

    id: str
    events: list[StoredEvent]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The nodes and edges that lead to an id, or from it."""

    id: str
    direction: str
    nodes: list[dict[str, Any]]
    edges: list[Edge]


class Advance(Body, frozen=True):
    """Where the clock shall go: an instant, or a duration from where it stands such as "36h"."""

    to: str


def list_events(call: Call) -> EventPage:
    """Return events by kind, subject, project and place in the ledger."""
    wanted = _filter(call, call.number("after", 0, most=1 << 62))
    return EventPage([event for event in call.house.ledger.events(wanted) if visible(call, event)], call.house.ledger.newest())


def show_event(call: Call) -> StoredEvent:
    """Return one event."""
    seq = call.path["seq"]
    event = call.house.ledger.event(int(seq)) if seq.isdecimal() and len(seq) < 19 else None
    if event is None or not visible(call, event):
        raise UnknownId(id=seq)
    return event


async def stream_events(call: Call) -> "StreamingResponse":
    """Stream events as they are committed; `Last-Event-ID` or `after` says from where, else from now on.

    It ends when the house is closed, or the token with which it began is no token any more.

    Messages carry no event name: a browser's `onmessage` hears only those without, and the kind is in the data.
    """
    from starlette.responses import StreamingResponse

    last = call.request.headers.get("last-event-id", call.query.get("after"))
    if last is not None and not (last.isascii() and last.isdecimal() and len(last) < 19):
        raise BadParameter(name="Last-Event-ID", value=last[:100], expected="the seq of an event", where="header.Last-Event-ID")
    after = int(last) if last is not None else call.house.ledger.newest()
    _filter(call, after)  # what cannot be is refused before the first byte
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_stream(call, after), media_type="text/event-stream", headers=headers)


def why(call: Call) -> Why:
    """Return the events about an id and their causes, transitively."""
    id, ledger = call.path["id"], call.house.ledger
    explanation = call.house.explanation(id)
    if explanation is None:
        events = ledger.why(id)
    elif call.may("ledger.read", Scope(explanation.project, explanation.environment)):
        found = {event.seq: event for seq in explanation.events for event in ledger.why(str(seq))}
        events = [found[seq] for seq in sorted(found, reverse=True)]
    else:
        raise UnknownId(id=id)
    shown = [event for event in events if visible(call, event)]
    if not shown:
        raise UnknownId(id=id)
    return Why(id, shown)


def lineage(call: Call) -> Lineage:
    """Return what an id was made from (`direction=up`) or what was made from it (`down`)."""
    id, direction = call.path["id"], call.query.get("direction", "up")
    if direction not in ("up", "down"):
        raise BadParameter(name="direction", value=direction[:100], expected="up or down", where="query.direction")
    depth, ledger = call.number("depth", 64, 1, 1000), call.house.ledger
    explanation = call.house.explanation(id)
    if explanation is None:
        edges = ledger.lineage(id, "up" if direction == "up" else "down", depth)
    else:
        edges = [Edge(source, id, role, None) for source, role in explanation.made_from] if direction == "up" else []
        edges += [
            edge for source, _ in explanation.made_from if direction == "up" for edge in ledger.lineage(source, "up", depth)
        ]
    names = dict.fromkeys([id, *(end for edge in edges for end in (edge.source, edge.target))])
    nodes = [node for name in names if (node := ledger.node(name))]
    if explanation is not None:
        nodes.append({"id": id, "type": "artifact", "kind": explanation.kind, "name": "", "project": explanation.project})
    nodes = [node for node in nodes if call.may("ledger.read", Scope(node["project"]))]
    shown = {node["id"] for node in nodes}
    if id not in shown:
        raise UnknownId(id=id)
    return Lineage(id, direction, nodes, [edge for edge in dict.fromkeys(edges) if {edge.source, edge.target} <= shown])


def clock(call: Call) -> ClockState:
    """Return where the clock stands; with `wait`, once it is not on its way, after at most so many seconds."""
    return call.house.part(Timekeeper).wait(call.number("wait", 0, most=_LONGEST_WAIT))


def advance(call: Call) -> ClockState:
    """Send a replay clock on its way; it goes hour by hour and waits in each until no run is active."""
    return call.house.part(Timekeeper).advance(_moment(call.body.to, call.house.ledger.clock.now()))


def on_its_way(call: Call, events: Sequence[StoredEvent]) -> ClockState | None:
    """Return where the clock stands if the request has sent it on its way: a server that starts carries it on."""
    return clock(call) if any(event.kind == ClockAdvanced.kind for event in events) else None


def _moment(text: str, now: datetime) -> datetime:
    if text[:1].isdecimal() and text[-1:].isalpha() and "T" not in text:
        try:
            return now + parse_duration(text)
        except OverflowError:
            raise BadParameter(
                name="to", value=text[:100], expected="a moment before the year 10000", where="body.to"
            ) from None
    return parse_instant(text)


def _filter(call: Call, after: int) -> EventFilter:
    return EventFilter(
        kinds=tuple(kind for kind in call.query.get("kind", "").split(",") if kind),
        subject=call.query.get("subject"),
        project=call.query.get("project") or _own_project(call),
        environment=call.query.get("environment"),
        after=after,
        before=call.number("before", 0, most=1 << 62) or None,
        newest_first=call.flag("newest_first"),
        limit=call.number("limit", 100, 1, 1000),
    )


def _own_project(call: Call) -> str | None:
    """Return the one project that the caller may see, None for all: pages of events shall not be emptied by others'."""
    projects = {grant.project for grant in call.principal.grants}
    return projects.pop() if len(projects) == 1 and "*" not in projects else None


def visible(call: Call, event: StoredEvent) -> bool:
    """Return whether the caller may see an event: where it happened decides."""
    return call.may("ledger.read", Scope(event.project, event.environment))


async def _stream(call: Call, after: int) -> Any:
    import asyncio
    import time

    import msgspec

    ledger, feed = call.house.ledger, call.house.part(EventFeed)
    yield f"retry: 2000\n: after {after}\n\n"
    said = asked = time.monotonic()
    while not call.house.closing:
        events = await asyncio.to_thread(ledger.events, _filter(call, after))
        for event in events:
            after = event.seq
            if visible(call, event):
                said = time.monotonic()
                data = msgspec.json.encode(event, enc_hook=dict).decode()
                yield f"id: {event.seq}\ndata: {data}\n\n"
        if time.monotonic() - asked > _HEARTBEAT:
            asked = time.monotonic()
            if not await asyncio.to_thread(is_known, ledger, call.request.headers):
                return
        if not events:
            if time.monotonic() - said > _HEARTBEAT:
                said = time.monotonic()
                yield ": still here\n\n"
            await feed.wait(1.0)


_FILTERS = ("kind", "subject", "project", "environment", "after", "before", "newest_first", "limit")
_STREAMED = ("kind", "subject", "project", "environment", "after")
_READ = "ledger.read"

ROUTES = [
    Route("GET", "/api/v1/events", list_events, _READ, "Events by kind, subject, project", query=_FILTERS, reach="any"),
    Route("GET", "/api/v1/events/{seq}", show_event, _READ, "One event", reach="any"),
    Route("GET", "/events", stream_events, _READ, "Events as they come (SSE)", query=_STREAMED, reach="any", events=True),
    Route("GET", "/events.json", list_events, _READ, "Events by kind, subject, project", query=_FILTERS, reach="any"),
    Route("GET", "/api/v1/why/{id}", why, _READ, "An id's events and their causes", reach="any"),
    Route(
        "GET", "/api/v1/lineage/{id}", lineage, _READ, "What led to an id or from it", query=("direction", "depth"), reach="any"
    ),
    Route("GET", "/api/v1/clock", clock, _READ, "Where the home's clock stands", reach="any", query=("wait",)),
    Route(
        "POST", "/api/v1/clock/advance", advance, "ledger.advance", "Send a replay clock on its way", Advance, recall=on_its_way
    ),
]
