"""The execution context: who acts, for which project, and because of what. Events take it from here, never from an argument."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bucle.ledger.units import Unit


@dataclass(frozen=True, slots=True)
class Scope:
    """A project and one of its environments; empty texts mean the whole home."""

    project: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """The name under which a request may be sent again without being done again, and the digest of what it asks."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Context:
    """Who acts in which role, within which scope, the seqs of the events being handled, and the request's key if it has one.

    With a `unit` all writes of the request are one transaction.
    """

    actor: str = "system"
    role: str = "system"
    scope: Scope = Scope()
    causes: tuple[int, ...] = ()
    request: RequestKey | None = None
    unit: "Unit | None" = None


_context: ContextVar[Context] = ContextVar("bucle_context", default=Context())


def current_context() -> Context:
    """Return the context of the code that runs now."""
    return _context.get()


@contextmanager
def acting(actor: str, role: str) -> Iterator[None]:
    """Let `actor` in `role` be the author of all events within; causes start afresh."""
    with _bound(replace(_context.get(), actor=actor, role=role, causes=())):
        yield


@contextmanager
def within(scope: Scope) -> Iterator[None]:
    """Let all events within belong to `scope`."""
    with _bound(replace(_context.get(), scope=scope)):
        yield


@contextmanager
def handling(request: RequestKey) -> Iterator[None]:
    """Let each write within note, in its own transaction, that the request took effect, and by which events."""
    with _bound(replace(_context.get(), request=request, unit=None)):
        yield


@contextmanager
def uniting(request: RequestKey, unit: "Unit") -> Iterator[None]:
    """Let all writes within be parts of one transaction, which also notes the request."""
    with _bound(replace(_context.get(), request=request, unit=unit)):
        yield


@contextmanager
def aside() -> Iterator[None]:
    """Let writes within be transactions of their own and no effect of the request: the same whoever asked for them first."""
    with _bound(replace(_context.get(), request=None, unit=None)):
        yield


@contextmanager
def because(*seqs: int | None) -> Iterator[None]:
    """Add events that are being handled, or whose evidence is being used, to the causes of all events within."""
    context = _context.get()
    added = tuple(seq for seq in dict.fromkeys(seqs) if seq is not None and seq not in context.causes)
    with _bound(replace(context, causes=context.causes + added)):
        yield


@contextmanager
def _bound(context: Context) -> Iterator[None]:
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)
