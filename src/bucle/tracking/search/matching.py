"""A condition tried on one thing in Python: for what is few, such as experiments and logged models."""

import re
from collections.abc import Callable, Mapping

from bucle.tracking.search.grammar import Both, Comparison, Condition, Either, Negation

Lookup = Callable[[Comparison], str | float | None]


def matches(condition: Condition, lookup: Lookup) -> bool:
    """Return whether a condition holds; `lookup` gives a comparison's value and refuses names that there are not."""
    if isinstance(condition, Comparison):
        return _holds(condition, lookup(condition))
    if isinstance(condition, Negation):
        return not matches(condition.part, lookup)
    if isinstance(condition, Both):
        return all(matches(part, lookup) for part in condition.parts)
    assert isinstance(condition, Either)
    return any(matches(part, lookup) for part in condition.parts)


def like(pattern: str, text: str, ignore_case: bool = False) -> bool:
    """Return whether a text fits a LIKE pattern: % is any text, _ any character."""
    translated = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(translated, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _holds(asked: Comparison, value: str | float | None) -> bool:
    if asked.operator in ("IS NULL", "IS NOT NULL"):
        return (value is None) is (asked.operator == "IS NULL")
    if value is None:
        return False
    if asked.operator in ("IN", "NOT IN"):
        assert isinstance(asked.value, tuple)
        return (value in asked.value) is (asked.operator == "IN")
    if asked.operator in ("LIKE", "ILIKE"):
        return like(str(asked.value), str(value), asked.operator == "ILIKE")
    try:
        wanted = type(value)(asked.value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return _COMPARE[asked.operator](value, wanted)


_COMPARE: Mapping[str, Callable[[str | float, str | float], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,  # type: ignore[operator]
    ">=": lambda a, b: a >= b,  # type: ignore[operator]
    "<": lambda a, b: a < b,  # type: ignore[operator]
    "<=": lambda a, b: a <= b,  # type: ignore[operator]
}
