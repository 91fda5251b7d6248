"""Making a project: from a template, or for somebody's own table. It appears whole or not at all."""

import getpass
import importlib.metadata
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from keyword import iskeyword, issoftkeyword
from pathlib import Path

from bucle.project.errors import BadName, DirectoryTaken
from bucle.project.file import ProjectFile, is_project_name, load_project_file
from bucle.project.flights_data import write_flights
from bucle.project.git import run_git
from bucle.project.tables import read_table
from bucle.project.templating import TABLE, check_template, write_template
from bucle.version import __version__

Lock = Callable[[Path], object]
DATA: Mapping[str, Callable[[Path], None]] = {"flights": write_flights}
"""The templates that come with data, and what writes it below the project's folder."""

_RESERVED = {"bucle", "pl", "fit", "train", "examples", "service", "watch", "raw", "data", "tests", "schemas", "docs"}
_FIRST_COMMIT = "Begin the project"


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Somebody's own table: a Parquet or CSV file, the column to predict, and, if known, those of moment and key."""

    file: Path
    label: str
    time: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class MadeProject:
    """A project that was made: its file, its first commit, and from when a replay clock would show all of its rows."""

    file: ProjectFile
    commit: str
    newest: datetime | None = None


def create_project(directory: Path, template: str, *, lock: Lock, name: str | None = None) -> MadeProject:
    """Make a project from a template in `directory`, which must be empty or absent. `lock` is called with its folder and
    makes its requirements.lock (`runtimes.lock_requirements`).

    Raises `project/unknown-template`, `project/directory-taken`, `project/bad-name`, `project/template-needs`, and what
    `lock` raises; then nothing is left behind.
    """
    check_template(template)
    name = _project_name(directory, name)

    def fill(folder: Path) -> None:
        write_template(template, folder, _marks(name))
        if template in DATA:
            DATA[template](folder)

    return _make(directory, fill, lock)


def create_from_table(directory: Path, request: TableRequest, *, lock: Lock, name: str | None = None) -> MadeProject:
    """Make a project that predicts a column of somebody's own table, with typed definitions written out, ready to edit.

    The rows are copied to `data/` as Parquet. Raises as `create_project` does, and `project/unreadable-table`,
    `project/unknown-column`, `project/unfit-column`.
    """
    name = _project_name(directory, name)
    table = read_table(request.file, request.label, request.time, request.key)
    marks = _marks(name)
    source = _python_name(request.file.stem, "rows", {marks["package"]})

    def fill(folder: Path) -> None:
        write_template(TABLE, folder, {**marks, "source": source, "model": _model_name(request.label), **table.marks()})
        target = folder / "data" / source
        target.mkdir(parents=True)
        table.write(target / f"{source}.parquet")

    made = _make(directory, fill, lock)
    return MadeProject(made.file, made.commit, table.newest)


def _make(directory: Path, fill: Callable[[Path], None], lock: Lock) -> MadeProject:
    """Everything is made in a folder beside, which is renamed at the end."""
    directory = directory.absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DirectoryTaken(path=directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        fill(folder)
        lock(folder)
        commit = _first_commit(folder)
        folder.chmod(0o755)
        folder.rename(directory)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return MadeProject(load_project_file(directory), commit)


def _first_commit(folder: Path) -> str:
    run_git(folder, "init", "--quiet")
    run_git(folder, "add", "--all")
    person = {"NAME": _git_setting("user.name") or _user(), "EMAIL": _git_setting("user.email") or f"{_user()}@localhost"}
    identity = {f"GIT_{part}_{key}": value for part in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    run_git(folder, "commit", "--quiet", "--message", _FIRST_COMMIT, extra=identity)
    return run_git(folder, "rev-parse", "HEAD").strip()


def _git_setting(key: str) -> str:
    """A person's own git knows who they are; bucle's isolated calls do not ask it."""
    with suppress(OSError, subprocess.TimeoutExpired):
        command = ["git", "config", "--global", "--get", key]
        return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()
    return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def _marks(name: str) -> dict[str, str]:
    owner = _git_setting("user.name") or _user()
    return {
        "name": name,
        "package": _python_name(name, "project", set()),
        "bucle": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "uv": importlib.metadata.version("uv"),
        "owner": owner.replace("\\", "").replace('"', ""),
    }


def _project_name(directory: Path, name: str | None) -> str:
    if name is None:
        name = re.sub(r"[^a-z0-9_-]+", "-", directory.absolute().name.lower()).strip("-_")
    if not is_project_name(name):
        raise BadName(name=name)
    return name


def _python_name(text: str, fallback: str, taken: set[str]) -> str:
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    if not name or name[0].isdigit():
        name = f"{fallback}_{name}".rstrip("_")
    if iskeyword(name) or issoftkeyword(name) or name in _RESERVED | taken:
        name = f"{name}_{fallback}"
    return name


def _model_name(label: str) -> str:
    name = re.sub(r"[^a-z0-9_]+", "_", label.lower()).strip("_")
    return name if name and name[0].isalpha() else f"model_{name}".rstrip("_")
