"""Plain values as canonical JSON: every type that JSON does not have is an object tagged with `$`.

The same bytes come out in every process: sets are sorted by the bytes of their items, mappings keep their order (it can be
observed), floats are written so that they read back exactly. So these bytes are also what cache keys digest.
"""

import base64
import datetime as dt
import enum
import functools
import importlib
import math
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath
from types import FunctionType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

Node = Any
Put = Callable[[object], Node | None]


class NotPlain(TypeError):
    """A value is of a type that has no place in a tree."""


def encode_tree(value: object, put: Put) -> Node:
    """Return the JSON tree of a value; `put` may give the node of what it knows better (a handle, a frame)."""
    found = put(value)
    if found is not None:
        return found
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else {"$": "int", "v": str(value)}  # type: ignore[operator]
    if kind is float:
        return value if math.isfinite(value) else {"$": "float", "v": repr(value)}  # type: ignore[arg-type]
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        return encoder(value, put)
    return _encode_object(value, put)


def decode_tree(node: Node, take: Callable[[Mapping[str, Any]], object]) -> object:
    """Return the value of a tree; `take` gives the value of tags that are not known here."""
    if isinstance(node, list):
        return [decode_tree(item, take) for item in node]
    if not isinstance(node, dict):
        return node
    tag = node.get("$")
    if tag is None:
        return {key: decode_tree(item, take) for key, item in node.items()}
    decoder = _DECODERS.get(tag)
    return decoder(node, lambda inner: decode_tree(inner, take)) if decoder else take(node)


def tree_bytes(node: Node) -> bytes:
    """Return the canonical bytes of a tree."""
    return msgspec.json.encode(node)


def named(name: str) -> Any:
    """Return the object behind `module:qualname`."""
    module, _, qualname = name.partition(":")
    return functools.reduce(getattr, qualname.split("."), importlib.import_module(module))


def name_of(value: Any) -> str:
    """Return `module:qualname` of a class or function that can be found under it. Raises `NotPlain`."""
    name = f"{value.__module__}:{value.__qualname__}"
    found: object = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not value and getattr(found, "__wrapped__", None) is not value:
        raise NotPlain(name)
    return name


def _encode_object(value: object, put: Put) -> Node:
    if isinstance(value, enum.Enum):
        return {"$": "enum", "t": name_of(type(value)), "v": value.name}
    if isinstance(value, PurePath):
        return {"$": "path", "v": str(value)}
    if isinstance(value, msgspec.Struct):
        state = {name: encode_tree(getattr(value, name), put) for name in value.__struct_fields__}
        return {"$": "object", "t": name_of(type(value)), "v": state}
    if is_dataclass(value) and not isinstance(value, type):
        state = {field.name: encode_tree(getattr(value, field.name), put) for field in fields(value)}
        return {"$": "object", "t": name_of(type(value)), "v": state}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"$": "named", "t": name_of(type(value)), "v": [encode_tree(item, put) for item in value]}
    if isinstance(value, type | FunctionType):
        return {"$": "name", "v": name_of(value)}
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and not value.dtype.hasobject:  # type: ignore[attr-defined]
        return {"$": "numpy", "t": value.dtype.str, "v": _text(value.tobytes())}  # type: ignore[attr-defined]
    raise NotPlain(f"{type(value).__module__}.{type(value).__qualname__}")


def _mapping(value: Any, put: Put) -> Node:
    if all(type(key) is str for key in value) and "$" not in value:
        return {key: encode_tree(item, put) for key, item in value.items()}
    return {"$": "map", "v": [[encode_tree(key, put), encode_tree(item, put)] for key, item in value.items()]}


def _sorted_items(value: Any, put: Put) -> list[Node]:
    return sorted((encode_tree(item, put) for item in value), key=tree_bytes)


def _moment(value: Any, put: Put) -> Node:
    zone = getattr(value.tzinfo, "key", None)
    return {"$": type(value).__name__, "v": value.isoformat(), **({"z": zone} if zone else {}), "f": value.fold}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


