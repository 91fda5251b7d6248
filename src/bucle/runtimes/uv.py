"""Calling uv, which resolves, downloads, caches and installs packages; its index is the one that the user set up for it."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bucle.runtimes.errors import NoUv

_DROPPED = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "BUCLE_TOKEN")
_UNREACHABLE = re.compile(r"dns error|connect|timed? ?out|network|error sending request|offline", re.IGNORECASE)
_LONGEST_REASON = 1500
_LONGEST = 1800
"""Seconds: the largest locks take minutes over a slow line, and whoever waits for a runtime waits for this."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a call of uv ended; `reason` is what uv said."""

    ok: bool
    reason: str

    @property
    def unreachable(self) -> bool:
        """Whether it failed because no index answered."""
        return not self.ok and _UNREACHABLE.search(self.reason) is not None


def run_uv(arguments: Sequence[str], *, cwd: Path) -> Done:
    """Run uv with `arguments` in `cwd`. Raises `runtimes/no-uv`."""
    environment = {key: value for key, value in os.environ.items() if key not in _DROPPED}
    environment |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    command = [_binary(), "--quiet", *arguments]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        return Done(False, f"uv did not end within {_LONGEST // 60} minutes and was stopped; the network or an index hangs.")
    return Done(done.returncode == 0, _readable(done.stderr))


def uv_version() -> str | None:
    """Return what uv says of itself, or None where there is none."""
    try:
        asked = subprocess.run([_binary(), "--version"], capture_output=True, text=True, check=True, timeout=30)
        return asked.stdout.strip()
    except (NoUv, OSError, subprocess.SubprocessError):
        return None


def _binary() -> str:
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError) as error:
        found = shutil.which("uv")
        if found is None:
            raise NoUv() from error
        return found


def _readable(stderr: str) -> str:
    """uv draws its reasons as a tree; say them as sentences."""
    lines = (re.sub(r"^\s*(error:|[×╰├│─▶]+)?[\s×╰├│─▶]*", "", line).strip() for line in stderr.splitlines())
    return " ".join(line for line in lines if line)[:_LONGEST_REASON] or "uv gave no reason."
