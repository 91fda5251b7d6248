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


def test_nothing_waits_for_a_program_or_a_network_for_ever() -> None:
    calls = [(where, node) for where, node in _everywhere("src", "tests", "bench") if isinstance(node, ast.Call)]
    waiting = [(where, call) for where, call in calls if _waits(call.func)]
    assert len(waiting) > 50
    assert not [where for where, call in waiting if not any(each.arg in ("timeout", None) for each in call.keywords)]


def _waits(function: ast.expr) -> bool:
    """Whether it starts a program and waits for it, or opens a connection."""
    match function:
        case ast.Attribute(value=ast.Name(id="subprocess"), attr=name):
            return name in ("run", "call", "check_call", "check_output")
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in ("urlopen", "create_connection", "HTTPConnection", "HTTPSConnection")
    return False


def test_no_test_is_skipped_but_by_the_system_that_it_is_about() -> None:
    for where, node in _everywhere("tests"):
        match node:
            case ast.Call(func=ast.Attribute(attr="skipif"), args=[condition, *_]):
                assert ast.unparse(condition) == "sys.platform != 'linux'", where
            case ast.Attribute(value=ast.Name(id="pytest"), attr="skip" | "xfail" | "importorskip"):
                pytest.fail(f"{where}: do it in another real way, or fail saying what is needed")
            case ast.Attribute(value=ast.Attribute(attr="mark"), attr="skip" | "xfail"):
                pytest.fail(f"{where}: a test that does not run tells nothing")


def _everywhere(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    root = SOURCE.parent.parent
    for folder in folders:
        for module in sorted((root / folder).rglob("*.py")):
            if "templates" not in module.relative_to(root).parts:
                for node in ast.walk(ast.parse(module.read_text("utf-8"))):
                    yield f"{module.relative_to(root)}:{getattr(node, 'lineno', 1)}", node


def _imports(module: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def _reaches_inside(room: str, name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "bucle" and len(parts) > 2 and parts[1] in ROOMS and parts[1] != room
