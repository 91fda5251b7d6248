"""Every error is raised with the fields that its texts name: a text that cannot be filled in would hide what went wrong."""

import ast
import importlib
import pkgutil
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import bucle
from bucle.errors import CODES, BucleError

SOURCE = Path(bucle.__file__).parent
MODULES = sorted(path for path in SOURCE.rglob("*.py") if "templates" not in path.parts)


@pytest.fixture(scope="module")
def needed() -> dict[str, set[str]]:
    """Return the fields of each error class by its name, with the class's own `__init__` left out."""
    for module in pkgutil.walk_packages(bucle.__path__, "bucle."):
        if module.name.endswith(".errors"):
            importlib.import_module(module.name)
    plain = [kind for kind in CODES.values() if kind.__init__ is BucleError.__init__]
    names = [kind.__name__ for kind in plain]
    return {kind.__name__: _fields(kind.message + kind.next) for kind in plain if names.count(kind.__name__) == 1}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_errors_get_the_fields_that_their_texts_name(module: Path, needed: dict[str, set[str]]) -> None:
    for name, given, line in _raised(module):
        assert needed.get(name, set()) <= given, f"{module}:{line}: {name}"


def _fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def _raised(module: Path) -> Iterator[tuple[str, set[str], int]]:
    """Yield each construction by name with plain keywords; a name that comes from a module of another subject is no error."""
    tree = ast.parse(module.read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    others = {
        each.name for node in imports if (node.module or "").count(".") > 1 for each in node.names if not _of_errors(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in others:
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and all(each.arg for each in node.keywords):
            yield node.func.id, {each.arg for each in node.keywords if each.arg}, node.lineno


def _of_errors(node: ast.ImportFrom) -> bool:
    return (node.module or "").endswith(".errors")
