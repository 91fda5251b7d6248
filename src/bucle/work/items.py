"""Work items: bugs, experiments, features and incidents, with severity, priority and the time that they may take (L-08)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from bucle.ledger import Ledger, Scope, Transaction, new_id, to_us, within
from bucle.messages import Phrase
from bucle.work import store
from bucle.work.errors import AlreadyClosed, BadField, UnknownItem
from bucle.work.events import WorkChanged, WorkClosed, WorkCommented, WorkOpened

Kind = Literal["bug", "experiment", "feature", "incident"]
State = Literal["open", "in_progress", "done"]
Severity = Literal["critical", "major", "minor", "trivial"]
LinkKind = Literal["alert", "run", "commit", "model", "service", "release"]

KINDS, STATES, SEVERITIES, LINK_KINDS = get_args(Kind), get_args(State), get_args(Severity), get_args(LinkKind)
ALLOWANCE: Mapping[str, timedelta | None] = {
    "critical": timedelta(days=1),
    "major": timedelta(days=3),
    "minor": timedelta(days=14),
    "trivial": None,
}
"""How long an item of each severity may stay open unless it is given a due date."""

_PRIORITIES = range(1, 5)
_LONGEST_TITLE, _LONGEST_TEXT = 200, 20_000


@dataclass(frozen=True, slots=True)
class Link:
    """What an item is about: an alert, run, commit, model version, service or release, by id or name."""

    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote under an item."""

    id: str
    author: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Something that people do about what they or the machine found. Priority 1 comes first; times are on the home's clock.

    `said` is the title of what the machine found, in any language; None of a title that a person wrote.
    """

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
    opened_at: datetime
    due: datetime | None
    closed_at: datetime | None
    resolution: str | None
    links: tuple[Link, ...]
    comments: tuple[Comment, ...]
    event: int
    said: Phrase | None = None

    def told(self, lang: str) -> "WorkItem":
        """Return the item with its title in a language; one that a person wrote stays as it is."""
        return replace(self, title=self.said.text(lang)) if self.said else self

    def overdue(self, now: datetime) -> bool:
        """Return whether it took, or is taking, longer than it may."""
        return self.due is not None and (self.closed_at or now) > self.due


@dataclass(frozen=True, slots=True)
class NewItem:
    """What it takes to open an item; `due` overrides what the severity allows, `source_event` makes opening idempotent.

    `said` is the title in any language, where the machine writes it.
    """

    kind: str
    title: str
    description: str = ""
    severity: str = "minor"
    priority: int = 3
    assignee: str | None = None
    feature: str | None = None
    due: datetime | None = None
    links: tuple[Link, ...] = ()
    source_event: str | None = None
    said: Phrase | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """New values for some fields of an item; None leaves one as it is."""

    title: str | None = None
    description: str | None = None
    state: str | None = None
    severity: str | None = None
    priority: int | None = None
    assignee: str | None = None
    due: datetime | None = None
    link: Link | None = None


def open_item(transaction: Transaction, scope: Scope, opened_by: str, new: NewItem) -> str:
    """Open an item and return its id; the same `source_event` opens only one. Raises `work/bad-field`."""
    _check(kind=new.kind, severity=new.severity, title=new.title, description=new.description, priority=new.priority)
    _check(assignee=new.assignee or "", feature=new.feature or "")
    for link in new.links:
        _check(link=link.kind, target=link.target)
    known = store.item_of_event(transaction, new.source_event)
    if known is not None:
        return known
    now = transaction.clock.now()
    allowance = ALLOWANCE[new.severity]
    due = new.due or (now + allowance if allowance else None)
    item = new_id("work")
    alert = next((link.target for link in new.links if link.kind == "alert"), None)
    opened = WorkOpened(new.kind, new.title, new.severity, new.priority, new.feature, alert, due)
    with within(scope):
        event = transaction.emit(opened, item)
    store.insert_item(transaction, item, scope, opened_by, new, to_us(now), to_us(due) if due else None, event)
    for link in new.links:
        store.insert_link(transaction, item, link)
    return item


def change_item(transaction: Transaction, id: str, change: Change) -> None:
    """Give fields of an item other values. Raises `work/unknown`, `work/bad-field`; closing is `close_item`."""
    item = _must_find(transaction, id)
    _check(**{name: value for name, value in _given(change) if name not in {"due", "link", "state"}})
    if change.state is not None:
        _check(state=change.state)
        if change.state == "done":
            raise BadField(field="state", value="done", allowed="open or in_progress; `bucle work close` closes")
    changes = [(name, str(getattr(item, name)), str(value)) for name, value in _given(change) if name != "link"]
    changes = [each for each in changes if each[1] != each[2]]
    if change.link is not None and change.link not in item.links:
        _check(link=change.link.kind, target=change.link.target)
        store.insert_link(transaction, id, change.link)
        changes.append(("link", "", f"{change.link.kind}:{change.link.target}"))
    if not changes:
        return
    store.update_item(transaction, id, change)
    with within(Scope(item.project, item.environment)):
        transaction.emit(WorkChanged(tuple(changes)), id)


def close_item(transaction: Transaction, id: str, resolution: str) -> None:
    """Close an item with what became of it. Raises `work/unknown`, `work/closed`."""
    item = _must_find(transaction, id)
    if item.state == "done":
        raise AlreadyClosed(id=id)
    _check(resolution=resolution)
    now = transaction.clock.now()
    store.close_item(transaction, id, resolution, to_us(now))
    took = (now - item.opened_at).total_seconds()
    with within(Scope(item.project, item.environment)):
        transaction.emit(WorkClosed(resolution, took, item.overdue(now)), id)


def comment_on(transaction: Transaction, id: str, author: str, text: str) -> str:
    """Write under an item and return the comment's id. Raises `work/unknown`, `work/bad-field`."""
    item = _must_find(transaction, id)
    _check(comment=text)
    comment = new_id("cmt")
    with within(Scope(item.project, item.environment)):
        event = transaction.emit(WorkCommented(comment), id)
    store.insert_comment(transaction, comment, id, author, text, transaction.clock.now_us(), event)
    return comment


