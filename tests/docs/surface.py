"""What a user of bucle can see, as the code has it: names, commands, routes, error codes, kinds of event."""

import dataclasses
import importlib
import pkgutil
from functools import cache
from pathlib import Path

import click

import bucle
from bucle.errors import CODES, BucleError
from bucle.ledger import KINDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "README.es.md", *sorted(DOCS.rglob("*.md"))]
ROOMS = {path.stem for path in (ROOT / "src" / "bucle").iterdir()} - {"__init__", "__main__", "__pycache__"}


@cache
def _every_room() -> None:
    """Import all modules of errors and events: the registries are complete after it."""
    for module in pkgutil.walk_packages(bucle.__path__, "bucle."):
        if module.name.rsplit(".", 1)[-1] in {"errors", "events"}:
            importlib.import_module(module.name)


def every_code() -> dict[str, type[BucleError]]:
    """Return bucle's own error codes (tests may have defined others)."""
    _every_room()
    return {code: kind for code, kind in CODES.items() if kind.__module__.startswith("bucle.")}


def every_kind() -> dict[str, set[str]]:
    """Return bucle's own kinds of event with their fields."""
    _every_room()
    return {
        kind: {field.name for field in dataclasses.fields(event)}
        for kind, event in KINDS.items()
        if event.__module__.startswith("bucle.")
    }


def public_names() -> list[str]:
    """Return what `import bucle` offers."""
    return [name for name in bucle.__all__ if not name.startswith("_")]


def commands() -> dict[str, click.Command]:
    """Return every command that does something by its whole path, a group that can be called bare among them."""
    from bucle.cli import root

    return {path: command for path, command in _below(root, "bucle").items() if path != "bucle"}


def _below(command: click.Command, path: str) -> dict[str, click.Command]:
    if not isinstance(command, click.Group):
        return {path: command}
    found = {path: command} if command.invoke_without_command else {}
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        found |= _below(child, f"{path} {name}")
    return found
