"""Equal models give equal bytes: a skops file without object ids, dates, padding or the order of sets.

skops names arrays and nodes by the addresses of objects in memory and stamps the members of its zip file. Here arrays are
named by their content, addresses are dropped (nothing but sharing hangs on them), sets are sorted, unused bytes between
the fields of records are zero, and members are stored in the order of their names with a fixed date.
"""

import io
import json
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from blake3 import blake3

SCHEMA = "schema.json"
_DATE = (1980, 1, 1, 0, 0, 0)


def canonical(dump: bytes) -> dict[str, bytes]:
    """Return the members of a skops dump in canonical form, the schema among them."""
    with ZipFile(io.BytesIO(dump)) as archive:
        schema = json.loads(archive.read(SCHEMA))
        held = {name: _without_padding(name, archive.read(name)) for name in archive.namelist() if name != SCHEMA}
    renamed = {name: _content_name(name, content) for name, content in held.items()}
    members = {renamed[name]: content for name, content in held.items()}
    members[SCHEMA] = _json(_canonical_node(schema, renamed)).encode()
    return members


def pack(members: dict[str, bytes]) -> bytes:
    """Return a zip file of the members, the same for the same members."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name in sorted(members):
            archive.writestr(ZipInfo(name, _DATE), members[name])
    return buffer.getvalue()


def _canonical_node(node: Any, renamed: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_canonical_node(each, renamed) for each in node]
    if not isinstance(node, dict):
        return node
    loader = node.get("__loader__")
    if not isinstance(loader, str):  # what a dict of the model holds, by its own keys
        return {key: _canonical_node(value, renamed) for key, value in node.items()}
    made = {key: _canonical_node(value, renamed) for key, value in node.items() if key != "__id__"}
    if "file" in node:
        made["file"] = renamed[node["file"]]
    if loader == "SetNode":
        made["content"].sort(key=_json)
    return made


def _without_padding(name: str, content: bytes) -> bytes:
    """Return a .npy file of records with zeros between their fields: there the memory holds whatever was there before."""
    if not name.endswith(".npy"):
        return content
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()


def _content_name(name: str, content: bytes) -> str:
    return f"{blake3(content).hexdigest(16)}.{name.rpartition('.')[2]}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
