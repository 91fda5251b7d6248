"""How work items live in the ledger."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from bucle.ledger import Reader, Row, Scope, Transaction, from_us, to_us
from bucle.messages import Phrase

if TYPE_CHECKING:
    from bucle.work.items import Change, Link, NewItem, WorkItem

INSERT = """
INSERT INTO work_item (id, project, environment, kind, title, description, state, severity, priority, assignee, feature,
  opened_by, source_event, created_us, due_us, event, said)
VALUES (?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE = """
UPDATE work_item SET title = coalesce(?, title), said = CASE WHEN ? IS NULL THEN said END,
  description = coalesce(?, description), state = coalesce(?, state),
  severity = coalesce(?, severity), priority = coalesce(?, priority), assignee = coalesce(?, assignee),
  due_us = coalesce(?, due_us), closed_us = CASE WHEN ? IS NULL THEN closed_us END,
  resolution = CASE WHEN ? IS NULL THEN resolution END
WHERE id = ?
"""
CLOSE = "UPDATE work_item SET state = 'done', resolution = ?, closed_us = ? WHERE id = ?"
INSERT_LINK = "INSERT INTO work_link (item, kind, target) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
INSERT_COMMENT = "INSERT INTO work_comment (id, item, author, text, created_us, event) VALUES (?, ?, ?, ?, ?, ?)"
SELECT = "SELECT * FROM work_item WHERE id = ?"
SELECT_LINKS = "SELECT kind, target FROM work_link WHERE item = ? ORDER BY kind, target"
SELECT_COMMENTS = "SELECT id, author, text, created_us FROM work_comment WHERE item = ? ORDER BY created_us, id"
SELECT_OF_EVENT = "SELECT id FROM work_item WHERE source_event = ?"
SELECT_SIMILAR = """
SELECT item.id FROM work_item item JOIN work_link link ON link.item = item.id AND link.kind = 'service'
WHERE item.project = ? AND item.environment = ? AND item.kind = ? AND item.state <> 'done' AND link.target = ?
  AND coalesce(item.feature, '') = ? ORDER BY item.created_us DESC, item.id DESC
"""
SELECT_ALL = """
SELECT * FROM work_item
WHERE project = ? AND (? IS NULL OR state = ?) AND (? = 0 OR state <> 'done') AND (? IS NULL OR kind = ?)
ORDER BY priority, CASE WHEN due_us IS NULL THEN 1 ELSE 0 END, due_us, created_us, id
"""


def insert_item(
    transaction: Transaction, id: str, scope: Scope, opened_by: str, new: "NewItem", now_us: int, due_us: int | None, event: int
) -> None:
    """Write a new, open item."""
    values = (id, scope.project, scope.environment, new.kind, new.title, new.description, new.severity, new.priority)
    said = msgspec.json.encode(new.said).decode() if new.said else None
    rest = (new.assignee, new.feature, opened_by, new.source_event, now_us, due_us, event, said)
    transaction.execute(INSERT, (*values, *rest))


def update_item(transaction: Transaction, id: str, change: "Change") -> None:
    """Write the fields that are given; a new state opens what was closed."""
    texts = (change.title, change.title, change.description, change.state, change.severity, change.priority, change.assignee)
    due_us = to_us(change.due) if change.due else None
    transaction.execute(UPDATE, (*texts, due_us, change.state, change.state, id))


def close_item(transaction: Transaction, id: str, resolution: str, now_us: int) -> None:
    """Mark an item as done."""
    transaction.execute(CLOSE, (resolution, now_us, id))


def insert_link(transaction: Transaction, id: str, link: "Link") -> None:
    """Tie an item to what it is about."""
    transaction.execute(INSERT_LINK, (id, link.kind, link.target))


def insert_comment(transaction: Transaction, comment: str, id: str, author: str, text: str, now_us: int, event: int) -> None:
    """Write a comment."""
    transaction.execute(INSERT_COMMENT, (comment, id, author, text, now_us, event))


def item_of_event(reader: Reader | Transaction, event: str | None) -> str | None:
    """Return the item that an event opened already."""
    row = reader.row(SELECT_OF_EVENT, (event,)) if event else None
    return row["id"] if row else None


def similar_item(reader: Reader | Transaction, scope: Scope, kind: str, service: str, feature: str | None) -> str | None:
    """Return the open item of this kind about the same service and feature."""
    row = reader.row(SELECT_SIMILAR, (scope.project, scope.environment, kind, service, feature or ""))
    return row["id"] if row else None


def select_item(reader: Reader | Transaction, id: str) -> "WorkItem | None":
    """Return an item with its links and comments."""
    row = reader.row(SELECT, (id,))
    return _item(reader, row) if row else None


def select_items(reader: Reader, project: str, state: str | None, kind: str | None) -> list["WorkItem"]:
    """Return items, the most urgent first; without a state all that are not done."""
    exact = None if state == "all" else state
    parameters: Sequence[object] = (project, exact, exact, 1 if state is None else 0, kind, kind)
    return [_item(reader, row) for row in reader.rows(SELECT_ALL, parameters)]


def _item(reader: Reader | Transaction, row: Row) -> "WorkItem":
    from bucle.work.items import Comment, Link, WorkItem

    id = row["id"]
    comments = [Comment(each[0], each[1], each[2], from_us(each[3])) for each in reader.rows(SELECT_COMMENTS, (id,))]
    return WorkItem(
        id=id,
        project=row["project"],
        environment=row["environment"],
        kind=row["kind"],
        title=row["title"],
        description=row["description"],
        state=row["state"],
        severity=row["severity"],
        priority=row["priority"],
        assignee=row["assignee"],
        feature=row["feature"],
        opened_by=row["opened_by"],
        opened_at=from_us(row["created_us"]),
        due=from_us(row["due_us"]) if row["due_us"] is not None else None,
        closed_at=from_us(row["closed_us"]) if row["closed_us"] is not None else None,
        resolution=row["resolution"],
        links=tuple(Link(each[0], each[1]) for each in reader.rows(SELECT_LINKS, (id,))),
        comments=tuple(comments),
        event=row["event"],
        said=msgspec.json.decode(row["said"], type=Phrase) if row["said"] else None,
    )
