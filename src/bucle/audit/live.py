"""What is live in an environment: its release, what that declares, and the model versions that answer or stand by."""

from dataclasses import dataclass

from bucle.ledger import Ledger, Reader, Scope
from bucle.project import EnvironmentPointer, ProjectDescription, current_release
from bucle.runtimes import described_commit
from bucle.serving import Deployment, list_deployments


@dataclass(frozen=True, slots=True)
class Live:
    """An environment as the detectors see it. Without a release, or one that nobody described, the fields are None."""

    scope: Scope
    now_us: int
    release: EnvironmentPointer | None
    description: ProjectDescription | None
    deployments: tuple[Deployment, ...]
    """All that answer, will answer for a part, stand by or once answered; the newest first."""

    @property
    def active(self) -> tuple[Deployment, ...]:
        """Those that answer now, or may within a moment."""
        return tuple(each for each in self.deployments if each.state != "retired")


def read_live(ledger: Ledger, reader: Reader, scope: Scope) -> Live:
    """Read what is live; no child is started."""
    release = current_release(reader, scope)
    description = described_commit(reader, scope.project, release.commit) if release else None
    return Live(scope, ledger.clock.now_us(), release, description, tuple(list_deployments(reader, scope, limit=10_000)))


def description_at(reader: Reader, project: str, commit: str | None) -> ProjectDescription | None:
    """Return what a commit declares, None without a commit or a description of it."""
    return described_commit(reader, project, commit) if commit else None
