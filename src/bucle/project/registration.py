"""Projects that a home knows, their charter and decision record, and which release each environment runs."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from bucle.ledger import Home, Ledger, Reader, Row, Scope, Transaction, content_id, from_us, within
from bucle.project import store
from bucle.project.charter import Charter
from bucle.project.checkouts import Checkout, working_tree
from bucle.project.errors import BadValue, NoWorkingTree
from bucle.project.events import CharterRecorded, DecisionRecorded, EnvironmentPointed, ProjectRegistered
from bucle.project.file import FILE_NAME, ProjectFile, load_project_file


@dataclass(frozen=True, slots=True)
class RegisteredProject:
    """A project that the home knows; the events are those of its registration, charter and decision record."""

    name: str
    definitions: str
    created: datetime
    event: int
    charter_event: int | None
    decision_event: int | None


@dataclass(frozen=True, slots=True)
class EnvironmentPointer:
    """Which release an environment runs, since when, and the event that says why."""

    scope: Scope
    release_id: str
    commit: str
    lock_digest: str
    changed: datetime
    event: int


def register_project(ledger: Ledger, project_file: ProjectFile, *, working_tree: bool = False) -> RegisteredProject:
    """Enter a project, its charter and its decision record into the ledger; what has not changed leaves no event.

    With `working_tree` its folder becomes what the environment `dev` of the project runs.

    Raises `project/bad-value` when the charter names a decision record that is not there.
    """
    decision = _read_decision(project_file)
    with ledger.write() as transaction, within(Scope(project_file.name)):
        known = transaction.row(store.SELECT_PROJECT, (project_file.name,))
        if known is None:
            known = _insert(transaction, project_file)
        elif known["definitions"] != project_file.definitions:
            transaction.execute(store.UPDATE_DEFINITIONS, (project_file.definitions, project_file.name))
        if working_tree:
            transaction.execute(store.UPDATE_ROOT, (str(project_file.root.absolute()), project_file.name))
        charter = _charter_event(project_file.charter)
        if known["charter"] != charter.digest and project_file.charter.problem:
            event = transaction.emit(charter, project_file.name)
            transaction.execute(store.UPDATE_CHARTER, (charter.digest, event, project_file.name))
        if decision is not None and known["decision"] != decision.digest:
            event = transaction.emit(decision, project_file.name)
            transaction.execute(store.UPDATE_DECISION, (decision.digest, event, project_file.name))
        row = transaction.row(store.SELECT_PROJECT, (project_file.name,))
    return _registered(row or known)


def list_projects(reader: Reader) -> list[RegisteredProject]:
    """Return all projects of the home by name."""
    return [_registered(row) for row in reader.rows(store.SELECT_PROJECTS)]


def registered_project(reader: Reader, name: str) -> RegisteredProject | None:
    """Return one project of the home, or None."""
    row = reader.row(store.SELECT_PROJECT, (name,))
    return _registered(row) if row else None


def dev_checkout(home: Home, project: str) -> Checkout:
    """Return what the environment `dev` of a project runs: the working tree that was registered, else that beside the home.

    Raises `project/no-working-tree`, and what `working_tree` raises.
    """
    root = project_folder(home, project)
    if root is None:
        raise NoWorkingTree(project=project)
    return working_tree(root)


def project_folder(home: Home, project: str) -> Path | None:
    """Return the folder of a project's working tree on this machine: as registered, else beside the home; None without one."""
    with home.ledger.read() as reader:
        row = reader.row(store.SELECT_PROJECT, (project,))
    for root in (row["root"] if row else "", home.path.parent):
        if root and (Path(root) / FILE_NAME).is_file() and load_project_file(Path(root)).name == project:
            return Path(root)
    return None


def point_environment(transaction: Transaction, scope: Scope, release_id: str, commit: str, lock_digest: str) -> int:
    """Let an environment run a release from now on; return the event's seq. Only `delivery` calls this."""
    before = transaction.row(store.SELECT_ENVIRONMENT, (scope.project, scope.environment))
    with within(scope):
        pointed = EnvironmentPointed(release_id, commit, lock_digest, before["release_id"] if before else "")
        event = transaction.emit(pointed, release_id)
    moved = (scope.project, scope.environment, release_id, commit, lock_digest, transaction.clock.now_us(), event)
    transaction.execute(store.UPSERT_ENVIRONMENT, moved)
    return event


def current_release(reader: Reader | Transaction, scope: Scope) -> EnvironmentPointer | None:
    """Return what an environment runs, or None before its first release."""
    row = reader.row(store.SELECT_ENVIRONMENT, (scope.project, scope.environment))
    return _pointer(row) if row else None


def list_environments(reader: Reader, project: str) -> list[EnvironmentPointer]:
    """Return what each environment of a project runs, by name; those before their first release are not among them."""
    return [_pointer(row) for row in reader.rows(store.SELECT_ENVIRONMENTS, (project,))]


def _insert(transaction: Transaction, project_file: ProjectFile) -> Row:
    event = transaction.emit(ProjectRegistered(project_file.definitions, tuple(project_file.environments)), project_file.name)
    values = (project_file.name, project_file.definitions, transaction.clock.now_us(), event)
    transaction.execute(store.INSERT_PROJECT, values)
    transaction.node(project_file.name, "context", "project", project_file.name, event)
    row = transaction.row(store.SELECT_PROJECT, (project_file.name,))
    if row is None:
        raise RuntimeError("the project was not stored")
    return row


def _charter_event(charter: Charter) -> CharterRecorded:
    digest = content_id(msgspec.json.encode(charter, order="sorted"))
    success = tuple(str(criterion) for criterion in charter.success)
    return CharterRecorded(charter.problem, charter.task, success, charter.owner, charter.data, digest)


def _read_decision(project_file: ProjectFile) -> DecisionRecorded | None:
    path = project_file.charter.architecture
    if path is None:
        return None
    try:
        text = (project_file.root / path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        allowed = "the path of a text file in the project"
        raise BadValue(key="charter.architecture", value=path, allowed=allowed, where=str(project_file.path)) from error
    title = next((line.lstrip("# ").strip() for line in text.splitlines() if line.strip()), path)
    return DecisionRecorded(path, title, content_id(text.encode()))


def _registered(row: Row) -> RegisteredProject:
    created = from_us(row["created_us"])
    return RegisteredProject(
        row["name"], row["definitions"], created, row["event"], row["charter_event"], row["decision_event"]
    )


def _pointer(row: Row) -> EnvironmentPointer:
    scope = Scope(row["project"], row["environment"])
    changed = from_us(row["changed_us"])
    return EnvironmentPointer(scope, row["release_id"], row["commit_sha"], row["lock_digest"], changed, row["event"])
