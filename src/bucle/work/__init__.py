"""Work items: what people do about what they and the machine found."""

from bucle.work.alerts import AlertFired, work_from_alerts
from bucle.work.errors import AlreadyClosed, BadField, UnknownItem
from bucle.work.events import WorkChanged, WorkClosed, WorkCommented, WorkOpened
from bucle.work.items import (
    ALLOWANCE,
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
)

__all__ = [
    "ALLOWANCE",
    "AlertFired",
    "AlreadyClosed",
    "BadField",
    "Change",
    "Comment",
    "Link",
    "NewItem",
    "UnknownItem",
    "WorkChanged",
    "WorkClosed",
    "WorkCommented",
    "WorkItem",
    "WorkOpened",
    "change_item",
    "close_item",
    "comment_on",
    "get_item",
    "list_items",
    "open_item",
    "work_from_alerts",
]
