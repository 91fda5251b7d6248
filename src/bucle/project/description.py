"""A project's definitions as data: what the server knows of them without running the project's code."""

from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from bucle.ledger import content_id
from bucle.project.definitions import Definitions
from bucle.project.errors import UnknownDefinition
from bucle.project.file import load_project_file
from bucle.project.nearest import suggest

T = TypeVar("T")


class DefinitionRecord(msgspec.Struct, frozen=True):
    """One definition: kind, name, place (file relative to the project) and its kind's own spec."""

    kind: str
    name: str
    file: str
    line: int
    spec: dict[str, Any]

    @property
    def where(self) -> str:
        """File and line of the declaration."""
        return f"{self.file}:{self.line}"


class ProjectDescription(msgspec.Struct, frozen=True):
    """Everything that a project declares. `digest` changes with the definitions, not with their line numbers."""

    name: str
    definitions: list[DefinitionRecord]
    digest: str

    def of(self, kind: str) -> list[DefinitionRecord]:
        """Return the records of one kind in the order of their declaration."""
        return [record for record in self.definitions if record.kind == kind]

    def get(self, kind: str, name: str) -> DefinitionRecord:
        """Return one record. Raises `project/unknown-definition` naming the nearest."""
        records = self.of(kind)
        for record in records:
            if record.name == name:
                return record
        raise UnknownDefinition(kind=kind, name=name, hint=suggest(name, (record.name for record in records)))

    def specs(self, kind: str, type: type[T]) -> list[T]:
        """Return the specs of one kind, read as `type`."""
        return [msgspec.convert(record.spec, type) for record in self.of(kind)]

    def spec(self, kind: str, name: str, type: type[T]) -> T:
        """Return the spec of one definition, read as `type`. Raises `project/unknown-definition`."""
        return msgspec.convert(self.get(kind, name).spec, type)


class DescribeRequest(msgspec.Struct, frozen=True):
    """Asks a child for the description of its project."""


class HasProject(Protocol):
    """What `describe_in_child` needs of a child process: the project's folder and its definitions."""

    @property
    def root(self) -> Path: ...
    def definitions(self) -> Definitions: ...


def describe_in_child(payload: DescribeRequest, child: HasProject) -> ProjectDescription:
    """Entry point of a child: import the project and say what it declares."""
    return describe(load_project_file(child.root).name, child.root, child.definitions())


def describe(name: str, root: Path, definitions: Definitions) -> ProjectDescription:
    """Return the description of a project's definitions."""
    records = [
        DefinitionRecord(each.kind, each.name, _relative(each.file, root), each.line, msgspec.to_builtins(each.spec()))
        for each in definitions
    ]
    without_places = sorted((record.kind, record.name, _unplaced(record.spec)) for record in records)
    return ProjectDescription(name, records, content_id(msgspec.json.encode(without_places, order="sorted")))


def _unplaced(spec: dict[str, Any]) -> str:
    kept = {key: value for key, value in spec.items() if key not in ("file", "line")}
    return msgspec.json.encode(kept, order="sorted").decode()


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root.absolute())) if path.is_relative_to(root.absolute()) else file
