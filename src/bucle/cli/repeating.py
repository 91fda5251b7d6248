"""A command whose server went away may be called again: it then sends the same Idempotency-Keys, and nothing happens twice."""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

LOST = frozenset({"client/unreachable", "client/connection-lost", "server/shutting-down", "server/request-in-progress"})
"""After these nobody knows what took effect."""

_MEMORY_SECONDS = 3600.0


class Attempt:
    """One call of the command line, perhaps the same as one before that never heard its answer.

    The same call is: the same words, in the same folder, by the same person, within an hour of the one that failed.
    """

    def __init__(self, home: Path, words: Sequence[str]) -> None:
        who = [os.environ.get(name, "") for name in ("BUCLE_TOKEN", "BUCLE_CLIENT")]
        told = json.dumps([str(Path.cwd()), *who, *words])
        self._file = home / "tmp" / "unanswered" / hashlib.sha256(told.encode()).hexdigest()
        self._name = _read(self._file)
        self.repeated = self._name is not None

    def keys(self) -> Iterator[str]:
        """Yield the keys of the writes of this call, in their order: those of the call that it repeats."""
        self._name = self._name or uuid.uuid4().hex
        number = 0
        while True:
            yield f"{self._name}-{number}"
            number += 1

    def ended(self, code: str | None) -> None:
        """Remember the keys when the command ended with such an error; else forget them."""
        with suppress(OSError):
            if code in LOST and self._name is not None and self._file.parents[2].is_dir():
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(self._name, "ascii")
            elif self.repeated and code not in LOST:
                self._file.unlink(missing_ok=True)


def _read(file: Path) -> str | None:
    try:
        if time.time() - file.stat().st_mtime < _MEMORY_SECONDS:
            return file.read_text("ascii")
        file.unlink()
    except (OSError, ValueError):
        pass
    return None
