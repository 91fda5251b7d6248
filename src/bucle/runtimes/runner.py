"""A runner: one child process of a runtime, with one project's tree, called through a socket pair."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from bucle.runtimes.errors import ProjectCodeFailed, RunnerDied, RunnerNotStarted, RunnerTimeout
from bucle.runtimes.interpreter import Runtime
from bucle.runtimes.seedbed import Process, Seedbed
from bucle.runtimes.wire import Call, Channel, CodeFailure, HouseFailure, Kind, Limits, ProtocolBroken, Setup

T = TypeVar("T")
Answer = Callable[[bytes], bytes]

_BOOT = "import sys; sys.path[:0] = sys.argv[2:]; from bucle.runtimes.child import main; main(int(sys.argv[1]))"
_BOOT_SEED = "import sys; sys.path[:0] = sys.argv[2:]; from bucle.runtimes.seed import grow; grow(int(sys.argv[1]))"
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
_PASSED_ON_SUFFIXES = ("_NUM_THREADS", "_MAX_THREADS")
_PASSED_ON_PREFIXES = ("OPENBLAS_",)


class Runner:
    """A child process. One call at a time; once it has timed out, died or broken the protocol it is of no more use."""

    def __init__(self, process: Process, channel: Channel, log: Path | None) -> None:
        self._process = process
        self._channel = channel
        self._log = log
        self._turn = threading.Lock()
        self._ending = threading.Lock()
        self._usable, self._ended = True, False

    @classmethod
    def start(
        cls,
        runtime: Runtime,
        root: Path,
        *,
        artifacts: Path,
        log: Path | None = None,
        limits: Limits | None = None,
        preload: tuple[str, ...] = (),
        seeds: Seedbed | None = None,
    ) -> "Runner":
        """Start a child of `runtime` for the project in `root`; it imports `preload` without anybody waiting for it.

        With `seeds` it is forked off one where there is one. `log` takes the output of calls that name no log of their own.
        Raises `runtimes/runner-not-started`.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process, parent = _new_child(runtime, root, theirs.fileno(), log, seeds)
            except OSError as error:
                ours.close()
                reason = error.strerror or str(error)
                raise RunnerNotStarted(python=runtime.python, reason=reason) from error
        runner = cls(process, Channel(ours, lambda: process.poll() is None), log)
        setup = Setup(str(root), str(artifacts), parent, limits or Limits(), preload)
        with contextlib.suppress(OSError):  # if it is dead already the first call says so
            runner._channel.send(Kind.SETUP, msgspec.json.encode(setup))
        return runner

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether the child lives and may be called again."""
        return self._usable and self._process.poll() is None

    def call(
        self,
        entry: str,
        payload: msgspec.Struct,
        returns: type[T],
        *,
        timeout: float | None = None,
        answer: Answer | None = None,
        log: Path | None = None,
    ) -> T:
        """Run `module:function(payload, child)` in the child and return its result, read as `returns`.

        `answer` gives the answers to what the child asks; an exception that it raises ends the call and is raised here.
        `timeout` is in seconds; then the child and all its descendants are killed. Raises
        `runtimes/project-code-failed`, `runtimes/runner-died`, `runtimes/runner-timeout`, and bucle's own coded
        errors as the child raised them.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        shown = log or self._log
        body = msgspec.json.encode(Call(entry, str(log) if log else None, msgspec.Raw(msgspec.json.encode(payload))))
        with self._turn:
            try:
                self._channel.send(Kind.CALL, body, deadline)
                kind, result, refusal = self._converse(deadline, answer)
            except TimeoutError as error:
                self.kill()
                raise RunnerTimeout(entry=entry, seconds=timeout or 0, log=_log_name(shown)) from error
            except (OSError, EOFError, ProtocolBroken) as error:
                raise RunnerDied(entry=entry, reason=self._end(error), log=_log_name(shown)) from error
            except BaseException:
                self.kill()
                raise
            finally:
                if self._ended:
                    self._channel.close()
        if refusal is not None:
            raise refusal
        if kind is Kind.RESULT:
            return msgspec.json.decode(result, type=returns)
        raise _failure(kind, result, entry, shown)

    def kill(self) -> None:
        """End the child and all its descendants at once."""
        self._usable = False
        with self._ending:
            if not self._ended:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                self._ended = True
        if self._turn.acquire(blocking=False):  # else whoever is in a call sees its end, and closes
            self._channel.close()
            self._turn.release()

    def close(self) -> None:
        """End the child: it sees the end of its calls and leaves; what it left running is killed."""
        self._usable = False
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        self.kill()

    def _converse(self, deadline: float | None, answer: Answer | None) -> tuple[Kind, bytes, Exception | None]:
        """Answer what the child asks until it ends the call; also an answer that failed lets it come to its end first."""
        refusal: Exception | None = None
        while True:
            received = self._channel.receive(deadline)
            if received is None:
                raise EOFError
            kind, body = received
            if kind in (Kind.RESULT, Kind.CODE_FAILURE, Kind.HOUSE_FAILURE):
                return kind, body, refusal
            if kind is not Kind.ASK or answer is None:
                raise ProtocolBroken(f"{kind.name} instead of a result")
            try:
                reply = answer(body)
            except Exception as error:
                refusal = error
                self._channel.send(Kind.REFUSE, str(error).encode(), deadline)
            else:
                self._channel.send(Kind.ANSWER, reply, deadline)

    def _end(self, error: BaseException) -> str:
        if isinstance(error, ProtocolBroken):
            self.kill()
            return "it broke the protocol"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        killed_here = not self._usable
        self.kill()
        code = self._process.wait()
        if killed_here:
            return "it was stopped"
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"


