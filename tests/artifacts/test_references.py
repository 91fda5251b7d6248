"""Garbage collection: what something refers to stays, whoever writes meanwhile."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.artifacts import ArtifactStore, collect_garbage, refer, references_to, release_references
from bucle.artifacts.errors import BadArtifactId
from bucle.ledger import EventFilter, Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home")
    yield home
    home.close()


def age(store: ArtifactStore, seconds: float) -> None:
    for id, stat in store.stored():
        os.utime(store.path(id), (stat.st_atime, stat.st_mtime - seconds))


def test_only_what_nothing_refers_to_is_removed(home: Home) -> None:
    store = ArtifactStore(home.folder("artifacts"))
    referred, in_lineage, part, alone = (store.put_bytes(name) for name in (b"referred", b"lineage", b"part", b"alone"))
    manifest = store.put_json({"parts": [part]})
    with home.ledger.write() as transaction:
        refer(transaction, referred, "run_1", "model")
        refer(transaction, manifest, "ds_1", "manifest")
        transaction.node(in_lineage, "artifact", "file")
    age(store, 7200)
    report = collect_garbage(home, grace=3600)
    assert (report.removed, report.freed, report.kept) == (1, len(b"alone"), 4)
    assert not store.exists(alone)
    assert all(map(store.exists, (referred, in_lineage, part, manifest)))
    assert home.ledger.events(EventFilter(kinds=("artifacts.garbage_collected",)))[0].data["removed"] == 1


def test_documents_are_read_while_others_may_write(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArtifactStore(home.folder("artifacts"))
    part, alone = store.put_bytes(b"part"), store.put_bytes(b"alone")
    with home.ledger.write() as transaction:
        refer(transaction, store.put_json({"parts": [part]}), "ds_1", "manifest")
    age(store, 7200)
    read, opened = [], ArtifactStore.open_unverified

    def open_unverified(self: ArtifactStore, id: str) -> IO[bytes]:
        with home.ledger.write():  # would be a write within a write if the collection held the writer
            read.append(id)
        return opened(self, id)

    monkeypatch.setattr(ArtifactStore, "open_unverified", open_unverified)
    assert collect_garbage(home, grace=3600).removed == 1
    assert len(read) == 2 and store.exists(part) and not store.exists(alone)


def test_what_was_put_lately_has_its_time_of_grace(home: Home) -> None:
    store = ArtifactStore(home.folder("artifacts"))
    store.put_bytes(b"young")
    assert collect_garbage(home, grace=3600).removed == 0
    age(store, 7200)
    store.put_bytes(b"young")  # again: its time begins afresh
    assert collect_garbage(home, grace=3600).removed == 0
    age(store, 7200)
    assert collect_garbage(home, grace=3600).removed == 1


def test_what_was_put_again_since_it_was_listed_is_not_removed(home: Home) -> None:
    store = ArtifactStore(home.folder("artifacts"))
    id = store.put_bytes(b"again")
    age(store, 7200)
    moment = time.time() - 3600
    store.put_bytes(b"again")
    assert store.remove_older(id, moment) is None
    assert store.exists(id)
    age(store, 7200)
    assert store.remove_older(id, moment) == len(b"again")


def test_a_released_reference_lets_go(home: Home) -> None:
    store = ArtifactStore(home.folder("artifacts"))
    id = store.put_bytes(b"model")
    with home.ledger.write() as transaction:
        refer(transaction, id, "run_1", "model")
        refer(transaction, id, "run_2", "model")
    with home.ledger.read() as reader:
        assert [reference.owner for reference in references_to(reader, id)] == ["run_1", "run_2"]
    with home.ledger.write() as transaction:
        assert release_references(transaction, "run_1") == 1
    assert collect_garbage(home, grace=-60).removed == 0
    with home.ledger.write() as transaction:
        release_references(transaction, "run_2")
    assert collect_garbage(home, grace=-60).removed == 1


def test_a_reference_names_an_artifact_and_nothing_else(home: Home) -> None:
    with home.ledger.write() as transaction, pytest.raises(BadArtifactId):
        refer(transaction, "../../etc/passwd", "run_1", "model")


@given(st.lists(st.tuples(st.integers(0, 7), st.lists(st.integers(0, 7), max_size=3), st.booleans()), max_size=8))
@settings(max_examples=25, deadline=None)
def test_exactly_the_reachable_artifacts_stay(
    tmp_path_factory: pytest.TempPathFactory, graph: list[tuple[int, list[int], bool]]
) -> None:
    home = Home.open(tmp_path_factory.mktemp("home"))
    try:
        store, ids, needed = ArtifactStore(home.folder("artifacts")), list[str](), set[str]()
        parts: dict[str, set[str]] = {}
        for salt, children, root in graph:
            chosen = [ids[child] for child in children if child < len(ids)]
            id = store.put_json({"salt": salt, "parts": chosen})
            ids.append(id)
            parts[id] = set(chosen)
            needed |= {id} if root else set()
        with home.ledger.write() as transaction:
            for id in needed:
                refer(transaction, id, "owner", "root")
        frontier = list(needed)
        while frontier:
            frontier += [part for part in parts[frontier.pop()] if part not in needed and not needed.add(part)]
        collect_garbage(home, grace=-60)
        assert {id for id, _ in store.stored()} == needed
    finally:
        home.close()


def test_nothing_that_is_put_and_referred_to_is_lost_while_a_collector_runs(home: Home) -> None:
    store, done = ArtifactStore(home.folder("artifacts")), threading.Event()
    kept: list[str] = []

    def write() -> None:
        try:
            for number in range(60):
                for content in (b"same", b"own %d" % number):
                    id = store.put_bytes(content)
                    with home.ledger.write() as transaction:
                        refer(transaction, id, f"run_{number}", "output")
                    kept.append(id)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        collect_garbage(home, grace=5)
    writer.join()
    assert len(kept) == 120
    assert all(map(store.exists, kept))
