"""Ids: a kind prefix and a sortable 128-bit part (a ULID), and content ids by BLAKE3."""

import os
import threading
import time

from blake3 import blake3

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_lock = threading.Lock()
_last = 0


def new_id(kind: str) -> str:
    """Return a new id such as `run_01J8ZQ...`: 48 bits of milliseconds, 80 of chance, increasing within a process.

    Source: the ULID specification, canonical Crockford base32 of 26 characters.
    """
    global _last
    with _lock:
        value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
        if value <= _last:
            value = _last + 1
        _last = value
    return f"{kind}_{_encode(value)}"


def named_id(kind: str, name: str) -> str:
    """Return the id that belongs to a name: the same each time, of the form of `new_id`, but in no order."""
    return f"{kind}_{_encode(int.from_bytes(blake3(name.encode()).digest()[:16], 'big'))}"


def content_id(data: bytes) -> str:
    """Return the content id of `data`: `blake3:` and 64 hex digits."""
    return "blake3:" + blake3(data).hexdigest()


def _encode(value: int) -> str:
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))
