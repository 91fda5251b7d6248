"""Snapshots: which versions of which sources a moment sees. Small, and all that a run has to remember of its data."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bucle.data.sources import SourceSpec
from bucle.data.versions import fitting_version, vetoed_months
from bucle.ledger import Home, Scope, to_us

if TYPE_CHECKING:
    from bucle.runtimes import Code


class SnapshotVersion(msgspec.Struct, frozen=True):
    """A version in a snapshot: what reading it needs. `vetoed` are the months and days that training leaves out."""

    id: str
    manifest: str
    spec: SourceSpec
    vetoed: tuple[str, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """The data as of a moment, microseconds UTC: the newest version of each source by the code's own rules."""

    as_of_us: int
    versions: dict[str, SnapshotVersion]
    environment: str = ""

    def ids(self) -> dict[str, str]:
        """Return the version id of each source."""
        return {source: version.id for source, version in self.versions.items()}


def take_snapshot(home: Home, code: "Code", scope: Scope, as_of: datetime | None = None) -> Snapshot:
    """Return the snapshot of all sources that `code` declares, at `as_of` or now by the home's clock.

    A source that has no version by these rules is not in it; reading it raises `data/no-version`.
    """
    moment = home.ledger.clock.now_us() if as_of is None else to_us(as_of)
    versions: dict[str, SnapshotVersion] = {}
    with home.ledger.read() as reader:
        for spec in source_specs(code):
            version = fitting_version(reader, scope, spec.name, spec.digest)
            if version is not None:
                vetoed = vetoed_months(reader, version.id)
                versions[spec.name] = SnapshotVersion(version.id, version.manifest, spec, vetoed)
    return Snapshot(moment, versions, scope.environment)


def source_specs(code: "Code") -> Iterable[SourceSpec]:
    """Return the sources that a project's code declares, each with its place relative to the project."""
    for record in code.description.of("source"):
        spec = msgspec.convert(record.spec, SourceSpec)
        yield msgspec.structs.replace(spec, file=record.file, line=record.line)
