"""Online store in the ledger's own database: one row per scope (project and environment), view and entity."""

from collections.abc import Sequence
from typing import cast

from bucle.features.online.protocol import OnlineRow
from bucle.ledger import Reader, Row, Scope, Transaction

WRITE = """
INSERT INTO online_feature (scope, view, key, event_us, created_us, tie, content) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (scope, view, key) DO UPDATE
SET event_us = excluded.event_us, created_us = excluded.created_us, tie = excluded.tie, content = excluded.content
WHERE (excluded.event_us, excluded.created_us, excluded.tie)
  >= (online_feature.event_us, online_feature.created_us, online_feature.tie)
"""
DELETE = "DELETE FROM online_feature WHERE scope = ? AND view = ?"
READ_ONE = "SELECT key, event_us, created_us, tie, content FROM online_feature WHERE scope = ? AND view = ? AND key = ?"
READ_MANY = (
    "SELECT key, event_us, created_us, tie, content FROM online_feature WHERE scope = ? AND view = ? AND key IN ({marks})"
)
_AT_ONCE = 500


class SQLiteOnlineStore:
    """See `OnlineStore`. Reads within a reader's snapshot; writes within a transaction, together with the event of it."""

    def __init__(self, database: Reader | Transaction, scope: Scope) -> None:
        self._database = database
        self._scope = f"{scope.project}/{scope.environment}"

    def write(self, view: str, rows: Sequence[OnlineRow]) -> int:
        """Store rows that are not older than what is held; return how many were."""
        transaction = cast(Transaction, self._database)
        values = [(self._scope, view, row.key, row.event_us, row.created_us, row.tie, row.content) for row in rows]
        return transaction.execute_many(WRITE, values) if values else 0

    def replace(self, view: str, rows: Sequence[OnlineRow]) -> int:
        """Hold these rows and no others of the view; return how many."""
        cast(Transaction, self._database).execute(DELETE, (self._scope, view))
        return self.write(view, rows)

    def read(self, view: str, keys: Sequence[str]) -> list[OnlineRow | None]:
        """Return the row of each key in the order of `keys`, None where there is none."""
        if len(keys) == 1:
            row = self._database.row(READ_ONE, (self._scope, view, keys[0]))
            return [_row(row) if row else None]
        found: dict[str, OnlineRow] = {}
        distinct = list(dict.fromkeys(keys))
        for start in range(0, len(distinct), _AT_ONCE):
            part = distinct[start : start + _AT_ONCE]
            sql = READ_MANY.format(marks=", ".join("?" * len(part)))
            found.update((row[0], _row(row)) for row in self._database.rows(sql, (self._scope, view, *part)))
        return [found.get(key) for key in keys]


def _row(row: Row) -> OnlineRow:
    return OnlineRow(key=row[0], event_us=row[1], created_us=row[2], tie=row[3], content=row[4])
