"""A graph of steps laid out in layers, left to right: a step stands one column after the last of those that it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

_COLUMN, _ROW, _WIDTH, _HEIGHT = 220, 64, 176, 42
_TONES = {"done": "good", "failed": "bad", "running": "warn", "waiting": "quiet", "skipped": "quiet", "cancelled": "quiet"}


@dataclass(frozen=True, slots=True)
class Node:
    """A step as a box, its top left corner in the picture's units."""

    id: str
    name: str
    tone: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes and the curves between them, as SVG paths."""

    width: int
    height: int
    nodes: list[Node]
    paths: list[str]


def layered(steps: Sequence[tuple[str, str, str, Sequence[str]]]) -> Graph:
    """Lay out (id, name, state, needs) in the order in which they were planned, so that needs stand before.

    A need that another need has already is not drawn: the way through that one says it.
    """
    column: dict[str, int] = {}
    height: dict[int, int] = {}
    nodes: dict[str, Node] = {}
    for id, name, state, needs in steps:
        column[id] = max((column[need] + 1 for need in needs if need in column), default=0)
        row = height[column[id]] = height.get(column[id], -1) + 1
        nodes[id] = Node(id, name, _TONES.get(state, "quiet"), 10 + column[id] * _COLUMN, 10 + row * _ROW)
    before = _before(steps)
    paths = [
        _curve(nodes[need], nodes[id])
        for id, _, _, needs in steps
        for need in dict.fromkeys(needs)
        if need in nodes and not any(need in before.get(other, ()) for other in needs)
    ]
    width = (max(column.values(), default=0) + 1) * _COLUMN
    return Graph(width, (max(height.values(), default=0) + 1) * _ROW + 10, list(nodes.values()), paths)


def _before(steps: Sequence[tuple[str, str, str, Sequence[str]]]) -> dict[str, set[str]]:
    """Return all that each step needs, through others too."""
    before: dict[str, set[str]] = {}
    for id, _, _, needs in steps:
        before[id] = {*needs, *(earlier for need in needs for earlier in before.get(need, ()))}
    return before


def _curve(source: Node, target: Node) -> str:
    x1, y1, x2, y2 = source.x + _WIDTH, source.y + _HEIGHT // 2, target.x - 4, target.y + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
