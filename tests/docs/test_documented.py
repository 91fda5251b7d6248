"""Whatever a user can see is mentioned in `docs/`: public names, commands, routes, settings, error codes, kinds of event."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from tests.docs.surface import DOCS, PAGES, ROOMS, ROOT, commands, every_code, every_kind, public_names
from tests.docs.write_routes import PAGE, written

import bucle
from bucle.delivery.checks import CHECKS
from bucle.identity import ROLES
from bucle.project import load_project_file

TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)


def test_every_error_code_has_its_section() -> None:
    headings = set(re.findall(r"^### (\S+)$", (DOCS / "errors.md").read_text("utf-8"), re.MULTILINE))
    assert headings == every_code().keys()


def test_every_kind_of_event_has_its_row_with_its_fields() -> None:
    rows = {}
    for line in (DOCS / "events.md").read_text("utf-8").splitlines():
        if found := re.match(r"\| `([a-z]+\.[a-z_]+)` \|", line):
            assert found[1] not in rows, f"{found[1]} has two rows"
            rows[found[1]] = set(re.findall(r"\w+", line.rsplit("|", 2)[1]))
    kinds = every_kind()
    assert rows.keys() == kinds.keys()
    assert {kind: fields - rows[kind] for kind, fields in kinds.items() if fields - rows[kind]} == {}


def test_every_public_name_is_documented() -> None:
    assert [name for name in public_names() if not re.search(rf"\b(bucle\.)?{name}\b", TEXT)] == []


def test_the_page_of_python_has_every_name_and_every_way_of_a_client() -> None:
    page = (DOCS / "python.md").read_text("utf-8")
    tables, client = page.split("| of a client |")
    rows = re.findall(r"^\| (`bucle\.[^|]*) \|", tables, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`bucle\.(\w+)`", row)) == sorted(public_names())
    assert [name for name in vars(bucle.Client) if not name.startswith("_") and f"`{name}" not in client] == []


def test_every_command_is_documented_with_its_options() -> None:
    assert [path for path in commands() if not re.search(rf"{path}\b", TEXT)] == []
    options = {
        option for command in commands().values() for each in command.params for option in each.opts if option[:2] == "--"
    }
    assert sorted(option for option in options if not re.search(rf"{option}\b", TEXT)) == []


def test_the_page_of_routes_is_the_route_table() -> None:
    assert PAGE.read_text("utf-8") == written(), "write it again: python -m tests.docs.write_routes"


def test_every_environment_variable_is_documented() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert sorted({name for name in re.findall(r"\bBUCLE_[A-Z_]+\b", sources) if name not in TEXT}) == []


def test_every_key_of_the_project_file_stands_in_a_file_that_loads(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", (DOCS / "project.md").read_text("utf-8"), re.DOTALL)
    assert example
    (tmp_path / "bucle.toml").write_text(example[1], "utf-8")
    load_project_file(tmp_path)
    tree = ast.parse((ROOT / "src" / "bucle" / "project" / "file.py").read_text("utf-8"))
    read = {
        constant.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "only"
        for argument in call.args
        for constant in ast.walk(argument)
        if isinstance(constant, ast.Constant)
    }
    assert {"name", "success", "deploy", "settings", "sources"} <= read
    assert read - _keys(tomllib.loads(example[1])) == set()


@pytest.mark.parametrize("folder", ["", "decisions"])
def test_the_index_names_every_page(folder: str) -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    pages = {str(page.relative_to(DOCS)) for page in (DOCS / folder).glob("*.md")} - {"README.md"}
    assert pages
    assert sorted(page for page in pages if f"({page}" not in index) == []


def test_the_index_names_the_rooms_from_top_to_bottom() -> None:
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [layer.strip("()").removeprefix("bucle.") for layer in layers]
    rows = re.findall(r"^\| (`[^|]*`) \|", (DOCS / "README.md").read_text("utf-8"), re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == rooms


def test_every_role_has_its_row() -> None:
    rows = re.findall(r"^\| `([a-z_]+)`", (DOCS / "identity.md").read_text("utf-8"), re.MULTILINE)
    assert set(rows) == ROLES.keys()


def test_every_check_has_its_row_with_kind_and_tag() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| (\w+) \| ([\w-]*) ?\|$", (DOCS / "delivery.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [(check.name, check.kind, check.tag or "") for check in CHECKS]


def test_the_changes_name_every_room() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert sorted(room for room in ROOMS - {"errors", "messages", "version", "py"} if f"**{room}**" not in changes) == []


def test_decisions_have_the_number_of_their_file() -> None:
    for page in (DOCS / "decisions").glob("*.md"):
        number, _, words = page.stem.partition("-")
        title = page.read_text("utf-8").splitlines()[0]
        heading = re.fullmatch(rf"# {int(number)}\. (.+)", title)
        assert heading, title
        assert set(words.split("-")) <= set(re.findall(r"[a-z]+", heading[1].lower())), (words, heading[1])


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    page = (DOCS / "dependencies.md").read_text("utf-8")
    core, rest = page.split("## Extras")
    extras, development = rest.split("## Development")

    def names(requirements: list[str]) -> list[str]:
        return [name for each in requirements if (name := re.split(r"[^\w-]", each)[0]) != "bucle"]

    assert [name for name in names(project["project"]["dependencies"]) if f"\n| {name} |" not in core] == []
    for extra, requirements in project["project"]["optional-dependencies"].items():
        assert [name for name in names(requirements) if f"\n| {extra} | {name} |" not in extras] == []
    assert [name for name in names(project["dependency-groups"]["dev"]) if not re.search(rf"\b{name}\b", development)] == []
    listed = set(re.findall(r"^\| ([\w-]+) \|", core, re.MULTILINE)) - {"package"}
    assert listed == set(names(project["project"]["dependencies"]))


def _keys(table: dict[str, object]) -> set[str]:
    return set(table).union(*(_keys(value) for value in table.values() if isinstance(value, dict)))
