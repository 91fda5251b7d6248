"""Entry points for the tests, as rooms have them: run by name in a child."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from bucle.project import UnknownDefinition, suggest


class Text(msgspec.Struct, frozen=True):
    text: str = ""


class Facts(msgspec.Struct, frozen=True):
    pid: int
    cwd: str
    root: str
    artifacts: str
    environment: dict[str, str]
    open_files: int
    group: int


class Seen(msgspec.Struct, frozen=True):
    modules: list[str]
    drawn: list[float]


def look(payload: Text, child: Any) -> Seen:
    """Return what is imported, and a random number of each generator that projects use."""
    import random

    import numpy as np

    return Seen(sorted(sys.modules), [random.random(), float(np.random.random())])


def import_project(payload: Text, child: Any) -> Seen:
    child.definitions()
    return look(payload, child)


def echo(payload: Text, child: Any) -> Text:
    return payload


def facts(payload: Text, child: Any) -> Facts:
    environment, limit = dict(os.environ), resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return Facts(os.getpid(), str(Path.cwd()), str(child.root), str(child.artifacts), environment, limit, os.getpgid(0))


def post_and_go_on(payload: Text, child: Any) -> Text:
    """Ask without waiting, then either leave the answer to the end of the call, fail over it, or take it and ask again."""
    take = child.post(b"posted")
    if payload.text == "leave":
        return Text("left")
    if payload.text == "fail":
        raise ValueError("failed meanwhile")
    first: bytes = take()
    second: bytes = child.ask(b"asked")
    return Text(f"{first.decode()} {second.decode()}")


def ask_twice(payload: Text, child: Any) -> Text:
    try:
        first: bytes = child.ask(payload.text.encode())
    except Exception:  # as a project's code might
        first = b"swallowed"
    second: bytes = child.ask(first)
    return Text(second.decode())


def run_project(payload: Text, child: Any) -> Text:
    """Call a function of the project by name."""
    child.definitions()
    return Text(str(getattr(sys.modules["small"], payload.text)()))


def lazily(payload: Text, child: Any) -> Text:
    with child.blaming("small/__init__.py:7"):
        raise LookupError("no column wnd")


def refuse(payload: Text, child: Any) -> Text:
    raise UnknownDefinition(kind="step", name="fti", hint=suggest("fti", ["fit"]), where="small/__init__.py:3")


def sleep(payload: Text, child: Any) -> Text:
    """Sleep with a child of its own that sleeps too, and say its process id to the parent."""
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    child.ask(f"{grandchild.pid}".encode())
    time.sleep(600)
    return payload


def die(payload: Text, child: Any) -> Text:
    if payload.text == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.SIGKILL)
    return payload


def die_leaving_a_fork(payload: Text, child: Any) -> Text:
    """Die as of a lack of memory, while a copy of this process in a session of its own holds all that is open here."""
    fork = os.fork()
    if fork == 0:
        os.setsid()
        time.sleep(170)
        os._exit(0)
    child.ask(f"{fork}".encode())
    os.kill(os.getpid(), signal.SIGKILL)
    return payload


def leave(payload: Text, child: Any) -> Text:
    sys.exit("the code wanted to leave")


def shout(payload: Text, child: Any) -> Text:
    print(f"out {payload.text}")
    print(f"err {payload.text}", file=sys.stderr)
    subprocess.run(["echo", f"grandchild {payload.text}"], check=True, timeout=120)
    return payload


def break_protocol(payload: Text, child: Any) -> Text:
    sockets = [int(path.name) for path in Path("/proc/self/fd").iterdir() if path.is_socket()]
    for descriptor in sockets:  # the line has whatever number it had in the parent
        os.write(descriptor, b"\xff" * 64)
    time.sleep(600)
    return payload


def fill_memory(payload: Text, child: Any) -> Text:
    return Text(str(len(bytearray(int(payload.text)))))


def spin(payload: Text, child: Any) -> Text:
    """Say that it begins, then never come back."""
    child.ask(b"")
    while True:
        pass
