"""Children that are forked off a process with the heavy imports done, instead of each doing them again (decision 12)."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Protocol

import msgspec

from bucle.runtimes.interpreter import Runtime, current_runtime
from bucle.runtimes.seed import LARGEST_ORDER, STATUS, ForkOrder, Sowing

SOWN = ("numpy", "scipy.stats", "sklearn.ensemble", "skops.io", "bucle.registry")
"""What a seed imports. No package that starts threads of its own which do not survive a fork, such as Polars."""

_MOST = 2
_ANSWER_SECONDS = 10.0

Start = Callable[[int, Path], "subprocess.Popen[bytes]"]
"""Starts a process that runs `bucle.runtimes.seed:grow` on this descriptor, in this folder."""


class Process(Protocol):
    """What a runner needs of its child's process, whoever is its parent."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None:
        """Return how the process ended, None while it lives."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""


class Forked:
    """A child of a seed. How it ended, the seed tells; the death of the seed is that of its children."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = end
        self._turn = threading.Lock()

    def poll(self) -> int | None:
        """Return how the process ended, None while it lives."""
        with self._turn:
            if self.returncode is None:
                with contextlib.suppress(BlockingIOError):
                    told = self._end.recv(STATUS.size, socket.MSG_DONTWAIT)
                    self.returncode = STATUS.unpack(told)[0] if len(told) == STATUS.size else -SIGKILL
                    self._end.close()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            with contextlib.suppress(OSError, ValueError):  # another thread saw the end and closed the line
                select.select([self._end], [], [], left)
        return code


@dataclass(slots=True)
class Seed:
    """One process of a runtime; `fork` once it is `ready`."""

    process: "subprocess.Popen[bytes]"
    control: socket.socket
    children: list[Forked] = field(default_factory=list)
    is_ready: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)

    def ready(self) -> bool:
        """Whether its imports are done."""
        if not self.is_ready and self.process.poll() is None:
            with contextlib.suppress(BlockingIOError, OSError):
                self.is_ready = bool(self.control.recv(LARGEST_ORDER, socket.MSG_DONTWAIT))
        return self.is_ready

    def fork(self, root: Path, line: int, log: int) -> Forked | None:
        """Return a new child that serves calls on the descriptor `line`; None if this seed is of no more use."""
        ours, theirs = socket.socketpair()
        with theirs, self.turn:
            try:
                socket.send_fds(self.control, [msgspec.json.encode(ForkOrder(str(root)))], [line, theirs.fileno(), log])
                (pid,) = STATUS.unpack(self.control.recv(STATUS.size))
            except (OSError, ValueError, msgspec.MsgspecError):
                ours.close()
                return None
            child = Forked(pid, ours)
            self.children = [each for each in self.children if each.poll() is None] + [child]
            return child

    @property
    def bare(self) -> bool:
        """Whether none of its children lives."""
        return all(each.poll() is not None for each in self.children)

    def close(self) -> None:
        """End it; its children end with it."""
        self.control.close()
        self.process.kill()
        self.process.wait()


class Seedbed:
    """The seeds of a long-lived process, one for each locked runtime in use.

    The first child of a runtime has no seed yet and is started as ever; so are those of the interpreter that runs bucle.
    """

    def __init__(self) -> None:
        self._seeds: dict[tuple[str, ...], Seed] = {}
        self._turn = threading.Lock()
        self._closed = False

    def fork(
        self, runtime: Runtime, root: Path, line: int, log: int, environment: Mapping[str, str], start: Start
    ) -> tuple[Forked, int] | None:
        """Return a child of a seed and the seed's process id; None where there is no seed, or none that is ready.

        `environment` is that of the child: a seed has the same. `start` starts a seed.
        """
        if sys.platform != "linux" or runtime.digest == current_runtime().digest:
            return None
        key = (str(runtime.python), *runtime.path_entries, *(f"{name}={environment[name]}" for name in sorted(environment)))
        with self._turn:
            seed = self._seeds.get(key)
            if seed is not None and seed.process.poll() is not None:
                del self._seeds[key]
                seed.control.close()
                seed = None
            if seed is None:
                self._sow(key, runtime, start)
                return None
        if not seed.ready():
            return None
        child = seed.fork(root, line, log)
        return None if child is None else (child, seed.process.pid)

    def close(self) -> None:
        """End all seeds."""
        with self._turn:
            self._closed = True
            seeds, self._seeds = list(self._seeds.values()), {}
        for seed in seeds:
            seed.close()

    def _sow(self, key: tuple[str, ...], runtime: Runtime, start: Start) -> None:
        if self._closed:
            return
        if len(self._seeds) >= _MOST:
            old = next((each for each, seed in self._seeds.items() if seed.bare), None)
            if old is None:
                return
            self._seeds.pop(old).close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = start(theirs.fileno(), runtime.path)
        ours.settimeout(_ANSWER_SECONDS)
        ours.send(msgspec.json.encode(Sowing(os.getpid(), SOWN)))
        self._seeds[key] = Seed(process, ours)
