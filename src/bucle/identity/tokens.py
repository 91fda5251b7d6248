"""Tokens: 256 random bits shown once; the ledger keeps their SHA-256, scope, expiry and when they were last used."""

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime

from bucle.identity import store
from bucle.identity.errors import BadName, BadToken, TokenExpired, UnknownRole, UnknownToken
from bucle.identity.events import TokenCreated, TokenRevoked
from bucle.identity.principals import Grant, Principal, PrincipalKind
from bucle.identity.roles import ROLES
from bucle.ledger import Ledger, Row, format_instant, from_us, new_id, to_us

_TOUCH_EVERY_US = 60_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_RESERVED = {"system"}


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token at the only moment at which its secret is known."""

    id: str
    name: str
    role: str
    secret: str


@dataclass(frozen=True, slots=True)
class Token:
    """What the ledger knows of a token; all times are UTC."""

    id: str
    name: str
    kind: PrincipalKind
    role: str
    project: str
    environment: str
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    revoked: datetime | None


def create_token(
    ledger: Ledger,
    name: str,
    role: str,
    project: str = "*",
    environment: str = "*",
    expires: datetime | None = None,
    kind: PrincipalKind = "person",
) -> IssuedToken:
    """Give `name` a token for a role within a scope. Raises `identity/unknown-role`, `identity/bad-name`."""
    if role not in ROLES:
        raise UnknownRole(role=role, roles=", ".join(ROLES), where="role")
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise BadName(name=name, where="name")
    secret = "bucle_" + secrets.token_urlsafe(32)
    issued = IssuedToken(new_id("tok"), name, role, secret)
    now = _now_us()
    with ledger.write() as tx:
        principal = tx.row(store.INSERT_PRINCIPAL, (new_id("prn"), name, kind, now))
        event = tx.emit(TokenCreated(name, kind, role, project, environment, expires), issued.id)
        expires_us = to_us(expires) if expires else None
        row = (issued.id, principal and principal[0], _digest(secret), role, project, environment, now, expires_us, event)
        tx.execute(store.INSERT_TOKEN, row)
    return issued


def authenticate(ledger: Ledger, token: str) -> Principal:
    """Return whom a token stands for. Raises `identity/bad-token`, `identity/token-expired`."""
    now = _now_us()
    with ledger.read() as reader:
        row = reader.row(store.SELECT_TOKEN, (_digest(token),))
    if row is None:
        raise BadToken()
    if row["expires_us"] is not None and row["expires_us"] <= now:
        raise TokenExpired(expired=format_instant(from_us(row["expires_us"])))
    if (row["last_used_us"] or 0) + _TOUCH_EVERY_US < now:
        with ledger.write() as tx:
            tx.execute(store.TOUCH, (now, row["id"]))
    return Principal(row["principal"], row["name"], row["kind"], (Grant(row["role"], row["project"], row["environment"]),))


def revoke_token(ledger: Ledger, id: str) -> Token:
    """Make a token invalid from now on. Raises `identity/unknown-token`."""
    with ledger.write() as tx:
        row = tx.row(store.SELECT_BY_ID, (id,))
        if row is None:
            raise UnknownToken(id=id)
        tx.execute(store.REVOKE, (_now_us(), id))
        tx.emit(TokenRevoked(row["name"], row["role"]), id)
    return _token(row)


def list_tokens(ledger: Ledger) -> list[Token]:
    """Return all tokens, oldest first, also those that are over."""
    with ledger.read() as reader:
        return [_token(row) for row in reader.rows(store.SELECT_TOKENS)]


def has_tokens(ledger: Ledger) -> bool:
    """Return whether any token is valid now."""
    with ledger.read() as reader:
        row = reader.row(store.COUNT_VALID, (_now_us(),))
        return bool(row and row[0])


def _token(row: Row) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        role=row["role"],
        project=row["project"],
        environment=row["environment"],
        created=from_us(row["created_us"]),
        expires=_moment(row["expires_us"]),
        last_used=_moment(row["last_used_us"]),
        revoked=_moment(row["revoked_us"]),
    )


def _moment(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _now_us() -> int:
    """A token's life is in the world's time, not the home's: a replay clock must not keep it alive."""
    return time.time_ns() // 1000