_ENCODERS: dict[type, Callable[[Any, Put], Node]] = {
    list: lambda value, put: [encode_tree(item, put) for item in value],
    dict: _mapping,
    tuple: lambda value, put: {"$": "tuple", "v": [encode_tree(item, put) for item in value]},
    set: lambda value, put: {"$": "set", "v": _sorted_items(value, put)},
    frozenset: lambda value, put: {"$": "frozenset", "v": _sorted_items(value, put)},
    bytes: lambda value, put: {"$": "bytes", "v": _text(value)},
    bytearray: lambda value, put: {"$": "bytearray", "v": _text(bytes(value))},
    dt.datetime: _moment,
    dt.time: _moment,
    dt.date: lambda value, put: {"$": "date", "v": value.isoformat()},
    dt.timedelta: lambda value, put: {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]},
    complex: lambda value, put: {"$": "complex", "v": [repr(value.real), repr(value.imag)]},
    range: lambda value, put: {"$": "range", "v": [value.start, value.stop, value.step]},
    slice: lambda value, put: {"$": "slice", "v": [encode_tree(each, put) for each in (value.start, value.stop, value.step)]},
    Decimal: lambda value, put: {"$": "decimal", "v": str(value)},
    Fraction: lambda value, put: {"$": "fraction", "v": str(value)},
    uuid.UUID: lambda value, put: {"$": "uuid", "v": str(value)},
}

Inner = Callable[[Node], Any]


def _read_moment(kind: type[dt.datetime] | type[dt.time], node: Mapping[str, Any]) -> object:
    moment = kind.fromisoformat(node["v"])
    if "z" in node:
        moment = moment.replace(tzinfo=ZoneInfo(node["z"]))
    return moment.replace(fold=node.get("f", 0))


def _read_object(node: Mapping[str, Any], inner: Inner) -> object:
    """Rebuild the state as it was; neither `__init__` nor `__post_init__` runs again."""
    kind = named(node["t"])
    state = {name: inner(item) for name, item in node["v"].items()}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(**state)
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise NotPlain(node["t"])
    made = object.__new__(kind)
    for name, item in state.items():
        object.__setattr__(made, name, item)
    return made


def _read_enum(node: Mapping[str, Any], inner: Inner) -> object:
    kind = named(node["t"])
    if not (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        raise NotPlain(node["t"])
    return kind[node["v"]]


def _read_named(node: Mapping[str, Any], inner: Inner) -> object:
    kind = named(node["t"])
    if not (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")):
        raise NotPlain(node["t"])
    return tuple.__new__(kind, [inner(item) for item in node["v"]])


def _read_numpy(node: Mapping[str, Any], inner: Inner) -> object:
    import numpy as np

    return np.frombuffer(base64.b64decode(node["v"]), dtype=np.dtype(node["t"]))[0]


def _items(node: Mapping[str, Any], inner: Inner) -> Sequence[Any]:
    return [inner(item) for item in node["v"]]


_DECODERS: dict[str, Callable[[Mapping[str, Any], Inner], object]] = {
    "int": lambda node, inner: int(node["v"]),
    "float": lambda node, inner: float(node["v"]),
    "map": lambda node, inner: {inner(key): inner(item) for key, item in node["v"]},
    "tuple": lambda node, inner: tuple(_items(node, inner)),
    "named": _read_named,
    "set": lambda node, inner: set(_items(node, inner)),
    "frozenset": lambda node, inner: frozenset(_items(node, inner)),
    "bytes": lambda node, inner: base64.b64decode(node["v"]),
    "bytearray": lambda node, inner: bytearray(base64.b64decode(node["v"])),
    "datetime": lambda node, inner: _read_moment(dt.datetime, node),
    "time": lambda node, inner: _read_moment(dt.time, node),
    "date": lambda node, inner: dt.date.fromisoformat(node["v"]),
    "timedelta": lambda node, inner: dt.timedelta(*node["v"]),
    "complex": lambda node, inner: complex(float(node["v"][0]), float(node["v"][1])),
    "range": lambda node, inner: range(*node["v"]),
    "slice": lambda node, inner: slice(*_items(node, inner)),
    "decimal": lambda node, inner: Decimal(node["v"]),
    "fraction": lambda node, inner: Fraction(node["v"]),
    "uuid": lambda node, inner: uuid.UUID(node["v"]),
    "path": lambda node, inner: Path(node["v"]),
    "enum": _read_enum,
    "object": _read_object,
    "name": lambda node, inner: named(node["v"]),
    "numpy": _read_numpy,
}