def get_item(ledger: Ledger, project: str, id: str) -> WorkItem:
    """Return an item of the project with its links and comments. Raises `work/unknown`."""
    with ledger.read() as reader:
        item = store.select_item(reader, id)
    if item is None or item.project != project:
        raise UnknownItem(id=id)
    return item


def list_items(ledger: Ledger, project: str, state: str | None = None, kind: str | None = None) -> list[WorkItem]:
    """Return the project's items, the most urgent first; `state` "all" includes those that are done."""
    if kind is not None:
        _check(kind=kind)
    if state not in (None, "all"):
        _check(state=state)
    with ledger.read() as reader:
        return store.select_items(reader, project, state, kind)


def _must_find(transaction: Transaction, id: str) -> WorkItem:
    item = store.select_item(transaction, id)
    if item is None:
        raise UnknownItem(id=id)
    return item


def _given(change: Change) -> list[tuple[str, object]]:
    return [(field.name, getattr(change, field.name)) for field in fields(change) if getattr(change, field.name) is not None]


def _check(**given: object) -> None:
    words = {"kind": KINDS, "state": STATES, "severity": SEVERITIES, "link": LINK_KINDS}
    lengths = dict.fromkeys(("title", "assignee", "feature", "target"), _LONGEST_TITLE)
    lengths |= dict.fromkeys(("description", "comment", "resolution"), _LONGEST_TEXT)
    for field, value in given.items():
        if field in words and value not in words[field]:
            raise BadField(field=field, value=value, allowed=", ".join(words[field]), where=field)
        if field in lengths and len(str(value)) > lengths[field]:
            raise BadField(
                field=field, value=str(value)[:40] + "…", allowed=f"at most {lengths[field]} characters", where=field
            )
        if field in ("title", "comment") and not str(value).strip():
            raise BadField(field=field, value=value, allowed="a text", where=field)
        if field == "priority" and value not in _PRIORITIES:
            raise BadField(field=field, value=value, allowed="1 (first) to 4 (last)", where=field)
