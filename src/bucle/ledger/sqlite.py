"""The embedded backend: one SQLite file, one writer with group commit, a reader for each read under way."""

import errno
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Protocol

from bucle.ledger.errors import DiskFull

Durability = Literal["process", "power"]
"""What an acknowledged write survives: kill -9 of the process, or also a loss of power."""

_LARGEST_GROUP = 64
_NO_SPACE = 1 << 18
_IDLE_READERS = 4
_OF_THE_WRITER = ("journal_mode = WAL", "wal_autocheckpoint = 4000", "temp_store = MEMORY")
"""Few checkpoints (of 16 MB), and what a savepoint may have to take back kept in memory instead of in a file each time."""
_SYNCHRONOUS = {"process": "NORMAL", "power": "FULL"}


class Row(Protocol):
    """A row of a result, by column name or position."""

    def __getitem__(self, key: str | int, /) -> Any: ...
    def keys(self) -> list[str]: ...


class Reader:
    """Reads from one consistent snapshot."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query."""
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row of a query, or None."""
        found: Row | None = self._connection.execute(sql, parameters).fetchone()
        return found


class Writer(Reader):
    """Reads and writes within one transaction."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> int:
        """Run a statement for each of `rows` and return how many rows changed."""
        return self._connection.executemany(sql, rows).rowcount


class Database:
    """The connections to one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = self._connect()
        try:
            for setting in _OF_THE_WRITER:
                self._writer.execute(f"PRAGMA {setting}")
        except BaseException:
            self._writer.close()
            raise
        self._local = threading.local()
        self._readers: set[sqlite3.Connection] = set()
        self._idle: list[sqlite3.Connection] = []
        self._turn = threading.Lock()
        self._queue = threading.Lock()
        self._waiting = 0
        self._group: list[_Ticket] = []
        self._owner: int | None = None
        self._closed = False

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Run one transaction. On return it is committed (with those of other threads that came meanwhile: group commit)."""
        if self._owner == threading.get_ident():
            raise RuntimeError("a write within a write: pass the transaction on instead")
        self._take_turn()
        try:
            if not self._group:
                self._writer.execute("BEGIN IMMEDIATE")
            self._writer.execute("SAVEPOINT one")
            yield Writer(self._writer)
            self._writer.execute("RELEASE one")
        except BaseException as error:
            self._undo()
            self._pass_turn()
            raise self.explained(error) from error
        ticket = _Ticket()
        self._group.append(ticket)
        self._pass_turn()
        self._await_commit(ticket)

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Open a consistent snapshot of what is committed."""
        shared: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if shared is not None:  # a read within a read shares the snapshot
            yield Reader(shared)
            return
        connection = self._lent()
        try:
            connection.execute("BEGIN")
            self._local.connection = connection
            try:
                yield Reader(connection)
            finally:
                self._local.connection = None
                connection.execute("ROLLBACK")
        finally:
            self._give_back(connection)

    @contextmanager
    def at_rest(self) -> Iterator[Reader]:
        """See what is written so far, also what waits for its commit, while nobody writes."""
        with self._turn:
            yield Reader(self._writer)

    def survive(self, durability: Durability) -> None:
        """Set what commits from now on survive."""
        with self._turn:
            self._writer.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")

    def copy_to(self, path: Path) -> None:
        """Write a consistent copy of the whole database to `path`."""
        with closing(sqlite3.connect(path)) as target, self._turn:
            self._writer.backup(target)

    def close(self) -> None:
        """Close all connections; whoever reads at this moment gets an error."""
        with self._turn, self._queue:
            self._closed = True
            for connection in [*self._readers, self._writer]:
                with suppress(sqlite3.Error):
                    connection.close()

    def _lent(self) -> sqlite3.Connection:
        """Return a reader that nobody uses: the one used last, whose pages and statements are warm, else a new one."""
        with self._queue:
            if self._idle:
                return self._idle.pop()
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        with self._queue:
            if not self._closed:
                self._readers.add(connection)
                return connection
        connection.close()
        raise sqlite3.ProgrammingError("the ledger is closed")

    def _give_back(self, connection: sqlite3.Connection) -> None:
        """Keep a few readers for the next reads: threads come and go, and each open reader holds its pages in memory."""
        with self._queue:
            keep = len(self._idle) < _IDLE_READERS and not connection.in_transaction
            if keep:
                self._idle.append(connection)
            else:
                self._readers.discard(connection)
        if not keep:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _take_turn(self) -> None:
        with self._queue:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._queue:
                self._waiting -= 1
        self._owner = threading.get_ident()

    def _pass_turn(self) -> None:
        """Commit the group unless another writer waits, who will then commit it with its own."""
        if self._group and (self._waiting == 0 or len(self._group) >= _LARGEST_GROUP):
            self._commit_group()
        self._owner = None
        self._turn.release()

    def _commit_group(self) -> None:
        failure: BaseException | None = None
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            failure = self.explained(error)
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
        for ticket in self._group:
            ticket.settle(failure)
        self._group = []

    def _await_commit(self, ticket: "_Ticket") -> None:
        while not ticket.settled.wait(0.05):  # whoever was to commit may have been interrupted while waiting
            with self._turn:
                if self._group:
                    self._commit_group()
        if ticket.failure is not None:
            raise ticket.failure

    def _undo(self) -> None:
        with suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK TO one")
                self._writer.execute("RELEASE one")
        if not self._group:
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
        elif not self._writer.in_transaction:  # some failures end the whole transaction: the others' writes are gone too
            for ticket in self._group:
                ticket.settle(DiskFull(path=self._path))
            self._group = []

    def explained(self, error: BaseException) -> BaseException:
        """Return `ledger/disk-full` for the ways in which a full disk shows, every other error as it is."""
        return explained(error, self._path)


def explained(error: BaseException, path: Path) -> BaseException:
    """Return `ledger/disk-full` for the ways in which a full disk shows; SQLite calls some of them an I/O error."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    if isinstance(error, sqlite3.OperationalError):
        full = "full" in str(error) or ("I/O error" in str(error) and shutil.disk_usage(path.parent).free < _NO_SPACE)
    return DiskFull(path=path) if full else error


class _Ticket:
    """One transaction's wait for the commit of its group."""

    def __init__(self) -> None:
        self.settled = threading.Event()
        self.failure: BaseException | None = None

    def settle(self, failure: BaseException | None) -> None:
        self.failure = failure
        self.settled.set()
