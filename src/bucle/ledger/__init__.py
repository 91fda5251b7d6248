"""The ledger: events with the state that they explain, causes, lineage, the clock. The only place that opens a database."""

from bucle.ledger.clock import Clock
from bucle.ledger.context import Context, RequestKey, Scope, acting, aside, because, current_context, handling, within
from bucle.ledger.errors import DiskFull, HomeBusy, UnknownId
from bucle.ledger.events import KINDS, ClockAdvanced, Event, StoredEvent, Ticked
from bucle.ledger.home import Home, ServerAddress, find_server
from bucle.ledger.ids import content_id, named_id, new_id
from bucle.ledger.instants import format_instant, from_us, parse_duration, parse_instant, to_us
from bucle.ledger.sqlite import Durability, Reader, Row
from bucle.ledger.store import EventFilter, StoredRequest
from bucle.ledger.subscriptions import Dispatcher, Subscription
from bucle.ledger.transactions import Edge, Ledger, Transaction
from bucle.ledger.units import Unit

__all__ = [
    "KINDS",
    "Clock",
    "ClockAdvanced",
    "Context",
    "DiskFull",
    "Dispatcher",
    "Durability",
    "Edge",
    "Event",
    "EventFilter",
    "Home",
    "HomeBusy",
    "Ledger",
    "Reader",
    "RequestKey",
    "Row",
    "Scope",
    "ServerAddress",
    "StoredEvent",
    "StoredRequest",
    "Subscription",
    "Ticked",
    "Transaction",
    "Unit",
    "UnknownId",
    "acting",
    "aside",
    "because",
    "content_id",
    "current_context",
    "find_server",
    "format_instant",
    "from_us",
    "handling",
    "named_id",
    "new_id",
    "parse_duration",
    "parse_instant",
    "to_us",
    "within",
]
