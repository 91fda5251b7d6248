"""From what a caller gives to what is sent: JSON bodies and addresses. What cannot be said in them is refused by its field."""

import math
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import msgspec

from bucle.client.errors import BadValue

_LONGEST_INTEGER = 2**14_000  # what Python still writes in decimal digits


def json_of(body: object) -> bytes:
    """Return a body as JSON. Raises `client/bad-value` with the field; infinity does not become a null on the way."""
    _check(body, "")
    return msgspec.json.encode(body)


def segment_of(part: str) -> str:
    """Return a part of a path as it stands in an address. Raises `client/bad-value`."""
    _check(part, "path")
    return quote(part, safe="")


def target_of(path: str, query: Mapping[str, object] | None) -> str:
    """Return a path with its query. Raises `client/bad-value` with the parameter."""
    given = {name: _text(value) for name, value in (query or {}).items() if value is not None}
    for name, value in given.items():
        _check(value, f"query.{name}")
    return f"{path}?{urlencode(given)}" if given else path


def _check(value: object, place: str) -> None:
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise BadValue(what=f"The text {value!r:.40} with half a surrogate pair", where=place or None)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise BadValue(what=f"The number {value}", where=place or None)
    elif isinstance(value, int):
        if not -_LONGEST_INTEGER < value < _LONGEST_INTEGER:
            raise BadValue(what=f"An integer of {value.bit_length()} bits", where=place or None)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            _check(name, place)
            _check(each, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            _check(each, f"{place}[{number}]")


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
