"""Routes of work items, and the subscription that opens them for alerts."""

from datetime import datetime

import msgspec

from bucle.ledger import Scope, format_instant, parse_instant
from bucle.server.house import House
from bucle.server.routing import Body, Call, Route
from bucle.work import (
    Change,
    Comment,
    Link,
    NewItem,
    WorkItem,
    change_item,
    close_item,
    comment_on,
    get_item,
    list_items,
    open_item,
    work_from_alerts,
)

_ITEMS = "/api/v1/projects/{project}/work"


def compose(house: House) -> None:
    """Let alerts open work."""
    house.subscribe(work_from_alerts(house.ledger))


class LinkBody(Body, frozen=True):
    """What an item is about: kind (alert, run, commit, model, service, release) and id or name."""

    kind: str
    target: str


class OpenBody(Body, frozen=True):
    """A new item; `due` is an instant, else the severity sets it."""

    kind: str
    title: str
    description: str = ""
    severity: str = "minor"
    priority: int = 3
    assignee: str | None = None
    feature: str | None = None
    due: str | None = None
    links: list[LinkBody] = []


class ChangeBody(Body, frozen=True):
    """New values for some fields."""

    title: str | None = None
    description: str | None = None
    state: str | None = None
    severity: str | None = None
    priority: int | None = None
    assignee: str | None = None
    due: str | None = None
    link: LinkBody | None = None


class CommentBody(Body, frozen=True):
    """What somebody says about an item."""

    text: str


class CloseBody(Body, frozen=True):
    """What became of an item."""

    resolution: str


class ItemView(msgspec.Struct, frozen=True):
    """A work item as routes show it; `overdue` is by the home's clock."""

    id: str
    project: str
    environment: str
    kind: str
    title: str
    description: str
    state: str
    severity: str
    priority: int
    assignee: str | None
    feature: str | None
    opened_by: str
    opened_at: str
    due: str | None
    closed_at: str | None
    resolution: str | None
    overdue: bool
    links: tuple[Link, ...]
    comments: tuple[Comment, ...]
    event: int


def visible_items(call: Call, state: str | None = None, kind: str | None = None) -> list[WorkItem]:
    """Return the project's items in the environments that the caller may see, the most urgent first."""
    items = list_items(call.house.ledger, call.scope.project, state, kind)
    return [item.told(call.language) for item in items if call.may("work.read", Scope(item.project, item.environment))]


def list_(call: Call) -> list[ItemView]:
    """Return the project's items, the most urgent first."""
    return [_view(call, item) for item in visible_items(call, call.query.get("state"), call.query.get("kind"))]


def open_(call: Call) -> ItemView:
    """Open an item."""
    body: OpenBody = call.body
    new = NewItem(
        kind=body.kind,
        title=body.title,
        description=body.description,
        severity=body.severity,
        priority=body.priority,
        assignee=body.assignee,
        feature=body.feature,
        due=_instant(body.due),
        links=tuple(Link(link.kind, link.target) for link in body.links),
    )
    with call.house.ledger.write() as transaction:
        id = open_item(transaction, call.scope, call.principal.name, new)
    return _one(call, id)


def read(call: Call) -> ItemView:
    """Return an item with its links and comments."""
    return _view(call, _found(call, "work.read"))


def change(call: Call) -> ItemView:
    """Change fields of an item."""
    body: ChangeBody = call.body
    id = _found(call, "work.write").id
    changed = Change(
        title=body.title,
        description=body.description,
        state=body.state,
        severity=body.severity,
        priority=body.priority,
        assignee=body.assignee,
        due=_instant(body.due),
        link=Link(body.link.kind, body.link.target) if body.link else None,
    )
    with call.house.ledger.write() as transaction:
        change_item(transaction, id, changed)
    return _one(call, id)


def comment(call: Call) -> ItemView:
    """Write under an item."""
    id = _found(call, "work.write").id
    with call.house.ledger.write() as transaction:
        comment_on(transaction, id, call.principal.name, call.body.text)
    return _one(call, id)


def close(call: Call) -> ItemView:
    """Close an item."""
    id = _found(call, "work.write").id
    with call.house.ledger.write() as transaction:
        close_item(transaction, id, call.body.resolution)
    return _one(call, id)


def _found(call: Call, permission: str) -> WorkItem:
    item = get_item(call.house.ledger, call.scope.project, call.path["item"])
    call.own(permission, item.environment)
    return item


def _one(call: Call, id: str) -> ItemView:
    return _view(call, get_item(call.house.ledger, call.scope.project, id))


def _view(call: Call, item: WorkItem) -> ItemView:
    return ItemView(
        id=item.id,
        project=item.project,
        environment=item.environment,
        kind=item.kind,
        title=item.told(call.language).title,
        description=item.description,
        state=item.state,
        severity=item.severity,
        priority=item.priority,
        assignee=item.assignee,
        feature=item.feature,
        opened_by=item.opened_by,
        opened_at=format_instant(item.opened_at),
        due=_text(item.due),
        closed_at=_text(item.closed_at),
        resolution=item.resolution,
        overdue=item.overdue(call.house.ledger.clock.now()),
        links=item.links,
        comments=item.comments,
        event=item.event,
    )


def _instant(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None


def _text(moment: datetime | None) -> str | None:
    return format_instant(moment) if moment else None


ROUTES = [
    Route("GET", _ITEMS, list_, "work.read", "Work items, the most urgent first", query=("state", "kind"), reach="any"),
    Route("POST", _ITEMS, open_, "work.write", "Open a work item", OpenBody),
    Route("GET", _ITEMS + "/{item}", read, "work.read", "A work item with links and comments", reach="any"),
    Route("PATCH", _ITEMS + "/{item}", change, "work.write", "Change fields of a work item", ChangeBody, reach="any"),
    Route("POST", _ITEMS + "/{item}/comments", comment, "work.write", "Write under a work item", CommentBody, reach="any"),
    Route("POST", _ITEMS + "/{item}/close", close, "work.write", "Close a work item", CloseBody, reach="any"),
]
