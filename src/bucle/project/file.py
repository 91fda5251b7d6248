"""bucle.toml: what a project is called, why it exists, and what differs between its environments."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from bucle.errors import BucleError
from bucle.ledger import parse_duration
from bucle.project.charter import TASKS, Charter, parse_criterion
from bucle.project.errors import (
    BadName,
    BadToml,
    BadValue,
    MissingKey,
    NoProjectFile,
    UnknownEnvironment,
    UnknownKey,
    WrongType,
)
from bucle.project.nearest import nearest
from bucle.project.rollouts import ALL_AT_ONCE, STRATEGIES, RolloutPolicy
from bucle.project.toml_lines import line_of

Deploy = Literal["automatic", "reviewed", "approved"]
Setting = str | int | float | bool

FILE_NAME = "bucle.toml"
DEV = "dev"
_DEPLOYS: tuple[Deploy, ...] = ("automatic", "reviewed", "approved")
_STEPWISE = ("strategy", "requests", "hold", "within")
_LOOKED_AT = {
    "all at once": ("strategy",),
    "shadow": (*_STEPWISE, "labels"),
    "canary": (*_STEPWISE, "steps"),
    "shadow, canary": (*_STEPWISE, "labels", "steps"),
}
"""The keys of a rollout by its strategy."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_TYPE_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment of a project: how releases and model versions get there, its own settings, where its sources lie."""

    name: str
    deploy: Deploy = "automatic"
    settings: Mapping[str, Setting] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    rollout: RolloutPolicy = ALL_AT_ONCE


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A project's bucle.toml, read and checked. `environments` holds those that releases reach; `dev` is the working tree."""

    name: str
    definitions: str
    charter: Charter
    environments: Mapping[str, Environment]
    path: Path
    dev: Environment = Environment(DEV)

    @property
    def root(self) -> Path:
        """The folder of the project."""
        return self.path.parent

    def environment(self, name: str) -> Environment:
        """Return an environment by name, `dev` among them. Raises `project/unknown-environment`."""
        if name == DEV:
            return self.dev
        if name not in self.environments:
            near = nearest(name, [DEV, *self.environments])
            raise UnknownEnvironment(project=self.name, name=name, near=near, where=str(self.path))
        return self.environments[name]


def is_project_name(name: str) -> bool:
    """Whether a text can name a project: it ends up in paths, URLs and git remotes."""
    return _NAME.fullmatch(name) is not None


def load_project_file(root: Path) -> ProjectFile:
    """Read and check the bucle.toml in `root`.

    Raises `project/no-project-file`, `project/bad-toml`, `project/unknown-key`, `project/missing-key`,
    `project/wrong-type`, `project/bad-value`, `project/bad-criterion`, `project/bad-name`, all with the line.
    """
    path = root / FILE_NAME
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoProjectFile(root=root, where=str(path)) from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise BadToml(reason=reason, where=f"{path}:{found[1] if found else len(text.splitlines())}") from error
    return _project_file(_Table(document, (), text, path))


