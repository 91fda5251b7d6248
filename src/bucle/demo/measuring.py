"""What the demo costs: seconds of each chapter, and the most memory that its whole tree of processes held."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_EVERY_SECONDS = 0.5
_PROC = Path("/proc")
_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True, slots=True)
class ChapterShown:
    """A chapter of the story and how long it took."""

    name: str
    seconds: float


class Meter:
    """Times chapters, and watches memory from a thread. Proportional set sizes, so that shared pages count once; Linux only.

    The kernel walks all pages for such a size, while what a process holds is there at no cost and never less than its
    proportional set: only when all that is held could be a new peak are the proportional sizes looked at.
    """

    def __init__(self, roots: Callable[[], list[int]]) -> None:
        """`roots` returns processes whose descendants count besides this process and its own."""
        self.chapters: list[ChapterShown] = []
        self.peak_mb: int | None = None
        self._roots = roots
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bucle-meter", daemon=True)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch memory within the block."""
        if _PROC.is_dir():
            self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            if self._thread.ident is not None:
                self._thread.join()

    @contextmanager
    def chapter(self, name: str) -> Iterator[None]:
        """Time a chapter."""
        began = time.monotonic()
        yield
        self.chapters.append(ChapterShown(name, round(time.monotonic() - began, 1)))

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            processes = _tree([os.getpid(), *self._roots()])
            if sum(map(_resident_kb, processes)) // 1024 > (self.peak_mb or 0):
                self.peak_mb = max(self.peak_mb or 0, sum(map(_proportional_kb, processes)) // 1024)


def _tree(roots: list[int]) -> set[int]:
    """Return the processes of these ids and all their descendants."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(int(entry.name))) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = set[int](), list(roots)
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting += children.get(process, ())
    return found


def _parent(process: int) -> int | None:
    try:
        return int((_PROC / str(process) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _resident_kb(process: int) -> int:
    try:
        return int((_PROC / str(process) / "statm").read_text("utf-8").split()[1]) * _PAGE_KB
    except (OSError, ValueError, IndexError):
        return 0


def _proportional_kb(process: int) -> int:
    try:
        for line in (_PROC / str(process) / "smaps_rollup").read_text("utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except (OSError, ValueError):
        return 0
    return 0
