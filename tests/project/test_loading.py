"""What a project declares is found, named and placed; what is wrong with it is said with its line."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

import bucle.project
from bucle.errors import BucleError
from bucle.project import Definition, Definitions, UnknownDefinition, describe, load_definitions, load_project_file, nearest
from bucle.project.errors import DuplicateDefinition, ImportFailed, NoDefinitions, UnnamedDefinition


class ThingSpec(msgspec.Struct, frozen=True):
    name: str
    size: int
    file: str
    line: int


@dataclass(frozen=True, eq=False)
class Thing(Definition):
    """A kind of definition as a room has it."""

    kind: ClassVar[str] = "thing"
    size: int
    name: str = ""

    def spec(self) -> ThingSpec:
        return ThingSpec(self.required_name(), self.size, self.file, self.line)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose package can declare things; what it imports is forgotten afterwards."""
    (tmp_path / "bucle.toml").write_text('[project]\nname = "p"\ndefinitions = "thepackage"\n')
    (tmp_path / "thepackage").mkdir()
    monkeypatch.setattr(bucle.project, "Thing", Thing, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("thepackage", "onemodule")]:
        del sys.modules[name]


def load(root: Path, **modules: str) -> Definitions:
    for name, code in modules.items():
        (root / "thepackage" / f"{name}.py").write_text("from bucle.project import Thing\n" + code)
    return load_definitions(root, load_project_file(root))


def test_names_come_from_variables_unless_given(root: Path) -> None:
    found = load(root, __init__="first = Thing(1)\nsecond = Thing(2, 'other')\nsame = first\n")
    assert [(thing.name, thing.line) for thing in found] == [("first", 2), ("other", 3)]
    assert found.get(Thing, "other").size == 2
    assert found.of("thing") == found.of(Thing) == list(found)
    assert found.get("thing", "first").where == f"{root}/thepackage/__init__.py:2"


def test_submodules_are_read_too_and_names_come_from_where_a_thing_was_declared(root: Path) -> None:
    found = load(
        root,
        __init__="from thepackage.deep import here as renamed\n",
        deep="here = Thing(1)\n",
        more="here2 = Thing(2)\n",
        test_more="raise SystemExit\n",
    )
    assert [thing.name for thing in found] == ["here", "here2"]


def test_one_module_is_enough(root: Path) -> None:
    (root / "bucle.toml").write_text('[project]\nname = "p"\ndefinitions = "onemodule"\n')
    (root / "src").mkdir()
    (root / "src" / "onemodule.py").write_text("from bucle.project import Thing\nit = Thing(1)\n")
    assert [thing.name for thing in load(root)] == ["it"]


def test_two_of_a_name_are_refused_with_both_places(root: Path) -> None:
    with pytest.raises(DuplicateDefinition) as caught:
        load(root, __init__="one = Thing(1)\ntwo = Thing(2, 'one')\n")
    assert caught.value.where == f"{root}/thepackage/__init__.py:3"
    assert f"{root}/thepackage/__init__.py:2" in caught.value.text


def test_a_misspelt_name_is_answered_with_the_nearest(root: Path) -> None:
    found = load(root, __init__="train_delay = Thing(1)\nweather = Thing(2)\n")
    with pytest.raises(UnknownDefinition) as caught:
        found.get("thing", "train_dleay")
    assert caught.value.next_step == "The nearest: train_delay."
    with pytest.raises(UnknownDefinition):
        describe("p", root, found).get("thing", "wether")


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("x = 1\n1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("def f(:\n", 2, "SyntaxError"),
        ("import nowhere_to_be_found\n", 2, "No module named 'nowhere_to_be_found'"),
        ("raise SystemExit(3)\n", 2, "SystemExit: 3"),
        ("from bucle.project import Thnig\n", 2, "cannot import name 'Thnig'"),
        ("import json\njson.loads('{')\n", 3, "JSONDecodeError"),
    ],
)
def test_a_package_that_cannot_be_imported_is_said_with_its_line(root: Path, code: str, line: int, said: str) -> None:
    with pytest.raises(ImportFailed) as caught:
        load(root, __init__=code)
    assert caught.value.where == f"thepackage/__init__.py:{line}"
    assert said in caught.value.text
    assert "Traceback" not in caught.value.text


def test_a_coded_error_of_a_declaration_gets_the_line_of_the_declaration(root: Path) -> None:
    with pytest.raises(BucleError) as caught:
        load(root, __init__="from bucle.ledger import parse_duration\nit = Thing(parse_duration('3 lightyears'))\n")
    assert (caught.value.code, caught.value.where) == ("ledger/bad-duration", "thepackage/__init__.py:3")


def test_a_package_that_is_not_there_is_said_with_the_line_of_bucle_toml(root: Path) -> None:
    (root / "bucle.toml").write_text('[project]\nname = "p"\ndefinitions = "thepakage"\n')
    with pytest.raises(NoDefinitions) as caught:
        load(root)
    assert caught.value.where == f"{root}/bucle.toml:3"


def test_a_definition_without_a_name_cannot_be_referred_to() -> None:
    with pytest.raises(UnnamedDefinition) as caught:
        Thing(1).spec()
    assert caught.value.where is not None
    assert caught.value.where.startswith(__file__)


def test_the_description_is_the_same_wherever_the_lines_stand(root: Path) -> None:
    first = describe("p", root, load(root, __init__="one = Thing(1)\n"))
    assert first.specs("thing", ThingSpec)[0].size == 1
    assert first.get("thing", "one").where == "thepackage/__init__.py:2"
    del sys.modules["thepackage"]
    moved = describe("p", root, load(root, __init__="\n\n\none = Thing(1)\n"))
    assert moved.digest == first.digest
    del sys.modules["thepackage"]
    assert describe("p", root, load(root, __init__="one = Thing(10)\n")).digest != first.digest


def test_the_nearest_names_come_first_and_all_of_them_where_none_is_near() -> None:
    assert nearest("wnd_speed", ["visibility", "wind_speed"]) == "wind_speed"
    assert nearest("ORIGIN", ["origin", "carrier"]) == "origin"
    assert nearest("zzz", ["b", "a"]) == "a, b"
    assert nearest("zzz", []) == "none"
