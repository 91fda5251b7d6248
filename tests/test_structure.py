"""The house's own rules, as far as a small program can hold them (style.md, architecture.md)."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "bucle"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "templates" not in path.relative_to(SOURCE).parts)
ROOMS = {path.name for path in SOURCE.iterdir() if path.is_dir()}
COMPOSITION = {"server", "client", "cli"}
NAMELESS = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "base"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_is_short_and_named_for_its_subject(module: Path) -> None:
    assert len(module.read_text("utf-8").splitlines()) <= 600
    assert module.stem not in NAMELESS
    assert ast.get_docstring(ast.parse(module.read_text("utf-8"))), "a module says what it is about"


def test_the_median_module_has_at_most_150_lines() -> None:
    assert statistics.median(len(module.read_text("utf-8").splitlines()) for module in MODULES) <= 150


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_function_is_longer_than_60_lines(module: Path) -> None:
    tree = ast.parse(module.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [f"{node.name}:{node.lineno}" for node in functions if (node.end_lineno or 0) - node.lineno >= 60]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_uses_only_the_faces_of_other_rooms(module: Path) -> None:
    room = module.relative_to(SOURCE).parts[0]
    assert not [f"line {line}: {name}" for line, name in _imports(module) if _reaches_inside(room, name)]


def _imports(module: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def _reaches_inside(room: str, name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "bucle" and len(parts) > 2 and parts[1] in ROOMS and parts[1] != room
