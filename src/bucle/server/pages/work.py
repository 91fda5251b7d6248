"""The page of work items: what people do about what the machine found."""

from dataclasses import dataclass
from datetime import datetime

from bucle.server.api.work import visible_items
from bucle.server.pages.page import Page
from bucle.server.routing import Call
from bucle.work import WorkItem


@dataclass(frozen=True, slots=True)
class WorkDocument:
    """The items of the project, the most urgent first; done ones after them."""

    now: datetime
    items: list[WorkItem]


def work_document(call: Call) -> WorkDocument:
    """Return all work items of the project."""
    ledger = call.house.ledger
    items = visible_items(call, "all")
    return WorkDocument(ledger.clock.now(), sorted(items, key=lambda item: item.closed_at is not None))


PAGES = (Page("/projects/{project}/work", "work.html.j2", work_document, "work.read", "Work.", live=("work.",)),)
