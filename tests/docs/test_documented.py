"""Whatever a user can see is mentioned in `docs/`: public names, commands, routes, settings, error codes, kinds of event."""

import importlib
import pkgutil
import re
from pathlib import Path

import click
import pytest

import bucle
from bucle.errors import CODES
from bucle.ledger import KINDS

ROOT = Path(__file__).parents[2]
DOCS = "\n".join(page.read_text("utf-8") for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])


@pytest.fixture(scope="session", autouse=True)
def every_room() -> None:
    """Import all errors and events modules, so that the registries are complete."""
    for module in pkgutil.walk_packages(bucle.__path__, "bucle."):
        if module.name.rsplit(".", 1)[-1] in {"errors", "events"}:
            importlib.import_module(module.name)


def test_every_error_code_is_documented() -> None:
    assert sorted(code for code in CODES if code.startswith(ROOMS) and code not in DOCS) == []


def test_every_kind_of_event_is_documented() -> None:
    assert sorted(kind for kind in KINDS if kind.startswith(ROOMS) and kind not in DOCS) == []


def test_every_public_name_is_documented() -> None:
    names = [name for name in bucle.__all__ if not name.startswith("_")]
    assert names
    assert [name for name in names if not re.search(rf"\b(bucle\.)?{name}\b", DOCS)] == []


def test_every_command_is_documented() -> None:
    from bucle.cli import root

    assert [path for path in _commands(root, "bucle") if path not in DOCS] == []


def test_every_route_is_documented() -> None:
    from bucle.server import route_table

    assert sorted({route.path for route in route_table().routes if route.path not in DOCS}) == []


def test_every_environment_variable_is_documented() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert sorted({name for name in re.findall(r"\bBUCLE_[A-Z_]+\b", sources) if name not in DOCS}) == []


ROOMS = tuple(f"{path.name}{mark}" for path in (ROOT / "src" / "bucle").iterdir() for mark in "/.")


def _commands(command: click.Command, path: str) -> list[str]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    found: list[str] = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        found += _commands(child, f"{path} {name}")
    return found
