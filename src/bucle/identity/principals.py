"""Principals: who acts, and what their grants allow where. What no grant allows is denied."""

import getpass
from dataclasses import dataclass
from typing import Literal

from bucle.identity.errors import Forbidden
from bucle.identity.roles import ROLES, roles_with
from bucle.ledger import Scope

PrincipalKind = Literal["person", "service"]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a project and an environment; `*` stands for all of them."""

    role: str
    project: str = "*"
    environment: str = "*"

    def covers(self, scope: Scope) -> bool:
        """Return whether the grant reaches `scope`; an empty project or environment of a scope means all, so it needs `*`."""
        return self.project in ("*", scope.project or "*") and self.environment in ("*", scope.environment or "*")


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a service with what it was granted."""

    id: str
    name: str
    kind: PrincipalKind
    grants: tuple[Grant, ...]

    def role_for(self, permission: str, scope: Scope) -> str | None:
        """Return the role that allows `permission` in `scope`, or None."""
        for grant in self.grants:
            if permission in ROLES.get(grant.role, ()) and grant.covers(scope):
                return grant.role
        return None

    def role_anywhere(self, permission: str) -> str | None:
        """Return a role that allows `permission` in some scope, or None."""
        return next((grant.role for grant in self.grants if permission in ROLES.get(grant.role, ())), None)


def require(principal: Principal, permission: str, scope: Scope) -> str:
    """Return the role in which `principal` may do this. Raises `identity/forbidden`."""
    role = principal.role_for(permission, scope)
    if role is None:
        raise Forbidden(
            name=principal.name, permission=permission, scope=_named(scope), roles=", ".join(roles_with(permission)) or "none"
        )
    return role


def _named(scope: Scope) -> str:
    if not scope.project:
        return "the whole home"
    return f"{scope.project}/{scope.environment}" if scope.environment else f"all of {scope.project}"


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "owner"


OWNER = Principal("prn_owner", _system_user(), "person", (Grant("owner"),))
"""Who acts on a laptop when no token says otherwise: the system's user, who owns the home's files anyway."""
