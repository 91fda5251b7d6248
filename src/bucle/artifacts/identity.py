"""Ids of artifacts: `blake3:` and the 64 hexadecimal digits of their bytes' BLAKE3 hash."""

import re
from pathlib import Path

from blake3 import blake3

from bucle.artifacts.errors import BadArtifactId

_ID = re.compile(r"blake3:[0-9a-f]{64}")
IDS_IN_BYTES = re.compile(rb"blake3:[0-9a-f]{64}")
_LARGE = 4 << 20


def check_id(id: str) -> str:
    """Return `id` if it is one. Raises `artifacts/bad-id`."""
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise BadArtifactId(id=str(id)[:200])
    return id


def file_id(path: Path) -> str:
    """Return the id of a file's bytes; large files are hashed by several threads."""
    threads = blake3.AUTO if path.stat().st_size > _LARGE else 1
    return "blake3:" + blake3(max_threads=threads).update_mmap(path).hexdigest()
