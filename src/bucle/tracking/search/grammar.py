"""The filter language: MLflow's comparisons joined by AND, and beyond it OR, NOT and parentheses.

filter     := conjunction (OR conjunction)*
conjunction:= factor (AND factor)*
factor     := NOT factor | "(" filter ")" | comparison
comparison := name operator literal | name [NOT] IN "(" literal ("," literal)* ")" | name IS [NOT] NULL
            | name [NOT] (LIKE | ILIKE | RLIKE) literal
name       := [entity "."] key
"""

from dataclasses import dataclass
from typing import Literal

from bucle.tracking.errors import BadFilter
from bucle.tracking.search.tokens import Token, tokens_of

Operator = Literal["=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE", "RLIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"]
Literals = str | float | tuple[str | float, ...] | None

DEEPEST, MOST = 50, 200
"""Parentheses within each other, and comparisons, that a filter may have."""

_SIGNS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}
_LIKE = ("LIKE", "ILIKE", "RLIKE")
_KEYWORDS = {"AND", "OR", "NOT", "IN", "IS", "NULL", *_LIKE}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`entity.key operator value`; the entity is as it was written, "" without one."""

    entity: str
    key: str
    operator: Operator
    value: Literals
    place: int


@dataclass(frozen=True, slots=True)
class Both:
    """All of the parts."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of the parts."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Negation:
    """Not the part."""

    part: "Condition"


Condition = Comparison | Both | Either | Negation


def parse_filter(text: str) -> Condition:
    """Return what a filter says; an empty one holds for all. Raises `tracking/bad-filter` with the place."""
    parser = _Parser(text)
    if parser.peek().kind == "end":
        return Both(())
    found = parser.either(0)
    if parser.peek().kind != "end":
        raise parser.refusal("AND, OR or the end is expected")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._next, self._count = text, tokens_of(text), 0, 0

    def peek(self) -> Token:
        return self._tokens[self._next]

    def refusal(self, reason: str) -> BadFilter:
        token = self.peek()
        return BadFilter(reason=f"{reason}, not {token.text or 'the end'!r}", filter=self._text[:200], place=token.place)

    def either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._keyword("OR"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self, depth: int) -> Condition:
        parts = [self._factor(depth)]
        while self._keyword("AND"):
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _factor(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise self.refusal(f"At most {DEEPEST} parentheses may lie within each other")
        if self._keyword("NOT"):
            return Negation(self._factor(depth + 1))
        if self._sign("("):
            found = self.either(depth + 1)
            self._expect(")")
            return found
        return self._comparison()

    def _comparison(self) -> Comparison:
        self._count += 1
        if self._count > MOST:
            raise self.refusal(f"A filter has at most {MOST} comparisons")
        place = self.peek().place
        entity, key = self._name()
        if self._keyword("IS"):
            negated = self._keyword("NOT")
            if not self._keyword("NULL"):
                raise self.refusal("NULL is expected")
            return Comparison(entity, key, "IS NOT NULL" if negated else "IS NULL", None, place)
        if self._keyword("NOT"):
            if not self._keyword("IN"):
                raise self.refusal("IN is expected")
            return Comparison(entity, key, "NOT IN", self._list(), place)
        if self._keyword("IN"):
            return Comparison(entity, key, "IN", self._list(), place)
        return Comparison(entity, key, self._operator(), self._literal(), place)

    def _name(self) -> tuple[str, str]:
        parts = [self._part()]
        while self._sign("."):
            parts.append(self._part())
        return ("", parts[0]) if len(parts) == 1 else (parts[0].lower(), ".".join(parts[1:]))

    def _part(self) -> str:
        token = self.peek()
        keyword = token.kind == "word" and token.text.upper() in _KEYWORDS
        if token.kind not in ("word", "quoted") or keyword:
            raise self.refusal("A name is expected")
        self._next += 1
        return token.text

    def _operator(self) -> Operator:
        token = self.peek()
        if token.kind == "sign" and token.text in _SIGNS:
            self._next += 1
            return _SIGNS[token.text]  # type: ignore[return-value]
        for name in _LIKE:
            if self._keyword(name):
                return name  # type: ignore[return-value]
        raise self.refusal("A comparison is expected")

    def _literal(self) -> str | float:
        token = self.peek()
        if token.kind not in ("text", "number", "quoted"):
            raise self.refusal("A quoted text or a number is expected")
        self._next += 1
        return float(token.text) if token.kind == "number" else token.text

    def _list(self) -> tuple[str | float, ...]:
        self._expect("(")
        found = [self._literal()]
        while self._sign(","):
            found.append(self._literal())
        self._expect(")")
        return tuple(found)

    def _keyword(self, name: str) -> bool:
        return self._take(self.peek().kind == "word" and self.peek().text.upper() == name)

    def _sign(self, text: str) -> bool:
        return self._take(self.peek().kind == "sign" and self.peek().text == text)

    def _take(self, fits: bool) -> bool:
        self._next += fits
        return fits

    def _expect(self, sign: str) -> None:
        if not self._sign(sign):
            raise self.refusal(f"{sign!r} is expected")
