"""What happens to runtimes."""

from dataclasses import dataclass

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class RuntimeInstalled(Event, kind="runtimes.installed", version=1):
    """A lock was installed into the home; `packages` counts its distributions, `seconds` is how long it took."""

    digest: str
    python: str
    packages: int
    seconds: float
