"""One text of bytes for each value, the same in every process: what digests of parameters and constants are made of."""

import datetime as dt
import enum
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import msgspec
from blake3 import blake3

Fallback = Callable[[object], bytes | None]
_PLAIN = (int, float, complex, dt.datetime, dt.date, dt.time, dt.timedelta, Decimal, Fraction, uuid.UUID, range, slice)


class NotCanonical(TypeError):
    """A value has no text of bytes that says all about it."""


def digest_of(value: object) -> str:
    """Return the BLAKE3 hex digest of a value. Raises `NotCanonical` for what has no canonical form (an open file, say)."""
    return blake3(canonical_bytes(value)).hexdigest()


def canonical_bytes(value: object, fallback: Fallback | None = None) -> bytes:
    """Return typed, tagged bytes that are equal exactly when the values are: sets sorted, mappings in their own order.

    `fallback` may give the bytes of what is not a plain value (a function, say). Raises `NotCanonical`.
    """
    return _Encoder(fallback).encode(value)


class _Encoder:
    def __init__(self, fallback: Fallback | None) -> None:
        self._fallback = fallback
        self._within: set[int] = set()

    def encode(self, value: object) -> bytes:
        if value is None or isinstance(value, bool) or value is Ellipsis:
            return _tag("atom", repr(value).encode())
        if isinstance(value, enum.Enum):
            return _tag("enum", f"{_kind(value)}.{value.name}".encode())
        if type(value) in _PLAIN:
            return _tag(_kind(value), repr(value).encode())
        if isinstance(value, str):
            return _tag("str", value.encode("utf-8", "surrogatepass"))
        if isinstance(value, bytes | bytearray):
            return _tag("bytes", bytes(value))
        if isinstance(value, PurePath):
            return _tag("path", str(value).encode("utf-8", "surrogateescape"))
        if isinstance(value, re.Pattern):
            return _tag("pattern", repr((value.pattern, value.flags)).encode())
        return self._compound(value)

    def _compound(self, value: object) -> bytes:
        if id(value) in self._within:
            return _tag("cycle", _kind(value).encode())
        self._within.add(id(value))
        try:
            return self._members(value)
        finally:
            self._within.discard(id(value))

    def _members(self, value: object) -> bytes:
        if isinstance(value, list | tuple):
            return _tag(_kind(value), b"".join(self.encode(item) for item in value))
        if isinstance(value, set | frozenset):
            return _tag("set", b"".join(sorted(self.encode(item) for item in value)))
        if isinstance(value, Mapping):
            return _tag("map", b"".join(self.encode(key) + self.encode(item) for key, item in value.items()))
        found = self._fallback(value) if self._fallback else None
        if found is not None:
            return found
        return self._object(value)

    def _object(self, value: object) -> bytes:
        array = _array_bytes(value)
        if array is not None:
            return _tag(_kind(value), array)
        if isinstance(value, msgspec.Struct):
            state: object = {name: getattr(value, name) for name in value.__struct_fields__}
        elif is_dataclass(value) and not isinstance(value, type):
            state = {field.name: getattr(value, field.name) for field in fields(value)}
        else:
            raise NotCanonical(f"{_kind(value)} has no canonical form")
        return _tag(_kind(value), self.encode(state))


def _array_bytes(value: Any) -> bytes | None:
    """The content of numpy arrays and scalars and of Polars frames and expressions, recognised without importing either."""
    module = type(value).__module__.partition(".")[0]
    if module == "numpy" and hasattr(value, "tobytes") and getattr(value, "dtype", None) is not None:
        if value.dtype.hasobject:
            return None
        return f"{value.dtype.str}{getattr(value, 'shape', ())}".encode() + b"\0" + bytes(value.tobytes())
    if module == "polars" and hasattr(value, "write_ipc"):
        return bytes(value.write_ipc(None).getvalue())
    if module == "polars" and hasattr(value, "meta") and " at 0x" not in str(value):
        return str(value).encode()
    return None


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _tag(kind: str, content: bytes) -> bytes:
    return f"{kind}:{len(content)}:".encode() + content
