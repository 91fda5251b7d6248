"""The execution context: who acts, for which project, and because of what. Events take it from here, never from an argument."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


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
    """Who acts in which role, within which scope, the seqs of the events being handled, and the request's key if it has one."""

    actor: str = "system"
    role: str = "system"
    scope: Scope = Scope()
    causes: tuple[int, ...] = ()
    request: RequestKey | None = None


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
    """Let the first write within note, in its own transaction, that the request took effect."""
    with _bound(replace(_context.get(), request=request)):
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
