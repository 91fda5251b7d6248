"""The prediction log's spool: what was answered, on disk before the answer leaves, until it is in the ledger.

A folder of segments. A record is its length, its CRC-32 and its bytes; it is written with one `write`, so that after a
kill -9 a segment ends in whole records, or in a torn one whose prediction was never answered and which is cut off.
With `power` it is on the disk itself before the answer leaves: one fsync for all requests that came meanwhile.
"""

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bucle.ledger import new_id
from bucle.serving.errors import LogFull

_HEAD = struct.Struct("<II")
_LARGEST_RECORD = 64 << 20


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the spool: a segment and how many of its bytes lie before."""

    segment: str
    offset: int


@dataclass(slots=True)
class _Ticket:
    """One record's wait for the disk."""

    settled: bool = False
    failure: OSError | None = None


class Spool:
    """A bounded queue of byte records that survives the process, with `power` also a loss of power.

    One process holds it; threads may share it.
    """

    def __init__(self, folder: Path, *, limit: int = 64 << 20, segment: int = 4 << 20, power: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._limit, self._segment_size, self._power = folder, limit, segment, power
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._group: list[_Ticket] = []
        self._file: int | None = None
        self._sizes = {path.name: _cut_torn_end(path) for path in sorted(folder.glob("*.log"))}
        self._remove_empty()
        self._current = ""

    @property
    def waiting(self) -> int:
        """How many bytes lie in the spool."""
        return sum(self._sizes.values())

    def append(self, record: bytes) -> None:
        """Put a record (not empty) on disk; when this returns it survives kill -9, with `power` a loss of power.

        Raises `serving/log-full`. A record that the disk took but could not be made sure of is refused, and may be found in the
        log none the less.
        """
        framed = _HEAD.pack(len(record), zlib.crc32(record)) + record
        with self._lock:
            if self.waiting + len(framed) > self._limit:
                raise LogFull(reason=f"{self.waiting} bytes wait to be recorded, the limit is {self._limit}")
            file = self._writable()
            try:
                written = os.write(file, framed)
            except OSError as error:
                self._undo(file)
                raise LogFull(reason=error.strerror or "the disk refused") from error
            if written != len(framed):
                self._undo(file)
                raise LogFull(reason="the disk took only part of it")
            self._sizes[self._current] += written
            ticket = _Ticket(settled=not self._power)
            if self._power:
                self._group.append(ticket)
        self._make_sure(ticket)

    def read(self, shipped: dict[str, int], limit: int = 4 << 20) -> tuple[list[bytes], list[Position]]:
        """Return the oldest records that lie after `shipped`, about `limit` bytes, and the position reached in each segment."""
        records: list[bytes] = []
        reached: list[Position] = []
        taken = 0
        with self._lock:
            sizes = dict(sorted(self._sizes.items()))
        for name, size in sizes.items():
            start = shipped.get(name, 0)
            if start >= size or taken >= limit:
                continue
            end = start
            for record, after in _records(self._folder / name, start, size):
                records.append(record)
                taken += after - end
                end = after
                if taken >= limit:
                    break
            reached.append(Position(name, end))
        return records, reached

    def drop(self, shipped: dict[str, int]) -> list[str]:
        """Remove the segments that were wholly shipped and return their names; the one in use is closed first."""
        with self._lock:
            done = [name for name, size in self._sizes.items() if shipped.get(name, 0) >= size and size > 0]
            for name in done:
                if name == self._current:
                    self._close_file()
                (self._folder / name).unlink(missing_ok=True)
                del self._sizes[name]
        return done

    def close(self) -> None:
        """Close the file in use."""
        with self._lock:
            self._close_file()

    def _writable(self) -> int:
        if self._file is not None and self._sizes[self._current] < self._segment_size:
            return self._file
        self._close_file()
        name = f"{new_id('spool')}.log"  # never used again: the ledger remembers by name how far a segment was shipped
        try:
            self._file = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            if self._power:
                _sync_folder(self._folder)
        except OSError as error:
            self._close_file()
            raise LogFull(reason=error.strerror or "the spool's folder cannot be written") from error
        self._current = name
        self._sizes[name] = 0
        return self._file

    def _remove_empty(self) -> None:
        for name in [name for name, size in self._sizes.items() if size == 0]:
            (self._folder / name).unlink()
            del self._sizes[name]

    def _undo(self, file: int) -> None:
        """Cut off a record that was written in part; where the disk refuses that too, go on in another segment.

        What would be appended after a torn record would be cut off with it when the spool is opened again.
        """
        try:
            os.ftruncate(file, self._sizes[self._current])
        except OSError:
            self._close_file()

    def _make_sure(self, ticket: _Ticket) -> None:
        """Wait until a record is on the disk: whoever comes first waits for all that are written by then."""
        if not ticket.settled:
            with self._syncing:
                if not ticket.settled:
                    self._sync()
        if ticket.failure is not None:
            raise LogFull(reason=ticket.failure.strerror or "the disk refused") from ticket.failure

    def _sync(self) -> None:
        """Wait for the disk without keeping others from writing: those are the next group."""
        with self._lock:
            if self._file is None:
                return
            group, self._group = self._group, []
            try:
                file = os.dup(self._file)  # of its own: the file in use may be closed meanwhile
            except OSError as error:
                _settle(group, error)
                return
        failure = _synced(file)
        os.close(file)
        if failure is not None:
            with self._lock:  # the system may have dropped what it could not write: nothing more goes into this file
                group, self._group = group + self._group, []
                self._close_file()
        _settle(group, failure)

    def _close_file(self) -> None:
        """Close the file in use; who still waits for it is told how it went."""
        if self._file is not None:
            _settle(self._group, _synced(self._file) if self._group else None)
            os.close(self._file)
        self._file, self._current, self._group = None, "", []


def _records(path: Path, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Yield the whole records of a segment with the offset after each; stop at the first that is torn."""
    with path.open("rb") as file:
        file.seek(start)
        offset = start
        while offset + _HEAD.size <= end:
            length, checksum = _HEAD.unpack(file.read(_HEAD.size))
            if not 0 < length <= _LARGEST_RECORD or offset + _HEAD.size + length > end:
                return
            record = file.read(length)
            if zlib.crc32(record) != checksum:
                return
            offset += _HEAD.size + length
            yield record, offset


def _synced(file: int) -> OSError | None:
    try:
        os.fsync(file)
    except OSError as error:
        return error
    return None


def _settle(group: list[_Ticket], failure: OSError | None) -> None:
    for ticket in group:
        ticket.failure, ticket.settled = failure, True


def _sync_folder(folder: Path) -> None:
    """Have the disk know of a new file too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _cut_torn_end(path: Path) -> int:
    size = path.stat().st_size
    whole = max((after for _, after in _records(path, 0, size)), default=0)
    if whole < size:
        os.truncate(path, whole)
    return whole
