"""Who needs which artifact: what a reference or the lineage names is kept, and what those artifacts name in turn."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from bucle.artifacts import store
from bucle.artifacts.content import ArtifactStore
from bucle.artifacts.errors import BadArtifactId, MissingArtifact
from bucle.artifacts.events import GarbageCollected
from bucle.artifacts.identity import IDS_IN_BYTES, check_id
from bucle.ledger import Home, Reader, Transaction, current_context

_LARGEST_DOCUMENT = 64 << 20
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Reference:
    """`owner` (a run, a dataset version, a model version) needs `artifact` in a role."""

    artifact: str
    owner: str
    role: str
    project: str


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """What a collection did: artifacts removed, bytes freed, artifacts kept, unfinished files of killed writers removed."""

    removed: int
    freed: int
    kept: int
    unfinished: int


def refer(transaction: Transaction, artifact: str, owner: str, role: str) -> None:
    """Keep an artifact, and whatever ids stand in it if it is JSON, for as long as `owner` refers to it."""
    project = current_context().scope.project
    transaction.execute(store.INSERT_REFERENCE, (check_id(artifact), owner, role, project))


def release_references(transaction: Transaction, owner: str) -> int:
    """Give up all references of an owner that goes away; return how many there were."""
    return transaction.execute(store.DELETE_REFERENCES, (owner,))


def references_to(reader: Reader, artifact: str) -> list[Reference]:
    """Return who refers to an artifact."""
    rows = reader.rows(store.SELECT_REFERENCES, (check_id(artifact),))
    return [Reference(row["artifact"], row["owner"], row["role"], row["project"]) for row in rows]


def collect_garbage(home: Home, grace: float = 86_400) -> GarbageReport:
    """Remove artifacts that nothing refers to and that were put more than `grace` seconds of real time ago.

    Others may write meanwhile: documents are read while nobody is kept waiting, and each batch is removed within a transaction
    that sees every reference made so far and reads only what was referred to since.
    """
    artifacts = ArtifactStore(home.folder("artifacts"))
    moment = time.time() - grace
    old = [id for id, stat in artifacts.stored() if stat.st_mtime < moment]
    reachable = _Reachable(artifacts)
    removed = freed = 0
    for batch in _batches(old):
        with home.ledger.read() as reader:
            referenced = _referenced(reader)
        reachable.extended(referenced)
        with home.ledger.write() as transaction:
            needed = reachable.extended(_referenced(transaction))
            sizes = [artifacts.remove_older(id, moment) for id in batch if id not in needed]
        removed += sum(size is not None for size in sizes)
        freed += sum(size or 0 for size in sizes)
    kept = sum(1 for _ in artifacts.stored())
    unfinished = artifacts.remove_unfinished(moment)
    with home.ledger.write() as transaction:
        transaction.emit(GarbageCollected(removed, freed, kept), "artifacts")
    return GarbageReport(removed, freed, kept, unfinished)


def _referenced(reader: Reader | Transaction) -> set[str]:
    return {row[0] for row in reader.rows(store.SELECT_REFERENCED)}


class _Reachable:
    """What is needed, following the ids that stand in JSON artifacts: a manifest keeps its parts."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts
        self._seen: set[str] = set()

    def extended(self, roots: set[str]) -> set[str]:
        """Return everything reachable from the roots of this and all earlier calls; each document is read once."""
        frontier = list(roots - self._seen)
        self._seen.update(frontier)
        while frontier:
            found = self._named_in(frontier.pop()) - self._seen
            self._seen |= found
            frontier += found
        return self._seen

    def _named_in(self, id: str) -> set[str]:
        try:
            if self._artifacts.size(id) > _LARGEST_DOCUMENT:
                return set()
            with self._artifacts.open_unverified(id) as file:
                if file.read(1) not in (b"{", b"["):
                    return set()
                return {found.decode() for found in IDS_IN_BYTES.findall(file.read())}
        except (MissingArtifact, BadArtifactId):
            return set()


def _batches(ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
