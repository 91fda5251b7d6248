"""Who must agree before something reaches an environment, as bucle.toml declares it: automatic, reviewed, approved."""

from typing import Literal

from bucle.delivery.repositories import open_repository
from bucle.ledger import Home, Reader, Scope, Transaction
from bucle.project import ProjectFile, current_release, export_commit, load_project_file

Policy = Literal["automatic", "reviewed", "approved"]

_STRICTNESS: dict[Policy, int] = {"automatic": 0, "reviewed": 1, "approved": 2}


def policy_of(home: Home, reader: Reader | Transaction, candidate: ProjectFile, environment: str) -> Policy:
    """Return what it takes to bring a release there: the stricter of its own file and of what runs there now.

    So a commit cannot let itself in by loosening the policy; a looser one counts after it got in by the old one.
    Raises `project/unknown-environment`.
    """
    wanted = candidate.environment(environment).deploy
    pointer = current_release(reader, Scope(candidate.name, environment))
    if pointer is None:
        return wanted
    repository = open_repository(home, candidate.name)
    running = load_project_file(export_commit(home, repository.path, candidate.name, pointer.commit).root)
    if environment not in running.environments:
        return wanted
    return stricter(wanted, running.environments[environment].deploy)


def stricter(one: Policy, other: Policy) -> Policy:
    """Return the policy that asks for more."""
    return max(one, other, key=_STRICTNESS.__getitem__)


def automatic_environments(home: Home, reader: Reader | Transaction, candidate: ProjectFile) -> list[str]:
    """Return the environments that a new release reaches by itself, in the order of bucle.toml."""
    return [name for name in candidate.environments if policy_of(home, reader, candidate, name) == "automatic"]
