"""Routes of projects: which there are, what they declare, which release each environment runs."""

from dataclasses import dataclass
from pathlib import Path

from bucle.ledger import Scope, UnknownId
from bucle.project import (
    DefinitionRecord,
    EnvironmentPointer,
    RegisteredProject,
    dev_checkout,
    list_environments,
    list_projects,
    load_project_file,
    register_project,
    registered_project,
)
from bucle.server.routing import Body, Call, Route


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project and what its environments run."""

    project: RegisteredProject
    environments: list[EnvironmentPointer]


@dataclass(frozen=True, slots=True)
class DefinitionsView:
    """What the working tree of a project declares now."""

    project: str
    digest: str
    definitions: list[DefinitionRecord]


class Register(Body, frozen=True):
    """The folder of a project's working tree on the server's machine."""

    root: str


def show_projects(call: Call) -> list[RegisteredProject]:
    """Return the projects that the caller may see."""
    with call.house.ledger.read() as reader:
        return [each for each in list_projects(reader) if call.may("project.read", Scope(each.name))]


def show_project(call: Call) -> ProjectView:
    """Return one project."""
    name = call.path["project"]
    with call.house.ledger.read() as reader:
        found = registered_project(reader, name)
        if found is None:
            raise UnknownId(id=name)
        return ProjectView(found, list_environments(reader, name))


def show_definitions(call: Call) -> DefinitionsView:
    """Describe the project's working tree in a child."""
    from bucle.runtimes import load_code

    house = call.house
    code = load_code(house.home, house.runners, dev_checkout(house.home, call.path["project"]))
    return DefinitionsView(code.description.name, code.description.digest, code.description.definitions)


def register(call: Call) -> RegisteredProject:
    """Enter a working tree's project into the ledger; its folder is what `dev` runs."""
    return register_project(call.house.ledger, load_project_file(Path(call.body.root).absolute()), working_tree=True)


ROUTES = [
    Route("GET", "/api/v1/projects", show_projects, "project.read", "List projects", reach="any"),
    Route("POST", "/api/v1/projects", register, "identity.admin", "Register the project in a folder of the server", Register),
    Route("GET", "/api/v1/projects/{project}", show_project, "project.read", "Show a project and its environments"),
    Route("GET", "/api/v1/projects/{project}/definitions", show_definitions, "project.read", "Show what the tree declares"),
]