class _Table:
    """A table of the file that gives out its keys by type, and knows where each stands."""

    def __init__(self, values: Mapping[str, Any], path: tuple[str, ...], text: str, file: Path) -> None:
        self.values, self.path, self._text, self._file = values, path, text, file

    def where(self, *keys: str) -> str:
        return f"{self._file}:{line_of(self._text, self.path + keys)}"

    def name(self, key: str) -> str:
        return ".".join((*self.path, key))

    def only(self, *known: str) -> None:
        for key in self.values:
            if key not in known:
                raise UnknownKey(key=self.name(key), near=nearest(key, known), where=self.where(key))

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = None, wanted: str | None = None) -> Any:
        if key not in self.values:
            return default
        value = self.values[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            found = _TYPE_NAMES.get(type(value), type(value).__name__)
            raise WrongType(key=self.name(key), wanted=wanted or _TYPE_NAMES[kinds[0]], found=found, where=self.where(key))
        return value

    def text(self, key: str, default: str = "") -> str:
        value: str = self.get(key, str, default)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self.items(key, str, "a list of texts"))

    def items(self, key: str, kind: type, wanted: str) -> list[Any]:
        values: list[Any] = self.get(key, list, [], wanted)
        for value in values:
            if not isinstance(value, kind) or isinstance(value, bool):
                found = f"a list with {_TYPE_NAMES.get(type(value), type(value).__name__)}"
                raise WrongType(key=self.name(key), wanted=wanted, found=found, where=self.where(key))
        return values

    def choice(self, key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
        if value not in allowed:
            raise BadValue(key=self.name(key), value=value, allowed=", ".join(map(str, allowed)), where=self.where(key))
        return value

    def table(self, key: str) -> "_Table":
        return _Table(self.get(key, dict, {}), (*self.path, key), self._text, self._file)

    def tables(self) -> "Iterator[tuple[str, _Table]]":
        return ((key, self.table(key)) for key in self.values)


def _project_file(document: _Table) -> ProjectFile:
    document.only("project", "charter", "environments")
    project = document.table("project")
    project.only("name", "definitions")
    name = project.text("name")
    if not name:
        raise MissingKey(key="project.name", example='[project] name = "flights"', where=document.where("project"))
    if not is_project_name(name):
        raise BadName(name=name, where=project.where("name"))
    definitions = project.text("definitions", name.replace("-", "_"))
    if not _MODULE.fullmatch(definitions):
        allowed = "the name of a package or module"
        raise BadValue(key="project.definitions", value=definitions, allowed=allowed, where=project.where("definitions"))
    every = {key: _environment(key, table) for key, table in document.table("environments").tables()}
    dev = every.pop(DEV, Environment(DEV))
    return ProjectFile(name, definitions, _charter(document.table("charter")), every, document._file, dev)


def _charter(table: _Table) -> Charter:
    table.only("problem", "task", "success", "owner", "data", "architecture")
    task = table.get("task", str)
    return Charter(
        problem=table.text("problem"),
        task=None if task is None else table.choice("task", task, TASKS),
        success=tuple(parse_criterion(text, table.where("success")) for text in table.texts("success")),
        owner=table.text("owner"),
        data=table.texts("data"),
        architecture=_inside(table, "architecture"),
    )


def _inside(table: _Table, key: str) -> str | None:
    path: str | None = table.get(key, str)
    if path is not None and (Path(path).is_absolute() or ".." in Path(path).parts):
        raise BadValue(key=table.name(key), value=path, allowed="a path inside the project", where=table.where(key))
    return path


def _environment(name: str, table: _Table) -> Environment:
    if not is_project_name(name):
        raise BadName(name=name, where=table.where())
    table.only(*(("settings", "sources") if name == DEV else ("deploy", "rollout", "settings", "sources")))
    settings, sources = table.table("settings"), table.table("sources")
    wanted = "a text, a number, true or false"
    return Environment(
        name=name,
        deploy=table.choice("deploy", table.text("deploy", "automatic"), _DEPLOYS),
        settings={key: settings.get(key, (str, int, float, bool), wanted=wanted) for key in settings.values},
        sources={key: sources.text(key) for key in sources.values},
        rollout=_rollout(table.table("rollout")) if "rollout" in table.values else ALL_AT_ONCE,
    )


def _rollout(table: _Table) -> RolloutPolicy:
    """Read what a new version must show; a key that the strategy would not look at is refused."""
    table.only("strategy", "steps", "requests", "labels", "hold", "within")
    strategy = table.choice("strategy", table.text("strategy", "shadow, canary"), STRATEGIES)
    table.only(*_LOOKED_AT[strategy])
    plain = RolloutPolicy()
    return RolloutPolicy(
        strategy=strategy,
        steps=_shares(table) if "steps" in table.values else plain.steps,
        requests=_count(table, "requests", plain.requests, 1),
        labels=_count(table, "labels", plain.labels, 0),
        hold=_duration(table, "hold", plain.hold),
        within=_duration(table, "within", plain.within),
    )


def _shares(table: _Table) -> tuple[int, ...]:
    shares = table.items("steps", int, "a list of whole numbers")
    if not shares or shares != sorted(set(shares)) or shares[0] < 1 or shares[-1] != 100:
        allowed = "growing percents that end with 100, such as [10, 50, 100]"
        raise BadValue(key=table.name("steps"), value=shares, allowed=allowed, where=table.where("steps"))
    return tuple(shares)


def _count(table: _Table, key: str, default: int, least: int) -> int:
    value: int = table.get(key, int, default)
    if value < least:
        raise BadValue(key=table.name(key), value=value, allowed=f"at least {least}", where=table.where(key))
    return value


def _duration(table: _Table, key: str, default: timedelta) -> timedelta:
    if key not in table.values:
        return default
    text = table.text(key)
    try:
        return parse_duration(text)
    except BucleError:
        raise BadValue(key=table.name(key), value=text, allowed='a time such as "36h"', where=table.where(key)) from None
