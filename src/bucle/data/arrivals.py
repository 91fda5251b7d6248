"""What a tick of the clock brings: changed files are ingested, and rows that became visible are announced."""

import threading
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bucle.artifacts import ArtifactStore
from bucle.data import store as sql
from bucle.data.errors import DataRefused, NoFiles
from bucle.data.events import Arrived, IngestionFailed
from bucle.data.files import find_files
from bucle.data.ingestion import ingest, searched, validate
from bucle.data.manifests import load_manifest, rows_visible
from bucle.data.schemas import schema_path
from bucle.data.snapshots import source_specs
from bucle.data.sources import SourceSpec
from bucle.data.versions import fitting_version
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Home, Scope, from_us, within

if TYPE_CHECKING:
    from bucle.runtimes import Code, RunnerPool

_REMEMBERED = 64
_PASSING = {"ledger/disk-full", "artifacts/disk-full", "data/files-changed"}
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class _Watched:
    """A source of one code in one environment: where to look, worked out once."""

    spec: SourceSpec
    digest: str
    location: str
    bases: tuple[Path, ...]
    schema: Path
    stamp: str

    def state(self) -> tuple[object, ...]:
        """What tells whether there is something to do: names, sizes and times only."""
        try:
            stamps = tuple(find_files(self.location, self.bases, self.spec.name)[1])
        except NoFiles:
            stamps = ()
        reviewed = self.schema.stat().st_mtime_ns if self.schema.is_file() else None
        return (self.digest, stamps, reviewed, self.stamp)


