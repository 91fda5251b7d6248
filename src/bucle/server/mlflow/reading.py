"""From a request to checked values: what is missing or of another type is refused in MLflow's own words.

Source: the messages of MLflow 3.17, which its clients' tests assert literally. Unknown fields are ignored, whole numbers may
come as text (protobuf's JSON form of int64).
"""

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from bucle.server.mlflow.errors import BadRequest, InvalidParameter
from bucle.server.routing import Call

Kind = Literal["string", "int", "float", "array", "strings"]

LONGEST_KEY, LONGEST_PARAM, LONGEST_TAG, LONGEST_EXPERIMENT_TAG = 250, 6000, 8000, 20_000
_SEE = " See the API docs for more information about request parameters."
_NAME = re.compile(r"^[/\w.\- :]*$")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
)
_AS_FILES = (
    "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
    "This name would resolve to {!r}"
)


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of a request."""

    name: str
    kind: Kind = "string"
    required: bool = False


def values_of(call: Call, *fields: Field) -> dict[str, Any]:
    """Return the request's parameters, each None when it was not given. Raises the coded errors of this face."""
    given = call.query if call.body is None else body_of(call)
    if "run_uuid" in given and not given.get("run_id"):
        given = {**given, "run_id": given["run_uuid"]}
    return {field.name: _value(field, given.get(field.name)) for field in fields}


def body_of(call: Call) -> Mapping[str, Any]:
    """Return the JSON object of the body; none counts as empty, and a doubly encoded one of an old client is read twice."""
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise BadRequest(text="Bad Request. Content-Type must be one of ['application/json'].", where="header.Content-Type")
    try:
        found = msgspec.json.decode(call.body) if call.body else {}
        if isinstance(found, str):
            found = msgspec.json.decode(found)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = {}
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadRequest(text="Bad Request. The body must be a JSON object.", where="body")
    return found


def invalid(path: str, value: object, reason: str = "") -> InvalidParameter:
    """Return the refusal of a value, worded as MLflow does."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        text = str(value)
    end = f": {reason}" if reason else "."
    return InvalidParameter(text=f"Invalid value {text[:1000]} for parameter '{path}' supplied{end}", where=path)


def missing(path: str) -> InvalidParameter:
    """Return the refusal of a request that lacks a parameter."""
    return InvalidParameter(text=f"Missing value for required parameter '{path}'.{_SEE}", where=path)


def checked_key(value: object, path: str) -> str:
    """Return the name of a parameter, metric or tag."""
    if not isinstance(value, str) or not _NAME.match(value) or not value.isprintable():
        raise invalid(path, value, _CHARACTERS)
    resolved = posixpath.normpath(value)
    if resolved != value or resolved == "." or resolved.startswith(("..", "/")):
        raise invalid(path, value, _AS_FILES.format(resolved))
    return value


def at_most(what: str, limit: int, value: str) -> str:
    """Return a text that is not longer than the protocol allows."""
    if len(value) > limit:
        raise InvalidParameter(text=f"'{what}' exceeds the maximum length of {limit} characters", where=what)
    return value


def pairs_of(entries: Sequence[Any], path: str, limit: int) -> dict[str, str]:
    """Return keys and values of a list of `{"key", "value"}`: parameters or tags."""
    found: dict[str, str] = {}
    for place, entry in enumerate(entries):
        here = f"{path}[{place}]"
        if not isinstance(entry, dict):
            raise invalid(here, entry)
        if entry.get("key") in (None, ""):
            raise missing(f"{here}.key")
        key = at_most(f"{here}.key", LONGEST_KEY, checked_key(entry["key"], f"{here}.key"))
        value = entry.get("value") or ""
        found[key] = at_most(f"{here}.value", limit, value if isinstance(value, str) else str(value))
    return found


def _value(field: Field, value: Any) -> Any:
    if value is None or (value == "" and field.required):
        if field.required:
            raise missing(field.name)
        return None
    refused = invalid(field.name, value, f" Hint: Value was of type '{type(value).__name__}'.{_SEE}")
    if field.kind in ("int", "float"):
        return _number(field.kind, value, refused)
    fits = isinstance(value, str) if field.kind == "string" else isinstance(value, list)
    if not fits or (field.kind == "strings" and not all(isinstance(item, str) for item in value)):
        raise refused
    return value


def _number(kind: Kind, value: Any, refused: InvalidParameter) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise refused
    try:
        number = int(value) if kind == "int" else float(value)
    except (ValueError, OverflowError):
        raise refused from None
    if kind == "int" and not -(2**63) <= number < 2**63:
        raise refused
    return number
