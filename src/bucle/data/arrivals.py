"""What a tick of the clock brings: changed files are ingested, and rows that became visible are announced."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from bucle.artifacts import ArtifactStore
from bucle.data import store as sql
from bucle.data.errors import DataRefused, NoFiles
from bucle.data.events import Arrived, IngestionFailed
from bucle.data.files import find_files
from bucle.data.ingestion import ingest, searched
from bucle.data.manifests import load_manifest, rows_visible
from bucle.data.schemas import schema_path
from bucle.data.snapshots import source_specs
from bucle.data.sources import SourceSpec
from bucle.data.versions import fitting_version
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Home, Scope, from_us, within

if TYPE_CHECKING:
    from bucle.runtimes import Code, RunnerPool

Place = tuple[str, str, str, str]


def ingest_due(
    home: Home,
    artifacts: ArtifactStore,
    runners: "RunnerPool",
    due: Iterable[tuple["Code", Scope]],
    watch: "FileWatch",
) -> int:
    """For each project and environment: ingest sources whose files changed, announce rows newly visible; return how many.

    Called for each `ledger.ticked`, whose event is then the cause of all. What fails is an event, `data.ingestion_failed`,
    once for each state of the files, and keeps no other source from being ingested. Costs no Parquet and no child when
    nothing changed.
    """
    arrived = 0
    for code, scope in due:
        for spec in source_specs(code):
            if watch.changed(home, code, scope, spec):
                _try_ingest(home, artifacts, runners, code, scope, spec)
        arrived += announce_arrivals(home, artifacts, code, scope)
    return arrived


def announce_arrivals(home: Home, artifacts: ArtifactStore, code: "Code", scope: Scope) -> int:
    """Emit `data.arrived` for each source with rows that became visible since the last time; return how many rows."""
    now = home.ledger.clock.now_us()
    with home.ledger.read() as reader:
        rows = reader.rows(sql.SELECT_ARRIVALS, (scope.project, scope.environment))
        before = {row["source"]: (row["version"], row["until_us"], row["visible"]) for row in rows}
        versions = [fitting_version(reader, scope, spec.name, spec.digest) for spec in source_specs(code)]
    news: list[tuple[str, str, int, int]] = []
    for version in versions:
        if version is None:
            continue
        known, until, counted = before.get(version.source, ("", -1, 0))
        if known == version.id and until == now:
            continue
        visible = rows_visible(load_manifest(artifacts, version.manifest), now)
        if known != version.id or visible != counted:
            news.append((version.source, version.id, visible, visible - counted))
    if not news:
        return 0
    with home.ledger.write() as transaction, within(scope):
        for source, id, visible, more in news:
            transaction.execute(sql.UPSERT_ARRIVAL, (scope.project, scope.environment, source, id, now, visible))
            if more > 0:
                transaction.emit(Arrived(source, id, more, from_us(now)), source)
    return sum(max(more, 0) for _, _, _, more in news)


class FileWatch:
    """Says whether a source's files, rules or schema have changed since it was last asked: names, sizes and times only."""

    def __init__(self) -> None:
        self._seen: dict[Place, tuple[object, ...]] = {}
        self._turn = threading.Lock()

    def changed(self, home: Home, code: "Code", scope: Scope, spec: SourceSpec) -> bool:
        """Return whether anything differs from the last time; a state is remembered even if its ingestion fails."""
        place = (str(home.path), scope.project, scope.environment, spec.name)
        state = self._state(home, code, scope, spec)
        with self._turn:
            before, self._seen[place] = self._seen.get(place), state
        return before != state

    def _state(self, home: Home, code: "Code", scope: Scope, spec: SourceSpec) -> tuple[object, ...]:
        location, bases = searched(home, code, scope, spec)
        try:
            stamps = find_files(location, bases, spec.name)[1]
        except NoFiles:
            stamps = []
        schema = code.checkout.root / schema_path(spec.name)
        reviewed = schema.stat().st_mtime_ns if schema.is_file() else None
        return (spec.digest, location, tuple(stamps), reviewed)


def _try_ingest(
    home: Home, artifacts: ArtifactStore, runners: "RunnerPool", code: "Code", scope: Scope, spec: SourceSpec
) -> None:
    try:
        ingest(home, artifacts, runners, code, scope, spec.name)
    except DataRefused:
        return  # its own event, data.validated with outcome "stop", says so
    except (BucleError, RemoteError) as error:
        failed = IngestionFailed(spec.name, error.code, error.text, error.where)
        with home.ledger.write() as transaction, within(scope):
            transaction.emit(failed, spec.name)
