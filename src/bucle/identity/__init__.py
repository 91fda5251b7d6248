"""Who may do what: people and services, their tokens, roles and permissions (K-R1 to K-R7)."""

from bucle.identity.errors import BadName, BadToken, Forbidden, TokenExpired, TokenMissing, UnknownRole, UnknownToken
from bucle.identity.events import TokenCreated, TokenRevoked
from bucle.identity.principals import OWNER, Grant, Principal, PrincipalKind, require
from bucle.identity.roles import PERMISSIONS, ROLES
from bucle.identity.tokens import IssuedToken, Token, authenticate, create_token, has_tokens, list_tokens, revoke_token

__all__ = [
    "OWNER",
    "PERMISSIONS",
    "ROLES",
    "BadName",
    "BadToken",
    "Forbidden",
    "Grant",
    "IssuedToken",
    "Principal",
    "PrincipalKind",
    "Token",
    "TokenCreated",
    "TokenExpired",
    "TokenMissing",
    "TokenRevoked",
    "UnknownRole",
    "UnknownToken",
    "authenticate",
    "create_token",
    "has_tokens",
    "list_tokens",
    "require",
    "revoke_token",
]
