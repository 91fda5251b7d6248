"""Does a process grow with every request? What the memory of a warm child says, and when it says nothing yet."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

_WARMING = 0.25
"""The share of the requests after which a process has what it needs: caches, arenas, modules."""

LEAST_REQUESTS = 100
"""So few requests after warming say nothing: an allocator's single step would look like a leak of some kB each."""

Growth = Literal["steady", "leak", "insufficient"]


@dataclass(frozen=True, slots=True)
class Memory:
    """What was seen: bytes that a request added on average once warm, over how many requests, and the verdict."""

    growth: Growth
    requests: int
    per_request: float
    reason: str

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.growth == "insufficient":
            return f"memory: not enough to tell ({self.reason})"
        return f"memory: {self.per_request / 1000:+.1f} kB a request over {self.requests}"


def judge_memory(resident: Sequence[int], allowed: float) -> Memory:
    """Judge the resident bytes after each of a series of requests.

    A leak grows all the time, an allocator that settles does not: so it is one when each third of the series after warming
    grew, and all of it by more than `allowed` bytes a request.
    """
    warm = list(resident[int(len(resident) * _WARMING) :])
    count = len(warm) - 1
    if count < LEAST_REQUESTS:
        return Memory("insufficient", max(count, 0), 0.0, f"{max(count, 0)} requests, {LEAST_REQUESTS} are needed")
    per_request = (warm[-1] - warm[0]) / count
    marks = [warm[count * part // 3] for part in range(4)]
    if per_request <= allowed:
        return Memory("steady", count, per_request, "")
    if all(later > earlier for earlier, later in pairwise(marks)):
        return Memory("leak", count, per_request, "")
    return Memory("insufficient", count, per_request, f"{per_request / 1000:.1f} kB a request, but not all the time")


def resident_bytes(pid: int) -> int | None:
    """Return the memory of a process that is in RAM, None where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def nanoseconds_without_processor(pid: int) -> int:
    """Return how long the threads of a process were ready to compute and got no processor; 0 where that is not known."""
    waited = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            waited += int(path.read_text().split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return waited
