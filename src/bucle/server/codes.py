"""The code that each environment runs: the working tree in `dev`, the current release's commit elsewhere."""

import logging
import threading
import time
from typing import TYPE_CHECKING

from bucle.data import has_versions
from bucle.delivery import open_repository
from bucle.errors import BucleError
from bucle.ledger import Home, Scope
from bucle.project import (
    DEV,
    ProjectFile,
    current_release,
    dev_checkout,
    export_commit,
    list_environments,
    list_projects,
    load_project_file,
    project_folder,
)
from bucle.server.errors import NothingRuns

if TYPE_CHECKING:
    from bucle.runtimes import Code, RunnerPool

_LOOK_AGAIN_SECONDS = 2.0
_log = logging.getLogger(__name__)


def file_in_force(home: Home, scope: Scope) -> ProjectFile | None:
    """Return the bucle.toml that an environment runs under: the current release's, in `dev` the working tree's; or None."""
    if scope.environment in ("", DEV):
        root = project_folder(home, scope.project)
        return None if root is None else load_project_file(root)
    with home.ledger.read() as reader:
        pointer = current_release(reader, scope)
    if pointer is None:
        return None
    repository = open_repository(home, scope.project).path
    return load_project_file(export_commit(home, repository, scope.project, pointer.commit).root)


class Codes:
    """Finds the code of a scope, ready to run. A release's is loaded once; the working tree's whenever it has changed."""

    def __init__(self, home: Home, runners: "RunnerPool") -> None:
        self._home = home
        self._runners = runners
        self._released: dict[tuple[str, str], Code] = {}
        self._working: dict[str, tuple[float, Code | None]] = {}
        self._turn = threading.Lock()

    def of(self, scope: Scope) -> "Code":
        """Return the code that an environment runs now.

        Raises `server/nothing-runs`, `project/unknown-environment`, `project/no-working-tree`, and what exporting or
        loading it raises.
        """
        from bucle.runtimes import load_code

        if scope.environment in ("", DEV):
            return load_code(self._home, self._runners, dev_checkout(self._home, scope.project))
        with self._home.ledger.read() as reader:
            pointer = current_release(reader, scope)
        if pointer is None:
            self._require_declared(scope)
            raise NothingRuns(project=scope.project, environment=scope.environment)
        return self.at(scope.project, pointer.commit)

    def _require_declared(self, scope: Scope) -> None:
        """Tell a misspelt environment from one without a release, where a working tree says which there are."""
        try:
            file = load_project_file(dev_checkout(self._home, scope.project).root)
        except BucleError:
            return
        file.environment(scope.environment)

    def at(self, project: str, commit: str) -> "Code":
        """Return the code of a commit of a hosted repository. Raises what exporting or loading it raises."""
        from bucle.runtimes import load_code

        key = (project, commit)
        with self._turn:
            known = self._released.get(key)
        if known is None:
            repository = open_repository(self._home, project).path
            known = load_code(self._home, self._runners, export_commit(self._home, repository, project, commit))
            with self._turn:
                self._released[key] = known
        return known

    def active(self) -> list[tuple["Code", Scope]]:
        """Return the code of every environment with a release, and of `dev` where data were ever ingested.

        Meant for each tick of the clock: looks at a working tree at most every other second. Code that cannot be loaded is
        logged and left out; whoever works on it sees the error where they work.
        """
        with self._home.ledger.read() as reader:
            scopes: list[Scope] = []
            for project in list_projects(reader):
                dev = Scope(project.name, DEV)
                scopes += [dev] if has_versions(reader, dev) else []
                scopes += [pointer.scope for pointer in list_environments(reader, project.name)]
        found = ((self._quietly(scope), scope) for scope in scopes)
        return [(code, scope) for code, scope in found if code is not None]

    def _quietly(self, scope: Scope) -> "Code | None":
        recent = self._working.get(scope.project) if scope.environment == DEV else None
        if recent is not None and time.monotonic() - recent[0] < _LOOK_AGAIN_SECONDS:
            return recent[1]
        try:
            code: Code | None = self.of(scope)
        except BucleError as error:
            _log.warning("the code of %s in %s cannot be loaded: %s", scope.project, scope.environment, error)
            code = None
        if scope.environment == DEV:
            self._working[scope.project] = (time.monotonic(), code)
        return code
