"""A request whose writes and whose answer are one transaction: the first write begins it, the answer is its last row."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from bucle.ledger import store
from bucle.ledger.context import RequestKey
from bucle.ledger.errors import DiskFull
from bucle.ledger.sqlite import Database, Writer


class Unit:
    """All that one thread writes while it handles a request; committed when the block ends without error.

    From its first write on it holds the ledger's only writer: what takes long, and what other threads must see, comes
    before that or after the block.
    """

    def __init__(self, database: Database, request: RequestKey) -> None:
        self._database = database
        self._request = request
        self._thread = threading.get_ident()
        self._stack = ExitStack()
        self._writing = False
        self._full: DiskFull | None = None
        self.writer: Writer | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, traceback)

    @property
    def mine(self) -> bool:
        """Whether the code that runs now belongs to it; threads that were begun meanwhile do not."""
        return threading.get_ident() == self._thread

    @contextmanager
    def part(self) -> Iterator[Writer]:
        """Run one of its writes: what fails here is undone, what was written before stays."""
        if self._writing:
            raise RuntimeError("a write within a write: pass the transaction on instead")
        if self.writer is None:
            self.writer = self._stack.enter_context(self._database.write())
        self._writing = True
        self.writer.execute("SAVEPOINT part")
        try:
            yield self.writer
        except BaseException as error:
            explained = self._database.explained(error)
            self._full = explained if isinstance(explained, DiskFull) else None
            with suppress(Exception):  # a full disk may have ended the whole transaction
                self.writer.execute("ROLLBACK TO part")
                self.writer.execute("RELEASE part")
            raise explained from error
        else:
            self.writer.execute("RELEASE part")
        finally:
            self._writing = False

    def keep(self, status: int, answer: str) -> None:
        """Keep the answer beside what was written, nothing if nothing was. Raises `ledger/disk-full`."""
        if self._full is not None:
            raise self._full
        if self.writer is not None:
            self.writer.execute(store.KEEP_ANSWER, (status, answer, self._request.name))
