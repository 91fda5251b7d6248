"""Who must agree before something reaches an environment, as bucle.toml declares it: automatic, reviewed, approved."""

from typing import Literal

from bucle.delivery.releases import TEST
from bucle.delivery.repositories import open_repository
from bucle.identity import Principal
from bucle.ledger import Home, Reader, Scope, Transaction
from bucle.project import DEV, ProjectFile, current_release, export_commit, load_project_file

Policy = Literal["automatic", "reviewed", "approved"]

_STRICTNESS: dict[Policy, int] = {"automatic": 0, "reviewed": 1, "approved": 2}


def policy_of(
    home: Home, reader: Reader | Transaction, candidate: ProjectFile, environment: str, asker: Principal | None = None
) -> Policy:
    """Return what it takes to bring a release there: the stricter of its own file and of what runs there now.

    So a commit cannot let itself in by loosening the policy; a looser one counts after it got in by the old one. Where nothing
    runs yet nobody has agreed to any policy: the first release needs to be approved, unless its own file asks for nobody and
    the `asker` is an owner there. `test` and dev are as declared (docs/decisions/0011-who-agrees.md).
    Raises `project/unknown-environment`.
    """
    wanted = candidate.environment(environment).deploy
    scope = Scope(candidate.name, environment)
    in_force = _in_force(home, reader, scope)
    if in_force is not None:
        return stricter(wanted, in_force)
    by_owner = wanted == "automatic" and asker is not None and asker.role_for("identity.admin", scope) is not None
    return wanted if by_owner or environment in (DEV, TEST) else "approved"


def _in_force(home: Home, reader: Reader | Transaction, scope: Scope) -> Policy | None:
    """Return the policy that the release which runs there declares; None where none runs or it declares none."""
    pointer = current_release(reader, scope)
    if pointer is None:
        return None
    repository = open_repository(home, scope.project)
    running = load_project_file(export_commit(home, repository.path, scope.project, pointer.commit).root)
    found = running.environments.get(scope.environment)
    return found.deploy if found is not None else None


def stricter(one: Policy, other: Policy) -> Policy:
    """Return the policy that asks for more."""
    return max(one, other, key=_STRICTNESS.__getitem__)


def automatic_environments(home: Home, reader: Reader | Transaction, candidate: ProjectFile) -> dict[str, bool]:
    """Return the environments that a release's file declares automatic, and whether it reaches each by itself."""
    declared = [name for name, each in candidate.environments.items() if each.deploy == "automatic"]
    return {name: policy_of(home, reader, candidate, name) == "automatic" for name in declared}
