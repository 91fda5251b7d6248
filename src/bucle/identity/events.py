"""What this room tells the others: tokens come and go."""

from dataclasses import dataclass
from datetime import datetime

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class TokenCreated(Event, kind="identity.token_created", version=1):
    """A person or service was given a token; the token itself is not here."""

    name: str
    principal_kind: str
    role: str
    project: str
    environment: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class TokenRevoked(Event, kind="identity.token_revoked", version=1):
    """A token stopped being valid before its time."""

    name: str
    role: str
