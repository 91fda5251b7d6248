"""The pages speak of nothing that does not exist: no command, option, route, name, error code or kind of event."""

import importlib
import re
from pathlib import Path

import click
import pytest
from tests.docs.mentions import command_lines, paths, quoted
from tests.docs.surface import DOCS, PAGES, ROOMS, ROOT, commands, every_code, every_kind

from bucle.identity import PERMISSIONS
from bucle.server import route_table

EVERYWHERE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def resolve(words: list[str]) -> tuple[click.Command, list[str]] | None:
    """Return the command that the words call, and what is left of them."""
    from bucle.cli import root

    command: click.Command = root
    for place, word in enumerate(words):
        if not isinstance(command, click.Group) or word.startswith("-"):
            return command, words[place:]
        child = command.get_command(click.Context(command), word)
        if child is None:
            return (command, words[place:]) if command.invoke_without_command and word.isupper() else None
        command = child
    return command, []


def unknown_options(command: click.Command, words: list[str]) -> list[str]:
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    named = [word.strip("[]").split("=")[0] for word in words if re.match(r"\[?--?[a-z]", word)]
    return [word for word in named if word not in known]


@EVERYWHERE
def test_commands_and_their_options_exist(page: Path) -> None:
    wrong = []
    for words in command_lines(page):
        if words[0] in {"COMMAND", "..."}:
            continue
        found = resolve(words)
        if found is None or unknown_options(*found):
            wrong.append(" ".join(["bucle", *words]))
    assert wrong == []


def test_options_in_the_table_of_a_command_are_its_own() -> None:
    known = commands()
    for line in (DOCS / "cli.md").read_text("utf-8").splitlines():
        if not line.startswith("| `bucle "):
            continue
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", line))
        own = {
            option
            for path, command in known.items()
            if f"`{path}" in line
            for parameter in command.params
            for option in parameter.opts
        }
        assert options - own == set(), line


@EVERYWHERE
def test_routes_exist(page: Path) -> None:
    routes = [(route.method, route.path) for route in route_table().routes]
    wrong = [path for method, path in paths(page) if not any(_meets(method, path, route) for route in routes)]
    assert wrong == []
    assert "…/" not in page.read_text("utf-8"), "a route is written out, so that it can be found"


@EVERYWHERE
def test_tables_of_routes_give_the_permission_of_the_route(page: Path) -> None:
    routes = {(route.method, route.path): route.permission for route in route_table().routes}
    wrong = []
    for line in page.read_text("utf-8").splitlines():
        if found := re.match(r"\| `([A-Z]+) ([^`?]+)[^|]*\|.*\| ([a-z]+\.[a-z]+)\b[^|]*\|$", line):
            wrong += [line] if routes.get((found[1], found[2]), found[3]) != found[3] else []
    assert wrong == []


@EVERYWHERE
def test_variables_exist(page: Path) -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    names = re.findall(r"\bBUCLE_[A-Z_]+\b", page.read_text("utf-8"))
    own = [re.sub(r"^BUCLE_ALERTS_.*", "BUCLE_ALERTS_", name) for name in names]  # the rest of it is the project's choice
    assert [name for name in own if name not in sources] == []


@EVERYWHERE
def test_codes_kinds_and_permissions_exist(page: Path) -> None:
    known = every_code().keys() | every_kind().keys() | set(PERMISSIONS)
    rooms = "|".join(ROOMS)
    wrong = []
    for text in quoted(page):
        if re.fullmatch(rf"({rooms})/[a-z]+(-[a-z0-9]+)+", text) and text not in known:
            wrong.append(text)
        if (
            re.fullmatch(rf"({rooms})\.(?!db$|py$|toml$|md$)[a-z_]+", text)
            and text not in known
            and not _importable(f"bucle.{text}")
        ):
            wrong.append(text)
    assert wrong == []


@EVERYWHERE
def test_names_of_the_package_exist(page: Path) -> None:
    names = set(re.findall(r"\bbucle(?:\.[A-Za-z_]\w*)+", page.read_text("utf-8")))
    files = {"bucle.toml", "bucle.git", "bucle.yml"}
    assert sorted(name for name in names - files if not _importable(name)) == []


def _meets(method: str | None, path: str, route: tuple[str, str]) -> bool:
    """Whether the path is one of the route's, or, ending with a slash or as a repository, the beginning of one."""
    if method is not None and method != route[0]:
        return False
    if path.endswith("/"):
        return route[1].startswith(path)
    if path.startswith("/git/") and path.count("/") == 2:
        path += "/info/refs"
    parts = [
        re.escape(part) if not part.startswith("{") else (".+" if part.endswith("*}") else "[^/]+")
        for part in route[1].split("/")
    ]
    return re.fullmatch("/".join(parts), path) is not None


def _importable(name: str) -> bool:
    parts = name.split(".")
    value: object = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], 2):
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(".".join(parts[:place]))
            except ImportError:
                return False
    return True
