"""The pages of the ledger: all events, and why something is as it is."""

from dataclasses import dataclass, replace

from bucle.ledger import Edge, EventFilter, StoredEvent, UnknownId
from bucle.server.api.ledger import lineage, visible, why
from bucle.server.pages.page import Page
from bucle.server.routing import Call

_ON_A_PAGE = 100
LIVE = ("project.", "data.", "features.", "pipelines.", "registry.", "serving.", "monitoring.", "delivery.", "work.")


@dataclass(frozen=True, slots=True)
class EventsDocument:
    """Events, newest first; `older` is the seq before which the next page begins."""

    kind: str
    events: list[StoredEvent]
    older: int | None


@dataclass(frozen=True, slots=True)
class WhyDocument:
    """The events about an id and their causes, newest first, and the edges of what it was made from."""

    id: str
    events: list[StoredEvent]
    edges: list[Edge]


def events_document(call: Call) -> EventsDocument:
    """Return a page of events of the project."""
    kind = call.query.get("kind", "")
    wanted = EventFilter(
        kinds=(kind,) if kind else (),
        project=call.path["project"],
        before=call.number("before", 1 << 60, 1, 1 << 60),
        newest_first=True,
        limit=_ON_A_PAGE,
    )
    found = call.house.ledger.events(wanted)
    return EventsDocument(
        kind, [event for event in found if visible(call, event)], found[-1].seq if len(found) == _ON_A_PAGE else None
    )


def why_document(call: Call) -> WhyDocument:
    """Return what led to an id. Raises `ledger/unknown-id`."""
    found = why(call)
    try:
        edges = lineage(replace(call, query={})).edges
    except UnknownId:  # an event is no node: nothing was made from it
        edges = []
    return WhyDocument(found.id, found.events, edges)


PAGES = (
    Page(
        "/projects/{project}/events",
        "events.html.j2",
        events_document,
        "ledger.read",
        "Events.",
        live=LIVE,
        query=("kind", "before"),
    ),
    Page("/why/{id}", "why.html.j2", why_document, "ledger.read", "Why."),
)
