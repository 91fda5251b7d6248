"""The ledger: state, its event and its lineage in one transaction."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from bucle.ledger import store
from bucle.ledger.clock import Clock, load_clock, make_clock
from bucle.ledger.context import RequestKey, current_context, uniting
from bucle.ledger.errors import UnknownId
from bucle.ledger.events import DurabilitySet, Event, StoredEvent
from bucle.ledger.ids import new_id
from bucle.ledger.instants import to_us
from bucle.ledger.migrations import migrate
from bucle.ledger.sqlite import Database, Durability, Reader, Row, Writer
from bucle.ledger.store import EventFilter, StoredRequest
from bucle.ledger.units import Unit

NodeType = Literal["execution", "artifact", "context"]


@dataclass(frozen=True, slots=True)
class Edge:
    """Data that flowed from `source` to `target` in a role; `event` is the seq that recorded it."""

    source: str
    target: str
    role: str
    event: int | None


class Transaction:
    """One write to the ledger: rows, the events that explain them, the lineage that they leave."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self.clock = clock
        self.emitted: list[int] = []

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query, seeing this transaction's own writes."""
        return self._writer.rows(sql, parameters)

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        return self._writer.row(sql, parameters)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self._writer.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Run a statement for each of `rows` and return how many rows changed."""
        return self._writer.execute_many(sql, rows)

    def emit(self, event: Event, subject: str) -> int:
        """Append an event about `subject` and return its seq. Actor, role, scope and causes come from the context."""
        context = current_context()
        values = (
            new_id("evt"),
            time.time_ns() // 1000,
            self.clock.now_us(),
            context.scope.project,
            context.scope.environment,
            event.kind,
            event.version,
            subject,
            context.actor,
            context.role,
            json.dumps(msgspec.to_builtins(event), ensure_ascii=False),
        )
        seq = store.insert_event(self._writer, values, context.causes)
        self.emitted.append(seq)
        return seq

    def node(self, id: str, type: NodeType, kind: str, name: str = "", event: int | None = None) -> None:
        """Enter an execution, artifact or context into the lineage; what is there already stays as it is."""
        self.execute(store.UPSERT_NODE, (id, type, kind, name, current_context().scope.project, event))

    def edge(self, source: str, target: str, role: str, event: int | None = None) -> None:
        """Record that data flowed from `source` to `target` (artifact to execution, execution to artifact)."""
        self.execute(store.UPSERT_EDGE, (source, target, role, event))


class Ledger:
    """The single source of truth of a home. Open it through `Home.open`, which takes the home's lock."""

    def __init__(self, path: Path, *, durability: Durability | None = None, replay_from: datetime | None = None) -> None:
        self._database = Database(path)
        self._committed = threading.Condition()
        self._listeners: tuple[Callable[[], None], ...] = ()
        try:
            migrate(self._database, path)
            self.clock = self._load_or_make_clock(replay_from)
            self.durability = self._settled(durability)
        except BaseException:
            self._database.close()
            raise

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Run one transaction; when the block has ended without error it is durable, otherwise nothing of it is visible.

        Within `whole` it is a part of that transaction and durable with it.
        """
        unit = self._unit()
        with unit.part() if unit is not None else self._database.write() as writer:
            transaction = Transaction(writer, self.clock)
            yield transaction
            if (request := current_context().request) is not None:
                store.note_request(writer, request.name, request.digest, time.time_ns() // 1000, transaction.emitted)
        if unit is None:
            self._tell()

    @contextmanager
    def whole(self, request: RequestKey) -> Iterator[Unit]:
        """Let all that this thread writes within, and the answer that the unit keeps, be one transaction.

        It begins with the first write. After an error nothing of it is visible.
        """
        with Unit(self._database, request) as unit, uniting(request, unit):
            yield unit
        self._tell()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Open a consistent snapshot of what is committed; within `whole` also of what that has written."""
        unit = self._unit()
        if unit is not None and unit.writer is not None:
            yield unit.writer
            return
        with self._database.read() as reader:
            yield reader

    def _unit(self) -> Unit | None:
        unit = current_context().unit
        return unit if unit is not None and unit.mine else None

    def events(self, wanted: EventFilter | None = None) -> list[StoredEvent]:
        """Return the events that pass the filter, oldest first unless it says otherwise."""
        with self.read() as reader:
            return store.select_events(reader, wanted or EventFilter())

    def event(self, seq: int) -> StoredEvent:
        """Return one event by seq. Raises `ledger/unknown-id`."""
        with self.read() as reader:
            found = store.select_event(reader, seq)
        if found is None:
            raise UnknownId(id=seq)
        return found

    def kinds(self, project: str) -> dict[str, tuple[int, int]]:
        """Return for each kind of event of a project how many there are and the seq of the last."""
        with self.read() as reader:
            return store.count_kinds(reader, project)

    def count_events(self) -> dict[str, int]:
        """Return how many events of each kind the ledger holds."""
        with self.read() as reader:
            return {row[0]: int(row[1]) for row in reader.rows(store.COUNT_EVENTS)}

    def newest(self) -> int:
        """Return the seq of the last committed event, 0 for none."""
        with self.read() as reader:
            return store.newest_seq(reader)

    def wait(self, after: int, timeout: float) -> bool:
        """Wait until an event later than `after` is committed; return whether there is one. Seconds."""
        deadline = time.monotonic() + timeout
        with self._committed:
            while self.newest() <= after:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._committed.wait(remaining):
                    return self.newest() > after
        return True

    def move_clock(self, to: datetime, *events: Event) -> list[int]:
        """Set the replay clock to `to` and append `events` about the clock, which happen at that moment; return their seqs.

        Raises `ledger/clock-not-replay`, `ledger/clock-backwards`.
        """
        try:
            with self._database.write() as writer:
                self.clock.move(writer, to)
                transaction = Transaction(writer, self.clock)
                seqs = [transaction.emit(event, "clock") for event in events]
        except BaseException:
            with self._database.at_rest() as stored:
                self.clock.put_back(stored)
            raise
        self._tell()
        return seqs

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit, in the thread that committed; it must be quick and must not write."""
        self._listeners += (listener,)

    def request(self, name: str) -> StoredRequest | None:
        """Return the request that took effect under a key's name, or None."""
        with self.read() as reader:
            return store.select_request(reader, name)

    def keep_answer(self, name: str, status: int, answer: str) -> None:
        """Keep the answer of a request that took effect; nothing is kept of one that had no effect."""
        with self._database.write() as writer:
            writer.execute(store.KEEP_ANSWER, (status, answer, name))

    def forget_requests(self, older_than: datetime) -> int:
        """Forget the keys and answers of requests before a moment (database time); return how many."""
        with self._database.write() as writer:
            return writer.execute(store.FORGET_REQUESTS, (to_us(older_than),))

    def why(self, id: str) -> list[StoredEvent]:
        """Return the events about `id` (or the event of that id or seq) and, transitively, their causes, newest first."""
        with self.read() as reader:
            found = store.select_with_causes(reader, id)
        if not found:
            raise UnknownId(id=id)
        return found

    def lineage(self, id: str, direction: Literal["up", "down"] = "up", depth: int = 64) -> list[Edge]:
        """Return the edges that lead to `id` ("up": what it was made from) or from it ("down": what uses it)."""
        sql = store.ANCESTORS if direction == "up" else store.DESCENDANTS
        with self.read() as reader:
            return [Edge(*(row[column] for column in row.keys())) for row in reader.rows(sql, (id, depth))]

    def node(self, id: str) -> dict[str, Any] | None:
        """Return the lineage node of `id` with its type, kind, name, project and event, or None."""
        with self.read() as reader:
            row = reader.row("SELECT * FROM lineage_node WHERE id = ?", (id,))
            return {column: row[column] for column in row.keys()} if row else None

    def check(self) -> list[str]:
        """Return what is wrong with the database file and its references; empty when it is whole."""
        with self.read() as reader:
            problems = [str(row[0]) for row in reader.rows("PRAGMA quick_check")]
            row = reader.row(store.COUNT_LOOSE_CAUSES)
        loose = [f"{row[0]} causes name no event"] if row and row[0] else []
        return [problem for problem in problems if problem != "ok"] + loose

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy of the database to `path`, also while others write."""
        self._database.copy_to(path)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _tell(self) -> None:
        with self._committed:
            self._committed.notify_all()
        for listener in self._listeners:
            listener()

    def _settled(self, wanted: Durability | None) -> Durability:
        """Hold to what the home was told, or to what it is told now; that is kept, with its event."""
        with self._database.read() as reader:
            row = reader.row(store.SELECT_DURABILITY)
        before: Durability = row["kind"] if row else "process"
        settled = wanted or before
        self._database.survive(settled)
        if settled != before:
            with self.write() as transaction:
                transaction.execute(store.KEEP_DURABILITY, (settled,))
                transaction.emit(DurabilitySet(settled, before), "durability")
        return settled

    def _load_or_make_clock(self, replay_from: datetime | None) -> Clock:
        with self._database.write() as writer:
            return load_clock(writer) or make_clock(writer, replay_from)
