"""How events, lineage, cursors and the clock live in the ledger's tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from bucle.ledger.events import StoredEvent
from bucle.ledger.instants import from_us
from bucle.ledger.sqlite import Reader, Row, Writer

INSERT_EVENT = """
INSERT INTO event (id, at_us, as_of_us, project, environment, kind, version, subject, actor, role, data)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq
"""
INSERT_CAUSE = "INSERT INTO event_cause (seq, cause) VALUES (?, ?)"
COUNT_KINDS = "SELECT kind, count(*), max(seq) FROM event WHERE project = ? GROUP BY kind"
SELECT_WITH_CAUSES = """
WITH RECURSIVE walk (seq) AS (
  SELECT seq FROM event WHERE subject = ? OR id = ? OR seq = ?
  UNION SELECT event FROM lineage_node WHERE id = ? AND event IS NOT NULL
  UNION SELECT event_cause.cause FROM event_cause JOIN walk ON event_cause.seq = walk.seq
)
SELECT event.* FROM event JOIN walk ON event.seq = walk.seq ORDER BY event.seq DESC
"""
UPSERT_NODE = """
INSERT INTO lineage_node (id, type, kind, name, project, event) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
"""
UPSERT_EDGE = "INSERT INTO lineage_edge (source, target, role, event) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
ANCESTORS = """
WITH RECURSIVE walk (id, depth) AS (
  SELECT ?, 0
  UNION
  SELECT edge.source, walk.depth + 1 FROM lineage_edge edge JOIN walk ON edge.target = walk.id WHERE walk.depth < ?
)
SELECT DISTINCT edge.source, edge.target, edge.role, edge.event FROM lineage_edge edge JOIN walk ON edge.target = walk.id
"""
DESCENDANTS = """
WITH RECURSIVE walk (id, depth) AS (
  SELECT ?, 0
  UNION
  SELECT edge.target, walk.depth + 1 FROM lineage_edge edge JOIN walk ON edge.source = walk.id WHERE walk.depth < ?
)
SELECT DISTINCT edge.source, edge.target, edge.role, edge.event FROM lineage_edge edge JOIN walk ON edge.source = walk.id
"""

COUNT_LOOSE_CAUSES = "SELECT count(*) FROM event_cause WHERE cause NOT IN (SELECT seq FROM event)"
COUNT_EVENTS = "SELECT kind, count(*) FROM event GROUP BY kind ORDER BY kind"
SELECT_DURABILITY = "SELECT kind FROM durability WHERE id = 1"
KEEP_DURABILITY = "INSERT INTO durability (id, kind) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind"
NOTE_REQUEST = """
INSERT INTO request (name, digest, at_us, events) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET events = request.events || excluded.events
"""
KEEP_ANSWER = "UPDATE request SET status = ?, answer = ? WHERE name = ?"
FORGET_REQUESTS = "DELETE FROM request WHERE at_us < ?"


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request that took effect by these events; `status` and `answer` are None when its answer was not kept."""

    digest: str
    events: tuple[int, ...]
    status: int | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to read: each field that is given narrows; `after` and `before` are seqs, exclusive."""

    kinds: tuple[str, ...] = ()
    subject: str | None = None
    project: str | None = None
    environment: str | None = None
    after: int = 0
    before: int | None = None
    newest_first: bool = False
    limit: int = 1000


def select_events(reader: Reader, wanted: EventFilter) -> list[StoredEvent]:
    """Return the events that pass the filter; a kind that ends in `.` stands for all that begin so."""
    clauses: list[str] = ["seq > ?"]
    parameters: list[object] = [wanted.after]
    for column, value in (("subject", wanted.subject), ("project", wanted.project), ("environment", wanted.environment)):
        if value is not None:
            clauses.append(f"{column} = ?")
            parameters.append(value)
    if wanted.before is not None:
        clauses.append("seq < ?")
        parameters.append(wanted.before)
    if wanted.kinds:
        clauses.append("(" + " OR ".join(_kind_clause(kind) for kind in wanted.kinds) + ")")
        for kind in wanted.kinds:
            parameters += [kind, kind[:-1] + "/"] if kind.endswith(".") else [kind]
    order = "DESC" if wanted.newest_first else "ASC"
    sql = f"SELECT * FROM event WHERE {' AND '.join(clauses)} ORDER BY seq {order} LIMIT ?"
    rows = reader.rows(sql, [*parameters, wanted.limit])
    return _with_causes(reader, rows)


def select_event(reader: Reader, seq: int) -> StoredEvent | None:
    """Return one event by its seq, or None."""
    row = reader.row("SELECT * FROM event WHERE seq = ?", (seq,))
    return _with_causes(reader, [row])[0] if row else None


def select_with_causes(reader: Reader, id: str) -> list[StoredEvent]:
    """Return the events about `id`, the one of that id or seq, the one that made a lineage node, and all their causes."""
    seq = int(id) if id.isascii() and id.isdecimal() and len(id) < 19 else -1
    return _with_causes(reader, reader.rows(SELECT_WITH_CAUSES, (id, id, seq, id)))


def insert_event(writer: Writer, values: Sequence[object], causes: Sequence[int]) -> int:
    """Append an event with its causes and return its seq."""
    row = writer.row(INSERT_EVENT, values)
    if row is None:
        raise RuntimeError("the ledger gave no sequence number")
    seq = int(row[0])
    if causes:
        writer.execute_many(INSERT_CAUSE, [(seq, cause) for cause in causes])
    return seq


def select_request(reader: Reader, name: str) -> StoredRequest | None:
    """Return the request of that name if it took effect, or None."""
    row = reader.row("SELECT digest, events, status, answer FROM request WHERE name = ?", (name,))
    return StoredRequest(row[0], tuple(map(int, row[1].split())), row[2], row[3]) if row else None


def note_request(writer: Writer, name: str, digest: str, at_us: int, events: Sequence[int]) -> None:
    """Note that a request took effect, and the seqs of the events that say how."""
    writer.execute(NOTE_REQUEST, (name, digest, at_us, "".join(f"{seq} " for seq in events)))


def count_kinds(reader: Reader, project: str) -> dict[str, tuple[int, int]]:
    """Return how many events of each kind a project has, and the seq of the last."""
    return {row[0]: (int(row[1]), int(row[2])) for row in reader.rows(COUNT_KINDS, (project,))}


def newest_seq(reader: Reader) -> int:
    """Return the seq of the last event, 0 for none."""
    row = reader.row("SELECT max(seq) FROM event")
    return int(row[0] or 0) if row else 0


def _kind_clause(kind: str) -> str:
    return "(kind >= ? AND kind < ?)" if kind.endswith(".") else "kind = ?"


def _with_causes(reader: Reader, rows: Sequence[Row]) -> list[StoredEvent]:
    causes: dict[int, list[int]] = {}
    seqs = [row["seq"] for row in rows]
    for start in range(0, len(seqs), 500):
        some = seqs[start : start + 500]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT seq, cause FROM event_cause WHERE seq IN ({marks}) ORDER BY seq, cause"
        for row in reader.rows(sql, some):
            causes.setdefault(row[0], []).append(row[1])
    return [_stored(row, causes.get(row["seq"], [])) for row in rows]


def _stored(row: Row, causes: Sequence[int]) -> StoredEvent:
    return StoredEvent(
        seq=row["seq"],
        id=row["id"],
        at=from_us(row["at_us"]),
        as_of=from_us(row["as_of_us"]),
        project=row["project"],
        environment=row["environment"],
        kind=row["kind"],
        version=row["version"],
        subject=row["subject"],
        actor=row["actor"],
        role=row["role"],
        caused_by=tuple(causes),
        data=json.loads(row["data"]),
    )
