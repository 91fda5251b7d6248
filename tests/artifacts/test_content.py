"""The artifact store: what goes in comes out, whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

import bucle.artifacts.content
from bucle.artifacts import ArtifactStore, BadArtifactId, CorruptArtifact, MissingArtifact
from bucle.artifacts.errors import ArtifactDiskFull, UnreadableFile

SOURCE = str(Path(bucle.artifacts.content.__file__).parents[2])


class Point(msgspec.Struct):
    x: int
    y: int


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@given(data=st.binary(max_size=5000))
@settings(max_examples=50, deadline=None)
def test_bytes_come_back_under_the_hash_of_their_content(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = ArtifactStore(tmp_path_factory.getbasetemp() / "shared")
    id = store.put_bytes(data)
    assert id == "blake3:" + blake3(data).hexdigest()
    assert store.get_bytes(id) == store.path(id).read_bytes() == data
    assert store.size(id) == len(data)
    assert store.put_bytes(data) == id


def test_a_file_and_its_bytes_are_the_same_artifact(store: ArtifactStore, tmp_path: Path) -> None:
    file = tmp_path / "table.parquet"
    file.write_bytes(os.urandom(3_000_000))
    assert store.put_file(file) == store.put_bytes(file.read_bytes())
    file.write_bytes(b"other")
    assert store.get_bytes(store.put_file(file)) == b"other"


def test_equal_values_are_one_artifact_whatever_the_order_of_their_keys(store: ArtifactStore) -> None:
    id = store.put_json(Point(1, 2))
    assert store.put_json({"y": 2, "x": 1}) == id
    assert store.get_json(id, Point) == Point(1, 2)


def test_an_unchanged_file_is_not_read_again(store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(b"a,b\n1,2\n")
    monkeypatch.setattr("bucle.artifacts.stat_cache._RACY_NS", -1)
    id = store.put_file(file)
    monkeypatch.setattr(ArtifactStore, "_copy", None)
    assert store.put_file(file) == id
    assert ArtifactStore(store.root).put_file(file) == id


def test_a_file_changed_within_a_tick_is_read_again(store: ArtifactStore, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(b"one")
    stat = file.stat()
    first = store.put_file(file)
    file.write_bytes(b"two")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.put_file(file) != first


def test_damaged_bytes_are_named_and_never_returned(store: ArtifactStore) -> None:
    id = store.put_bytes(b"precious")
    file = store.path(id)
    file.chmod(0o644)
    file.write_bytes(b"damaged!")
    with pytest.raises(CorruptArtifact, match=id):
        store.get_bytes(id)
    for read in (ArtifactStore(store.root).path, ArtifactStore(store.root).open):
        with pytest.raises(CorruptArtifact, match=id):
            read(id)


def test_putting_the_same_bytes_again_heals_what_was_damaged(store: ArtifactStore, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"precious")
    os.utime(file, (1, 1))
    id = store.put_file(file)
    damaged = store.path(id)
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged!")
    with pytest.raises(CorruptArtifact):
        ArtifactStore(store.root).get_bytes(id)
    assert store.put_file(file) == id
    assert ArtifactStore(store.root).get_bytes(id) == store.path(id).read_bytes() == b"precious"


def test_a_full_disk_after_the_copy_loses_only_what_spares_reading_again(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"precious")
    os.utime(file, (1, 1))
    monkeypatch.setattr("bucle.artifacts.stat_cache._RACY_NS", -1 << 62)

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert store.get_bytes(store.put_file(file)) == b"precious"


@pytest.mark.parametrize(
    "id",
    ["", "x", "../../etc/passwd", "blake3:../../../etc/passwd", "blake3:" + "A" * 64, "blake3:" + "0" * 64 + "\n", "blake3:00"],
)
def test_an_id_is_never_taken_for_a_path(store: ArtifactStore, id: str) -> None:
    for use in (store.get_bytes, store.path, store.open, store.exists, store.size):
        with pytest.raises(BadArtifactId):
            use(id)


def test_what_is_not_there_is_said_to_be_missing(store: ArtifactStore) -> None:
    for use in (store.get_bytes, store.path, store.open, store.size):
        with pytest.raises(MissingArtifact):
            use("blake3:" + "0" * 64)
    assert not store.exists("blake3:" + "0" * 64)


def test_a_file_that_cannot_be_read_is_named(store: ArtifactStore, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UnreadableFile, match=path.name):
            store.put_file(path)


def test_a_stored_file_cannot_be_written_by_accident(store: ArtifactStore) -> None:
    assert store.path(store.put_bytes(b"x")).stat().st_mode & 0o222 == 0


def test_a_full_disk_is_told_and_keeps_nothing(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(ArtifactDiskFull):
            store.put_bytes(b"too much")
    assert list(store.stored()) == []
    assert list((store.root / "new").iterdir()) == []
    assert store.get_bytes(store.put_bytes(b"too much")) == b"too much"


WRITER = """
import os, sys
from pathlib import Path
from bucle.artifacts import ArtifactStore
store = ArtifactStore(Path(sys.argv[1]))
while True:
    print(store.put_bytes(os.urandom(400_000)), flush=True)
"""


def test_kill_9_during_puts_leaves_only_whole_artifacts(store: ArtifactStore) -> None:
    command = [sys.executable, "-c", WRITER, str(store.root)]
    acknowledged: list[str] = []
    for _ in range(3):
        environment = {**os.environ, "PYTHONPATH": SOURCE}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
            assert writer.stdout is not None
            acknowledged += [writer.stdout.readline().strip() for _ in range(5)]
            writer.send_signal(signal.SIGKILL)
            acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
    stored = [id for id, _ in store.stored()]
    assert set(acknowledged) <= set(stored)
    for id in stored:
        assert len(store.get_bytes(id)) == 400_000
    unfinished = list((store.root / "new").iterdir())
    assert store.remove_unfinished(time.time() + 60) == len(unfinished)
    assert not list((store.root / "new").iterdir())
