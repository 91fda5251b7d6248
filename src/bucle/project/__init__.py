"""Projects: bucle.toml, the charter, what a project declares, its files at a commit, and how a new one is made.

What makes projects is imported when it is asked for: a child process and a server seldom need it.
"""

from typing import TYPE_CHECKING, Any

from bucle.project.alert_routes import ALERT_KINDS, AlertRoute, Mail, is_web_address, variable_prefix
from bucle.project.canonical import NotCanonical, canonical_bytes, digest_of
from bucle.project.charter import Charter, Criterion, Task, parse_criterion
from bucle.project.checkouts import LOCK_NAME, Checkout, export_commit, working_tree
from bucle.project.closure import Closure, code_closure
from bucle.project.definitions import Definition, Definitions, declared_here
from bucle.project.description import DefinitionRecord, DescribeRequest, ProjectDescription, describe, describe_in_child
from bucle.project.errors import ClockChosen, ImportFailed, NoProjectFile, UnknownDefinition
from bucle.project.file import DEV, Environment, ProjectFile, is_project_name, load_project_file
from bucle.project.git import git_command, git_environment, resolve_commit, run_git
from bucle.project.loading import describe_exception, load_definitions, user_line
from bucle.project.loads import USUAL_LOAD, LoadTerms
from bucle.project.nearest import nearest, suggest
from bucle.project.registration import (
    EnvironmentPointer,
    RegisteredProject,
    current_release,
    dev_checkout,
    list_environments,
    list_projects,
    point_environment,
    project_folder,
    register_project,
    registered_project,
)
from bucle.project.rollouts import ALL_AT_ONCE, Mode, RolloutPolicy, Step
from bucle.project.toml_lines import line_of

if TYPE_CHECKING:
    from bucle.project.making import MadeProject, TableRequest, create_from_table, create_project
    from bucle.project.templating import template_names

_LATER = {
    "MadeProject": "making",
    "TableRequest": "making",
    "create_from_table": "making",
    "create_project": "making",
    "template_names": "templating",
}

__all__ = [
    "ALERT_KINDS",
    "ALL_AT_ONCE",
    "DEV",
    "LOCK_NAME",
    "USUAL_LOAD",
    "AlertRoute",
    "Charter",
    "Checkout",
    "ClockChosen",
    "Closure",
    "Criterion",
    "Definition",
    "DefinitionRecord",
    "Definitions",
    "DescribeRequest",
    "Environment",
    "EnvironmentPointer",
    "ImportFailed",
    "LoadTerms",
    "MadeProject",
    "Mail",
    "Mode",
    "NoProjectFile",
    "NotCanonical",
    "ProjectDescription",
    "ProjectFile",
    "RegisteredProject",
    "RolloutPolicy",
    "Step",
    "TableRequest",
    "Task",
    "UnknownDefinition",
    "canonical_bytes",
    "code_closure",
    "create_from_table",
    "create_project",
    "current_release",
    "declared_here",
    "describe",
    "describe_exception",
    "describe_in_child",
    "dev_checkout",
    "digest_of",
    "export_commit",
    "git_command",
    "git_environment",
    "is_project_name",
    "is_web_address",
    "line_of",
    "list_environments",
    "list_projects",
    "load_definitions",
    "load_project_file",
    "nearest",
    "parse_criterion",
    "point_environment",
    "project_folder",
    "register_project",
    "registered_project",
    "resolve_commit",
    "run_git",
    "suggest",
    "template_names",
    "user_line",
    "variable_prefix",
    "working_tree",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    return value
