"""A real server in a process of its own, and the command line as a user calls it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent / "src"


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without what would lead the command line elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BUCLE_")}
    return {**kept, "PYTHONPATH": str(SOURCE), **extra}


def bucle(*words: object, cwd: Path | None = None, **extra: str) -> "subprocess.CompletedProcess[str]":
    """Run `bucle WORDS` and return what it printed."""
    command = [sys.executable, "-m", "bucle", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(**extra), timeout=120)


class Server:
    """A running `bucle up`."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process = process
        self.url = url
        self.pid = process.pid

    def kill(self) -> None:
        """As kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=60)


@contextmanager
def up(home: Path, *words: object) -> Iterator[Server]:
    """Run `bucle up` on a free port until the block ends."""
    command = [sys.executable, "-m", "bucle", "up", "--json", "--port", "0", "--home", str(home), *map(str, words)]
    with tempfile.TemporaryFile("w+") as said:  # a pipe that nobody reads would stop the server when it is full
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment())
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, said.seek(0) or said.read()
            document: dict[str, Any] = json.loads(line)
            yield Server(process, document["url"])
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(timeout=60)
            process.stdout.close()
