"""From a filter's text to tokens, each with its place."""

import re
from dataclasses import dataclass
from typing import Literal

from bucle.tracking.errors import BadFilter

TokenKind = Literal["word", "quoted", "text", "number", "sign", "end"]

LONGEST_FILTER = 10_000
_PATTERN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^'\\]|\\.|'')*')
  | (?P<quoted>`[^`]*`|"[^"]*")
  | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<word>[^\W\d][\w]*)
  | (?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,|\.)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a filter; `text` without its quotes, `place` counted from 1."""

    kind: TokenKind
    text: str
    place: int


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a filter, an end last. Raises `tracking/bad-filter`."""
    if len(text) > LONGEST_FILTER:
        raise BadFilter(reason=f"It is longer than {LONGEST_FILTER} characters", filter=text[:60], place=LONGEST_FILTER)
    found, place = [], 0
    while text[place:].strip():
        match = _PATTERN.match(text, place)
        if match is None or match.lastgroup is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            raise BadFilter(reason=f"Nothing begins with {text[start : start + 10]!r}", filter=text[:200], place=start + 1)
        kind: TokenKind = match.lastgroup  # type: ignore[assignment]
        found.append(Token(kind, _plain(kind, match[kind]), match.start(kind) + 1))
        place = match.end()
    return [*found, Token("end", "", len(text) + 1)]


def _plain(kind: TokenKind, text: str) -> str:
    if kind == "text":
        return text[1:-1].replace("''", "'")
    if kind == "quoted":
        return text[1:-1]
    return text
