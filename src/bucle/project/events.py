"""What happens to projects: they become known, say why they exist, decide, and their environments move."""

from dataclasses import dataclass

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class ProjectRegistered(Event, kind="project.registered", version=1):
    """A project became known to the home."""

    definitions: str
    environments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CharterRecorded(Event, kind="project.charter_recorded", version=1):
    """A project's charter is new or has changed: problem (K-1), task (K-3), data needed (K-4), success."""

    problem: str
    task: str | None
    success: tuple[str, ...]
    owner: str
    data: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class DecisionRecorded(Event, kind="project.decision_recorded", version=1):
    """The decision record that a charter names as the project's architecture is new or has changed (K-2)."""

    path: str
    title: str
    digest: str


@dataclass(frozen=True, slots=True)
class EnvironmentPointed(Event, kind="project.environment_pointed", version=1):
    """An environment runs another release than before; `previous` is that release's id, empty for the first."""

    release: str
    commit: str
    lock: str
    previous: str
