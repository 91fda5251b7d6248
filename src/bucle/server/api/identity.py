"""Routes of identity: tokens."""

from dataclasses import dataclass

from bucle.identity import ROLES, PrincipalKind, Token, create_token, list_tokens, revoke_token
from bucle.ledger import parse_instant
from bucle.server.routing import Body, Call, Route


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token with its secret, which is shown only this once."""

    id: str
    name: str
    role: str
    token: str


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Whom the server takes the caller for, and the roles by project and environment."""

    id: str
    name: str
    kind: PrincipalKind
    grants: list[tuple[str, str, str]]
    client: str


class TokenWanted(Body, frozen=True):
    """Who shall have a token, in which role and scope (`*` is all), until when (none: until it is revoked)."""

    name: str
    role: str
    project: str = "*"
    environment: str = "*"
    expires: str | None = None
    kind: PrincipalKind = "person"


def create(call: Call) -> NewToken:
    """Make a token."""
    body: TokenWanted = call.body
    expires = parse_instant(body.expires) if body.expires else None
    issued = create_token(call.house.ledger, body.name, body.role, body.project, body.environment, expires, body.kind)
    return NewToken(issued.id, issued.name, issued.role, issued.secret)


def tokens(call: Call) -> list[Token]:
    """Return all tokens without their secrets."""
    return list_tokens(call.house.ledger)


def revoke(call: Call) -> Token:
    """Make a token invalid."""
    return revoke_token(call.house.ledger, call.path["id"])


def roles(call: Call) -> dict[str, list[str]]:
    """Return the roles and what each may do."""
    return {name: sorted(permissions) for name, permissions in ROLES.items()}


def whoami(call: Call) -> WhoAmI:
    """Return whom the server takes the caller for."""
    principal = call.principal
    grants = [(grant.role, grant.project, grant.environment) for grant in principal.grants]
    return WhoAmI(principal.id, principal.name, principal.kind, grants, call.client)


ROUTES = [
    Route("GET", "/api/v1/tokens", tokens, "identity.admin", "All tokens"),
    Route("POST", "/api/v1/tokens", create, "identity.admin", "Make a token", TokenWanted),
    Route("DELETE", "/api/v1/tokens/{id}", revoke, "identity.admin", "Revoke a token"),
    Route("GET", "/api/v1/roles", roles, "ledger.read", "The roles and their permissions", reach="any"),
    Route("GET", "/api/v1/whoami", whoami, "ledger.read", "Whom the server takes you for", reach="any"),
]
