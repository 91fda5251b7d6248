"""On which line of a TOML text a key stands; `tomllib` keeps no positions."""

import re
from collections.abc import Iterator, Sequence

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]\]?")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")


def line_of(text: str, path: Sequence[str]) -> int:
    """Return the line (from 1) of the key at `path`, or of its nearest surroundings that have a line of their own."""
    best, depth = 1, 0
    for line, found in _keys(text):
        shared = _shared(found, path)
        if shared > depth and len(found) == shared:
            best, depth = line, shared
    return best


def _keys(text: str) -> Iterator[tuple[int, list[str]]]:
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            yield number, table
        elif key := _KEY.match(line):
            parts = _parts(key[1])
            yield from ((number, table + parts[: end + 1]) for end in range(len(parts)))


def _parts(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in re.findall(_PART, dotted)]


def _shared(found: Sequence[str], path: Sequence[str]) -> int:
    count = 0
    for one, other in zip(found, path, strict=False):
        if one != other:
            break
        count += 1
    return count
