"""The spool keeps what was appended, whatever happens to the process, in order, and within its bound."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bucle.serving import LogFull
from bucle.serving.spool import Spool

_WRITER = """
import sys
from pathlib import Path
from bucle.serving.spool import Spool
spool = Spool(Path(sys.argv[1]), segment=20_000)
number = 0
while True:
    spool.append(str(number).encode() * 50)
    print(number, flush=True)
    number += 1
"""


def read_all(spool: Spool) -> list[bytes]:
    return spool.read({}, limit=1 << 40)[0]


def test_what_was_appended_before_a_kill_is_there_after_it_and_nothing_torn(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE, env={"PYTHONPATH": "src"})
    assert writer.stdout is not None
    for _ in range(700):
        acknowledged = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in writer.stdout.read().split(b"\n")[:-1])])
    writer.wait(timeout=60)
    writer.stdout.close()
    found = read_all(Spool(tmp_path))
    assert len(found) >= acknowledged + 1
    assert found == [str(number).encode() * 50 for number in range(len(found))]


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_a_torn_end_is_cut_off_and_all_before_it_kept(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder)
    for record in records:
        spool.append(record)
    spool.close()
    (segment,) = folder.iterdir()
    cut = data.draw(st.integers(0, segment.stat().st_size))
    os.truncate(segment, cut)
    ends = [sum(8 + len(each) for each in records[: count + 1]) for count in range(len(records))]
    whole = sum(1 for end in ends if end <= cut)
    again = Spool(folder)
    assert read_all(again) == records[:whole]
    again.append(b"after")
    assert read_all(again) == [*records[:whole], b"after"]


def test_a_changed_byte_ends_what_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for record in (b"first", b"second", b"third"):
        spool.append(record)
    spool.close()
    (segment,) = tmp_path.iterdir()
    content = bytearray(segment.read_bytes())
    content[8 + 5 + 8] ^= 1
    segment.write_bytes(bytes(content))
    assert read_all(Spool(tmp_path)) == [b"first"]


def test_a_full_spool_refuses_and_takes_again_after_shipping(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=100)
    spool.append(b"x" * 80)
    with pytest.raises(LogFull) as caught:
        spool.append(b"y" * 20)
    assert caught.value.code == "serving/log-full"
    assert read_all(spool) == [b"x" * 80]
    _, reached = spool.read({})
    spool.drop({position.segment: position.offset for position in reached})
    spool.append(b"y" * 20)
    assert read_all(spool) == [b"y" * 20]


def test_a_disk_that_refuses_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.append(b"before")
    whole = os.write

    def half(file: int, data: bytes) -> int:
        return whole(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(LogFull):
        spool.append(b"never answered")
    monkeypatch.undo()
    spool.append(b"after")
    assert read_all(spool) == [b"before", b"after"]
    spool.close()
    assert read_all(Spool(tmp_path)) == [b"before", b"after"]


def test_a_half_record_that_cannot_be_cut_off_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.append(b"before")
    whole = os.write

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: whole(file, data[: len(data) // 2]))
        patch.setattr(os, "ftruncate", broken)
        with pytest.raises(LogFull):
            spool.append(b"never answered")
    spool.append(b"after")
    assert read_all(spool) == [b"before", b"after"]
    spool.close()
    assert read_all(Spool(tmp_path)) == [b"before", b"after"]


class Disk:
    """Stands in for `os.fsync`: knows what of each file is on the disk itself, and may refuse."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sure: dict[Path, int] = {}
        self.calls, self.full, self.gate = 0, False, threading.Event()
        self.gate.set()
        monkeypatch.setattr(os, "fsync", self.sync)

    def sync(self, file: int) -> None:
        path, size = Path(f"/proc/self/fd/{file}").resolve(), os.fstat(file).st_size
        if path.suffix == ".log":
            self.calls += 1
            assert self.gate.wait(30)
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.sure[path] = size

    def holds(self, path: Path) -> bytes:
        return path.read_bytes()[: self.sure.get(path, 0)]


def test_with_power_each_answered_record_is_on_the_disk_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    spool = Spool(tmp_path, segment=100, power=True)
    for number in range(30):
        spool.append(f"record {number}".encode())
        held = b"".join(disk.holds(path) for path in sorted(tmp_path.glob("*.log")))
        assert held.endswith(f"record {number}".encode())
        assert held.count(b"record") == number + 1
    plain = Spool(tmp_path / "plain")
    calls = disk.calls
    plain.append(b"record")
    assert disk.calls == calls, "without it nobody waits for the disk"


def test_with_power_requests_that_come_together_wait_for_the_disk_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    spool = Spool(tmp_path, power=True)
    disk.gate.clear()
    threads = [threading.Thread(target=spool.append, args=(b"%d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    while len(read_all(spool)) < len(threads):
        time.sleep(0.001)
    disk.gate.set()
    for thread in threads:
        thread.join()
    (path,) = tmp_path.glob("*.log")
    assert disk.holds(path) == path.read_bytes()
    assert disk.calls <= 2


def test_with_power_what_the_disk_could_not_take_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    spool = Spool(tmp_path, power=True)
    spool.append(b"first")
    disk.full = True
    with pytest.raises(LogFull):
        spool.append(b"refused")
    disk.full = False
    spool.append(b"second")
    assert len(list(tmp_path.glob("*.log"))) == 2, "a file whose write-back failed is not trusted again"
    assert [record for record in read_all(spool) if record != b"refused"] == [b"first", b"second"]


def test_with_power_a_lack_of_file_handles_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    spool = Spool(tmp_path, power=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", none_left)
        with pytest.raises(LogFull):
            spool.append(b"refused")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", none_left)
        with pytest.raises(LogFull):
            Spool(tmp_path / "new", power=True).append(b"refused")
    spool.append(b"answered")
    assert read_all(spool)[-1] == b"answered"


def test_zeros_that_a_loss_of_power_left_are_no_records(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"whole")
    spool.close()
    (segment,) = tmp_path.iterdir()
    with segment.open("ab") as file:
        file.write(bytes(64))
    assert read_all(Spool(tmp_path)) == [b"whole"]


class SpoolModel(RuleBasedStateMachine):
    """Whatever the order of appending, shipping and reopening, each record is shipped exactly once and in order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"spool-{os.getpid()}-{time.monotonic_ns()}"
        self.spool = Spool(self.folder, segment=64, power=True)
        self.appended: list[bytes] = []
        self.shipped: list[bytes] = []
        self.offsets: dict[str, int] = {}

    @rule(size=st.integers(1, 40))
    def append(self, size: int) -> None:
        record = len(self.appended).to_bytes(4, "big") * size
        self.spool.append(record)
        self.appended.append(record)

    @rule(limit=st.integers(1, 200))
    def ship(self, limit: int) -> None:
        records, reached = self.spool.read(self.offsets, limit)
        self.shipped += records
        self.offsets |= {position.segment: position.offset for position in reached}

    @rule()
    def drop(self) -> None:
        for segment in self.spool.drop(self.offsets):
            del self.offsets[segment]

    @precondition(lambda self: self.appended)
    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = Spool(self.folder, segment=64)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        rest, _ = self.spool.read(self.offsets, 1 << 40)
        assert self.shipped + rest == self.appended

    def teardown(self) -> None:
        self.spool.close()
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