def _failure(kind: Kind, body: bytes, entry: str, log: Path | None) -> Exception:
    if kind is Kind.CODE_FAILURE:
        failure = msgspec.json.decode(body, type=CodeFailure)
        return ProjectCodeFailed(error=failure.error, log=_log_name(log), where=failure.where or entry)
    return msgspec.json.decode(body, type=HouseFailure).error()


def _log_name(log: Path | None) -> str:
    return str(log) if log else "no log"


@cache
def _spawner() -> ThreadPoolExecutor:
    """The one thread that starts children: Linux takes the death of the *thread* that started a child for its parent's."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="bucle-spawner")


def _new_child(runtime: Runtime, root: Path, descriptor: int, log: Path | None, seeds: Seedbed | None) -> tuple[Process, int]:
    """Return a new child and the process id of its parent."""
    if seeds is not None:

        def start(control: int, folder: Path) -> "subprocess.Popen[bytes]":
            return _spawner().submit(_spawn, runtime, folder, control, None, _BOOT_SEED).result()

        with (log or Path(os.devnull)).open("ab") as output:
            forked = seeds.fork(runtime, root, descriptor, output.fileno(), _minimal_environment(), start)
        if forked is not None:
            return forked
    return _spawner().submit(_spawn, runtime, root, descriptor, log, _BOOT).result(), os.getpid()


def _spawn(runtime: Runtime, root: Path, descriptor: int, log: Path | None, boot: str) -> "subprocess.Popen[bytes]":
    command = [str(runtime.python), "-I", "-c", boot, str(descriptor), *runtime.path_entries]
    with (log or Path(os.devnull)).open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=root,
            env=_minimal_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(descriptor,),
            start_new_session=True,
        )


def _minimal_environment() -> dict[str, str]:
    """Return what a child may know of our environment: where programs and files are, how many threads; no tokens.

    Threads of OpenMP wait asleep: two that spin on two busy cores made a fit of 2 s one of 15 s.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE"} | {
        key: value
        for key, value in os.environ.items()
        if key in _PASSED_ON or key.endswith(_PASSED_ON_SUFFIXES) or key.startswith(_PASSED_ON_PREFIXES)
    }
