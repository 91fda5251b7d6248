"""What can be wrong with a token, a role or the right to do something."""

from bucle.errors import BucleError


class TokenMissing(BucleError, code="identity/token-missing", status=401):
    """The server asks for a token and the request has none."""

    message = "This server answers only requests with a token."
    next = "Send `Authorization: Bearer TOKEN`, or set BUCLE_TOKEN; an owner makes one with `bucle token create`."


class BadToken(BucleError, code="identity/bad-token", status=401):
    """The token is unknown here, or was revoked."""

    message = "The token is not valid here."
    next = "Check BUCLE_TOKEN and BUCLE_URL; `bucle token list` shows the tokens of this home."


class TokenExpired(BucleError, code="identity/token-expired", status=401):
    """The token's time is over."""

    message = "The token expired at {expired}."
    next = "An owner makes a new one with `bucle token create`."


class Forbidden(BucleError, code="identity/forbidden", status=403):
    """The principal has no role that allows this there."""

    message = "{name} may not do this: it needs the permission {permission} for {scope}."
    next = "Ask an owner for a token with one of these roles: {roles}."


class UnknownRole(BucleError, code="identity/unknown-role"):
    """A role was named that does not exist."""

    message = "There is no role {role!r}."
    next = "The roles are: {roles}."


class UnknownToken(BucleError, code="identity/unknown-token", status=404):
    """A token was named that does not exist or is revoked already."""

    message = "There is no token {id!r} to revoke."
    next = "`bucle token list` shows them all."


class BadName(BucleError, code="identity/bad-name"):
    """A principal's name cannot be used as one."""

    message = "{name!r} cannot be the name of a person or service."
    next = "Use 1 to 64 letters, digits and `. _ @ -`; the name `system` is taken."