class FileWatch:
    """Remembers, for the life of a process, which state of each source's files was dealt with."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Path, Scope, str], tuple[object, ...]] = {}
        self._months: dict[tuple[Path, Scope, str], str] = {}
        self._watched: dict[tuple[Path, str, Scope], list[_Watched]] = {}
        self._turn = threading.Lock()

    def sources(self, home: Home, code: "Code", scope: Scope) -> list[_Watched]:
        """Return what is to be watched for a code in an environment."""
        key = (code.checkout.root, code.checkout.stamp, scope)
        with self._turn:
            found = self._watched.get(key)
            if found is None:
                found = [_watched(home, code, scope, spec) for spec in source_specs(code)]
                while len(self._watched) >= _REMEMBERED:
                    self._watched.pop(next(iter(self._watched)))
                self._watched[key] = found
        return found

    def changed(self, home: Home, scope: Scope, watched: _Watched) -> bool:
        """Return whether anything differs from the last time; a state is remembered even if its ingestion fails."""
        key, state = (home.path, scope, watched.spec.name), watched.state()
        with self._turn:
            before, self._seen[key] = self._seen.get(key), state
        return before != state

    def forget(self, home: Home, scope: Scope, watched: _Watched) -> None:
        """Deal with the files again at the next tick, changed or not: what failed had another reason than them."""
        with self._turn:
            self._seen.pop((home.path, scope, watched.spec.name), None)

    def new_month(self, home: Home, scope: Scope, watched: _Watched) -> bool:
        """Return whether a month has ended since the source was last validated: then its rows are all there to be judged."""
        key, month = (home.path, scope, watched.spec.name), home.ledger.clock.now().strftime("%Y-%m")
        with self._turn:
            if self._months.get(key) == month:
                return False
            self._months[key] = month
        with home.ledger.read() as reader:
            version = fitting_version(reader, scope, watched.spec.name, watched.digest)
        return version is not None and home.ledger.event(version.validated_event).as_of.strftime("%Y-%m") != month


def ingest_due(
    home: Home,
    artifacts: ArtifactStore,
    runners: "RunnerPool",
    due: Iterable[tuple["Code", Scope]],
    watch: FileWatch,
    awaited: Callable[["Code", Scope], Container[str]] | None = None,
) -> int:
    """For each code and its environment: ingest sources whose files changed, announce rows newly visible; return how many.

    `awaited` names the sources whose rows somebody waits for (default: all): these are announced each time. Of the others new
    files are announced each time, and rows that the clock makes visible once a day, together: no row is left out.
    When a month has ended, sources with a reviewed schema are validated again: on a replay clock no file may have changed.
    Called for each `ledger.ticked`, whose event is then the cause of all. What fails is an event, `data.ingestion_failed`,
    once for each state of the files (a full disk: at each tick until there is room), and keeps no other source from being
    ingested. Reads no Parquet and starts no child when nothing changed.
    """
    arrived = 0
    for code, scope in due:
        sources = watch.sources(home, code, scope)
        for watched in sources:
            where = (home, artifacts, runners, code, scope, watched.spec.name)
            if watch.changed(home, scope, watched):
                _try(home, scope, watched.spec, partial(ingest, *where), partial(watch.forget, home, scope, watched))
            elif watched.schema.is_file() and watch.new_month(home, scope, watched):
                _try(home, scope, watched.spec, partial(validate, *where), partial(watch.forget, home, scope, watched))
        named = [(watched.spec.name, watched.digest) for watched in sources]
        arrived += _announce(home, artifacts, scope, named, awaited(code, scope) if awaited else dict(named))
    return arrived


def validate_reviewed(home: Home, artifacts: ArtifactStore, runners: "RunnerPool", code: "Code", scope: Scope) -> list[str]:
    """Validate now every source of an environment that has a reviewed schema and a version; return their names.

    Called when monitoring sees bad inputs: what came in since the last look is judged before anybody trains on it. What fails
    is an event, `data.ingestion_failed`.
    """
    with home.ledger.read() as reader:
        known = [spec for spec in source_specs(code) if fitting_version(reader, scope, spec.name, spec.digest) is not None]
    reviewed = [spec for spec in known if (code.checkout.root / schema_path(spec.name)).is_file()]
    for spec in reviewed:
        _try(home, scope, spec, partial(validate, home, artifacts, runners, code, scope, spec.name))
    return [spec.name for spec in reviewed]


def announce_arrivals(home: Home, artifacts: ArtifactStore, code: "Code", scope: Scope) -> int:
    """Emit `data.arrived` for each source with rows that became visible since the last time; return how many rows."""
    sources = {spec.name: spec.digest for spec in source_specs(code)}
    return _announce(home, artifacts, scope, list(sources.items()), sources)


def _announce(
    home: Home, artifacts: ArtifactStore, scope: Scope, sources: list[tuple[str, str]], awaited: Container[str]
) -> int:
    now = home.ledger.clock.now_us()
    with home.ledger.read() as reader:
        rows = reader.rows(sql.SELECT_ARRIVALS, (scope.project, scope.environment))
        before = {row["source"]: (row["version"], row["visible"], row["until_us"] // _DAY_US) for row in rows}
        versions = [fitting_version(reader, scope, name, digest) for name, digest in sources]
    news: list[tuple[str, str, int, int]] = []
    for version in versions:
        if version is not None:
            known, counted, day = before.get(version.source, ("", 0, -1))
            if known == version.id and day == now // _DAY_US and version.source not in awaited:
                continue
            visible = rows_visible(load_manifest(artifacts, version.manifest), now)
            if (known, counted) != (version.id, visible):
                news.append((version.source, version.id, visible, visible - counted))
    if news:
        with home.ledger.write() as transaction, within(scope):
            for source, id, visible, more in news:
                transaction.execute(sql.UPSERT_ARRIVAL, (scope.project, scope.environment, source, id, now, visible))
                if more > 0:
                    transaction.emit(Arrived(source, id, more, from_us(now)), source)
    return sum(max(more, 0) for _, _, _, more in news)


def _watched(home: Home, code: "Code", scope: Scope, spec: SourceSpec) -> _Watched:
    location, bases = searched(home, code, scope, spec)
    return _Watched(spec, spec.digest, location, tuple(bases), code.checkout.root / schema_path(spec.name), code.checkout.stamp)


def _try(
    home: Home, scope: Scope, spec: SourceSpec, work: Callable[[], object], forget: Callable[[], None] | None = None
) -> None:
    try:
        work()
    except DataRefused:
        return  # its own event, data.validated with outcome "stop", says so
    except (BucleError, RemoteError) as error:
        if forget is not None and error.code in _PASSING:
            forget()
        with home.ledger.write() as transaction, within(scope):
            transaction.emit(IngestionFailed(spec.name, error.code, error.text, error.where), spec.name)
    except Exception:
        if forget is not None:
            forget()
        raise
