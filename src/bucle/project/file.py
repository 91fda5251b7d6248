"""bucle.toml: what a project is called, why it exists, and what differs between its environments."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from bucle.errors import BucleError
from bucle.ledger import parse_duration
from bucle.project.alert_routes import AlertRoute, read_alert_routes
from bucle.project.charter import TASKS, Charter, parse_criterion
from bucle.project.errors import (
    BadName,
    BadToml,
    BadValue,
    MissingKey,
    NoProjectFile,
    UnknownEnvironment,
)
from bucle.project.loads import MOST_REQUESTS, USUAL_LOAD, LoadTerms
from bucle.project.nearest import nearest
from bucle.project.rollouts import ALL_AT_ONCE, STRATEGIES, RolloutPolicy
from bucle.project.toml_tables import TomlTable

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


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment of a project: how releases and model versions get there, its own settings, where its sources lie."""

    name: str
    deploy: Deploy = "automatic"
    settings: Mapping[str, Setting] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    rollout: RolloutPolicy = ALL_AT_ONCE
    load: LoadTerms = USUAL_LOAD


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A project's bucle.toml, read and checked. `environments` holds those that releases reach; `dev` is the working tree.

    `alerts` are the routes by which alerts leave the house.
    """

    name: str
    definitions: str
    charter: Charter
    environments: Mapping[str, Environment]
    path: Path
    dev: Environment = Environment(DEV)
    alerts: Mapping[str, AlertRoute] = field(default_factory=dict)

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
    return _project_file(TomlTable(document, (), text, path))


def _project_file(document: TomlTable) -> ProjectFile:
    document.only("project", "charter", "environments", "alerts")
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
    alerts = read_alert_routes(document.table("alerts"), name, (DEV, *every))
    return ProjectFile(name, definitions, _charter(document.table("charter")), every, document.file, dev, alerts)


def _charter(table: TomlTable) -> Charter:
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


def _inside(table: TomlTable, key: str) -> str | None:
    path: str | None = table.get(key, str)
    if path is not None and (Path(path).is_absolute() or ".." in Path(path).parts):
        raise BadValue(key=table.name(key), value=path, allowed="a path inside the project", where=table.where(key))
    return path


def _environment(name: str, table: TomlTable) -> Environment:
    if not is_project_name(name):
        raise BadName(name=name, where=table.where())
    table.only(*(("settings", "sources") if name == DEV else ("deploy", "rollout", "load", "settings", "sources")))
    settings, sources = table.table("settings"), table.table("sources")
    wanted = "a text, a number, true or false"
    return Environment(
        name=name,
        deploy=table.choice("deploy", table.text("deploy", "automatic"), _DEPLOYS),
        settings={key: settings.get(key, (str, int, float, bool), wanted=wanted) for key in settings.values},
        sources={key: sources.text(key) for key in sources.values},
        rollout=_rollout(table.table("rollout")) if "rollout" in table.values else ALL_AT_ONCE,
        load=_load(table.table("load")),
    )


def _rollout(table: TomlTable) -> RolloutPolicy:
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


def _load(table: TomlTable) -> LoadTerms:
    table.only("rate", "p99_ms", "growth_kb")
    usual = LoadTerms()
    rate = _count(table, "rate", usual.rate, 1)
    if rate > MOST_REQUESTS:
        allowed = f"at most {MOST_REQUESTS}"
        raise BadValue(key=table.name("rate"), value=rate, allowed=allowed, where=table.where("rate"))
    return LoadTerms(rate, _count(table, "p99_ms", usual.p99_ms, 1), _count(table, "growth_kb", usual.growth_kb, 0))


def _shares(table: TomlTable) -> tuple[int, ...]:
    shares = table.items("steps", int, "a list of whole numbers")
    if not shares or shares != sorted(set(shares)) or shares[0] < 1 or shares[-1] != 100:
        allowed = "growing percents that end with 100, such as [10, 50, 100]"
        raise BadValue(key=table.name("steps"), value=shares, allowed=allowed, where=table.where("steps"))
    return tuple(shares)


def _count(table: TomlTable, key: str, default: int, least: int) -> int:
    value: int = table.get(key, int, default)
    if value < least:
        raise BadValue(key=table.name(key), value=value, allowed=f"at least {least}", where=table.where(key))
    return value


def _duration(table: TomlTable, key: str, default: timedelta) -> timedelta:
    if key not in table.values:
        return default
    text = table.text(key)
    try:
        return parse_duration(text)
    except BucleError:
        raise BadValue(key=table.name(key), value=text, allowed='a time such as "36h"', where=table.where(key)) from None
