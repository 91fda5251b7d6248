"""First step: read what a package holds, as JSON and names of members; nothing is imported and nothing constructed."""

import io
import json
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from bucle.registry.errors import BrokenPackage, NewerPackage
from bucle.registry.packaging.allowed import CALLED, KEY_TYPES, LOADERS
from bucle.registry.packaging.protocol import HEADER, PROTOCOL

SCHEMA = "schema.json"
DEEPEST = 200
_UNREADABLE = (BadZipFile, KeyError, TypeError, ValueError, RuntimeError, EOFError, OSError, struct.error)
"""What reading a zip file or JSON raises when bytes are wrong; a RuntimeError means a recursion, or a zip feature of others."""
_MEMBER = re.compile(r"[0-9a-f]{32}\.(npy|npz|bin)")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A package whose form is right: its bytes, its protocol, and the names of the types and functions in it."""

    data: bytes
    protocol: int
    names: tuple[str, ...]


def parse(data: bytes) -> Parsed:
    """Check the form of a package. Raises `registry/broken-package`, `registry/newer-package`."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            protocol = _protocol(archive)
            return READERS[protocol](data, archive)
    except _UNREADABLE as error:
        raise BrokenPackage(reason=f"it cannot be read ({type(error).__name__})") from None


def _protocol(archive: ZipFile) -> int:
    header = json.loads(archive.read(HEADER))
    protocol = header.get("protocol") if isinstance(header, dict) else None
    if isinstance(protocol, bool) or not isinstance(protocol, int) or protocol < 1:
        raise BrokenPackage(reason="its protocol number is none")
    if protocol > PROTOCOL:
        raise NewerPackage(found=protocol, known=PROTOCOL)
    return protocol


def _read_v1(data: bytes, archive: ZipFile) -> Parsed:
    names = archive.namelist()
    if len(set(names)) != len(names) or any(info.compress_type != ZIP_STORED for info in archive.infolist()):
        raise BrokenPackage(reason="its members are compressed or named twice")
    if odd := [name for name in names if name not in (HEADER, SCHEMA) and not _MEMBER.fullmatch(name)]:
        raise BrokenPackage(reason=f"it holds a member {odd[0][:60]!r}")
    if archive.testzip() is not None:
        raise BrokenPackage(reason="a checksum is wrong")
    schema = json.loads(archive.read(SCHEMA))
    found = set()
    for node in _nodes(schema, 0):
        if node["__loader__"] not in LOADERS:
            raise BrokenPackage(reason=f"it holds a node of the kind {str(node['__loader__'])[:60]!r}")
        if "__id__" in node or not isinstance(node.get("file", ""), str) or ("file" in node and node["file"] not in names):
            raise BrokenPackage(reason="it refers to what it does not hold")
        _check_calls(node)
        found.add(_name(node))
    return Parsed(data, 1, tuple(sorted(found)))


def _check_calls(node: dict[str, Any]) -> None:
    """Refuse a node that would call something else than its kind is for."""
    called = CALLED.get(node["__loader__"])
    if called is not None and not _is_one_of(_name(node), called):
        raise BrokenPackage(reason=f"its {node['__loader__']} would call {_name(node)[:80]}")
    if node["__loader__"] == "DictNode":
        for key in node["key_types"]["content"]:
            if key["__loader__"] != "TypeNode" or not _is_one_of(_name(key), KEY_TYPES):
                raise BrokenPackage(reason=f"its keys would be made by {_name(key)[:80]}")


def _name(node: dict[str, Any]) -> str:
    return f"{node['__module__']}.{node['__class__']}"


def _is_one_of(name: str, names: tuple[str, ...]) -> bool:
    return any(name.startswith(each) if each.endswith(".") else name == each for each in names)


READERS: dict[int, Callable[[bytes, ZipFile], Parsed]] = {1: _read_v1}
"""Who reads which protocol."""


def _nodes(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth > DEEPEST:
        raise BrokenPackage(reason=f"it is nested more than {DEEPEST} deep")
    if isinstance(value, dict) and isinstance(value.get("__loader__"), str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(each, dict | list):
            yield from _nodes(each, depth + 1)
