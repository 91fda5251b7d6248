"""The seed of a runtime: a process that has imported heavy packages of the lock, nothing of any project, and forks children.

Started by `Seed`, never by hand. It runs no call itself: what it forks has never met another project's code, or another call.
"""

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import warnings

import msgspec

from bucle.runtimes.child import die_with, main

STATUS = struct.Struct("!i")
LARGEST_ORDER = 1 << 16
READY = b"ready"


class Sowing(msgspec.Struct, frozen=True):
    """What a seed learns at its start."""

    parent: int
    modules: tuple[str, ...]


class ForkOrder(msgspec.Struct, frozen=True):
    """Fork a child for the project in `root`; with it come its line, the line that tells its end, and its log."""

    root: str


def grow(descriptor: int) -> None:
    """Import, then fork a child for each order until the parent closes the line. Returns in no child before its calls end."""
    os.set_inheritable(descriptor, False)
    control = socket.socket(fileno=descriptor)
    sowing = msgspec.json.decode(control.recv(LARGEST_ORDER), type=Sowing)
    die_with(sowing.parent)
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")  # threads of BLAS, which knows of forks
    for module in sowing.modules:
        with contextlib.suppress(ImportError):  # a runtime need not have it
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a child shall not write on pages that all share
    control.send(READY)
    line = _serve(control)
    if line is not None:
        main(line)


def _serve(control: socket.socket) -> int | None:
    """Return in the parent's end None, in a child the descriptor of its line."""
    told: dict[int, socket.socket] = {}
    wake, ring = socket.socketpair()
    for each in (wake, ring):
        each.setblocking(False)
    signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    while True:
        ready, _, _ = select.select([control, wake], [], [])
        if wake in ready:
            with contextlib.suppress(BlockingIOError):
                wake.recv(LARGEST_ORDER)
            _reap(told)
        if control not in ready:
            continue
        order, descriptors, _, _ = socket.recv_fds(control, LARGEST_ORDER, 3)
        if not order:
            return None
        line, end, log = descriptors
        process = os.fork()
        if process == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (control, wake, ring, *told.values()):
                each.close()
            os.close(end)
            _become(msgspec.json.decode(order, type=ForkOrder), log)
            return line
        os.close(line)
        os.close(log)
        told[process] = socket.socket(fileno=end)
        control.send(STATUS.pack(process))


def _become(order: ForkOrder, log: int) -> None:
    """Be as if started for this project: a session, a folder, an output and random numbers of its own."""
    os.setsid()
    os.chdir(order.root)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    if "numpy" in sys.modules:  # `random` does this by itself
        sys.modules["numpy"].random.seed()


def _reap(told: dict[int, socket.socket]) -> None:
    """Tell the parent which children have ended, and how."""
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            end = told.pop(process)
            with contextlib.suppress(OSError), end:
                end.send(STATUS.pack(os.waitstatus_to_exitcode(status)))
