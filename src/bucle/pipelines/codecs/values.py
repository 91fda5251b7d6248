"""From a step's value to a reference, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.pipelines.codecs.files import FILES
from bucle.pipelines.codecs.frames import FRAMES
from bucle.pipelines.codecs.models import MODELS
from bucle.pipelines.codecs.protocol import Codec, ValueRef, identity
from bucle.pipelines.codecs.tree import NotPlain, decode_tree, encode_tree, tree_bytes

FORMAT = 2
"""The number of the output format: raise it when any codec gives other bytes for the same value; all keys change with it."""

_CODECS: Mapping[str, Codec] = {codec.name: codec for codec in (*FILES, *MODELS, *FRAMES)}


def encode_value(value: object, store: ArtifactStore) -> ValueRef:
    """Store a value and return its reference. Raises `NotPlain` for a type that no codec takes.

    The items of a tuple are stored apart, so that a step that uses one of them depends on that one alone.
    """
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    for codec in _CODECS.values():
        if codec.takes(value):
            return msgspec.structs.replace(codec.encode(value, store), type=kind)
    if type(value) is tuple:
        parts = tuple(encode_value(item, store) for item in value)
        artifact = store.put_bytes(tree_bytes(["tuple", *(identity(part) for part in parts)]))
        return ValueRef("tuple", artifact, kind, size=sum(part.size for part in parts), parts=parts)
    return _encode_plain(value, kind, store)


def decode_value(ref: ValueRef, store: ArtifactStore, scratch: Path) -> Any:
    """Return the value of a reference; files that it needs by name go to `scratch`."""
    if ref.codec == "tuple":
        return tuple(decode_value(part, store, scratch) for part in ref.parts)
    if ref.codec != "json":
        return _CODECS[ref.codec].decode(ref, store, scratch)
    node = msgspec.json.decode(store.get_bytes(ref.artifact))

    def take(tag: Mapping[str, Any]) -> object:
        if tag["$"] != "part":
            raise NotPlain(str(tag["$"]))
        return decode_value(ref.parts[tag["n"]], store, scratch)

    return decode_tree(node, take)


def is_heavy(value: object) -> bool:
    """Whether a value has a codec of its own, so that it is handed over by reference."""
    return any(codec.takes(value) for codec in _CODECS.values())


def _encode_plain(value: object, kind: str, store: ArtifactStore) -> ValueRef:
    found: dict[int, tuple[dict[str, Any], ValueRef]] = {}

    def put(item: object) -> object | None:
        if not is_heavy(item):
            return None
        ref = encode_value(item, store)
        node = {"$": "part", "is": identity(ref)}
        found[id(node)] = (node, ref)
        return node

    tree = encode_tree(value, put)
    parts: list[ValueRef] = []
    _number(tree, found, parts)
    data = tree_bytes(tree)
    return ValueRef("json", store.put_bytes(data), kind, size=len(data), parts=tuple(parts))


def _number(node: Any, found: Mapping[int, tuple[dict[str, Any], ValueRef]], parts: list[ValueRef]) -> None:
    """Number the parts by their place in the finished tree: a set is in another order in each process until it is sorted."""
    if id(node) in found:
        node["n"] = len(parts)
        parts.append(found[id(node)][1])
    elif isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            _number(item, found, parts)
