"""A home is held by one process, refuses what it cannot be, and loses nothing when that process is killed."""

import errno
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.ledger.test_transactions import count, note

from bucle.identity import create_token
from bucle.ledger import DiskFull, Durability, EventFilter, Home, HomeBusy, find_server, migrations
from bucle.ledger import home as home_module
from bucle.ledger.errors import HomeNewer, HomeUnfit

HOLD = "import sys, time; from pathlib import Path; from bucle.ledger import Home\n"
HOLD += "home = Home.open(Path(sys.argv[1])); home.announce('http://127.0.0.1:1'); print('held', flush=True); time.sleep(600)"

WRITE = """
import sys, threading
from pathlib import Path
from bucle.identity import create_token
from bucle.ledger import Home

home = Home.open(Path(sys.argv[1]))
out = threading.Lock()

def write(thread):
    for number in range(250):
        issued = create_token(home.ledger, f"{thread}.{number}", "viewer")
        with out:
            print(issued.id, flush=True)

threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def start(script: str, *arguments: object) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )


def test_a_home_that_is_held_is_refused_with_its_holder(tmp_path: Path) -> None:
    with start(HOLD, tmp_path) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            with pytest.raises(HomeBusy) as refused:
                Home.open(tmp_path)
            server = find_server(tmp_path)
        finally:
            holder.kill()
    assert refused.value.code == "ledger/home-busy"
    assert str(holder.pid) in refused.value.text
    assert server is not None and (server.url, server.pid) == ("http://127.0.0.1:1", holder.pid)
    assert find_server(tmp_path) is None, "what a killed server announced is not believed"
    home = Home.open(tmp_path)
    assert find_server(tmp_path) is None, "the killed one's address is not that of the new holder"
    home.close()


def test_looking_for_a_server_does_not_keep_others_from_opening(tmp_path: Path) -> None:
    Home.open(tmp_path).close()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            find_server(tmp_path)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            Home.open(tmp_path).close()
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("round", range(3))
def test_kill_9_among_a_thousand_writes_loses_nothing_and_shows_nothing_half_done(tmp_path: Path, round: int) -> None:
    victim = start(WRITE, tmp_path)
    assert victim.stdout is not None
    lines = [victim.stdout.readline() for _ in range(random.Random(round).randrange(50, 500))]
    victim.send_signal(signal.SIGKILL)
    lines += victim.communicate(timeout=60)[0].splitlines(keepends=True)
    acknowledged = {line.strip() for line in lines if line.endswith("\n")}
    home = Home.open(tmp_path)
    with home.ledger.read() as reader:
        tokens = {row["id"]: row["event"] for row in reader.rows("SELECT id, event FROM token")}
        orphans = reader.rows("SELECT id FROM token WHERE principal NOT IN (SELECT id FROM principal)")
    events = {event.subject: event.seq for event in home.ledger.events(EventFilter(limit=10_000))}
    assert acknowledged and acknowledged <= set(tokens)
    assert tokens == events, "every row has its event and every event its row"
    assert not orphans
    assert not home.ledger.check()
    create_token(home.ledger, "after", "viewer")
    home.close()


def test_a_full_disk_undoes_the_write_and_says_so(home: Home) -> None:
    note(home, "before")
    writer = home.ledger._database._writer
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull) as refused, home.ledger.write() as tx:
        tx.execute("INSERT INTO principal (id, name, kind, created_us) VALUES ('a', 'a', 'person', 0)")
        tx.execute("INSERT INTO lineage_node VALUES ('x', 'artifact', 'k', ?, 'p', 0)", ("x" * 10_000_000,))
    assert refused.value.code == "ledger/disk-full"
    assert (home.ledger.newest(), count(home)) == (1, 0)
    writer.execute(f"PRAGMA max_page_count = {pages + 10_000}")
    assert note(home, "there is space again") == 2


def test_a_full_disk_fails_every_write_of_the_group_or_none(home: Home) -> None:
    writer = home.ledger._database._writer
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0] + 20}")
    kept: list[str] = []

    def write(thread: int) -> None:
        for number in range(20):
            name = f"{thread}-{number}-" + "x" * 4000
            try:
                note(home, name, name)
            except DiskFull:
                continue
            kept.append(name)

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0 < len(kept) < 80
    assert sorted(kept) == sorted(event.subject for event in home.ledger.events())


def test_a_home_on_a_full_disk_says_so_when_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFull):
        Home.open(tmp_path)
    monkeypatch.undo()
    Home.open(tmp_path).close()


def test_an_io_error_of_a_full_disk_is_told_from_one_of_a_broken_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bucle.ledger.sqlite import explained

    error = sqlite3.OperationalError("disk I/O error")
    assert explained(error, tmp_path / "ledger.db") is error
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    assert isinstance(explained(error, tmp_path / "ledger.db"), DiskFull)


def test_a_home_of_a_newer_bucle_is_refused_and_left_alone(home: Home) -> None:
    home.close()
    with sqlite3.connect(home.path / "ledger.db") as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    with pytest.raises(HomeNewer) as refused:
        Home.open(home.path)
    assert refused.value.code == "ledger/home-newer"
    assert "9999" in refused.value.text


def test_an_older_home_is_brought_up_to_date_after_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = migrations._numbered()
    newest = max(known)
    monkeypatch.setattr(migrations, "_numbered", lambda: {number: known[number] for number in known if number < newest})
    older = Home.open(tmp_path)
    note(older, "kept")
    older.close()
    monkeypatch.undo()
    home = Home.open(tmp_path)
    assert [event.data["text"] for event in home.ledger.events()] == ["kept"]
    with home.ledger.read() as reader:
        assert reader.row("PRAGMA user_version")[0] == newest  # type: ignore[index]
    home.close()
    [backup] = (tmp_path / "backups").iterdir()
    with closing(sqlite3.connect(backup)) as database:
        assert database.execute("SELECT count(*) FROM event").fetchone() == (1,)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Home.open(tmp_path).close()
    known = migrations._numbered()
    broken = {**known, max(known) + 1: "CREATE TABLE half (id TEXT);\nCREATE TABEL other (id TEXT);\n"}
    monkeypatch.setattr(migrations, "_numbered", lambda: broken)
    with pytest.raises(sqlite3.OperationalError):
        Home.open(tmp_path)
    monkeypatch.undo()
    home = Home.open(tmp_path)
    with home.ledger.read() as reader:
        assert not reader.rows("SELECT name FROM sqlite_master WHERE name = 'half'")
    home.close()


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_home_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mounts = tmp_path / "mounts"
    share = tmp_path / "my share"
    written = str(share).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {written} {kind} rw 0 0\n")
    monkeypatch.setattr(home_module, "_MOUNTS", mounts)
    with pytest.raises(HomeUnfit) as refused:
        Home.open(share / "home")
    assert refused.value.code == "ledger/home-unfit"
    assert kind in refused.value.text
    Home.open(tmp_path / "beside").close()


def test_a_file_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HomeUnfit):
        Home.open(tmp_path / "file")


def test_two_processes_that_open_at_once_do_not_both_get_it(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        outcomes = pool.map_async(_try_to_hold, [str(tmp_path)] * 4, chunksize=1).get(timeout=60)
    assert outcomes.count("overlap") == 0


def _try_to_hold(path: str) -> str:
    try:
        home = Home.open(Path(path))
    except HomeBusy:
        return "busy"
    mark = Path(path) / "mark"
    overlap = mark.exists()
    mark.write_text("x")
    note(home, "mine")
    mark.unlink()
    home.close()
    return "overlap" if overlap else "held"


def test_a_home_keeps_what_it_was_told_to_survive(tmp_path: Path) -> None:
    def opened(durability: Durability | None = None) -> tuple[str, int]:
        home = Home.open(tmp_path, durability=durability)
        writer = home.ledger._database._writer
        found = (home.ledger.durability, writer.execute("PRAGMA synchronous").fetchone()[0])
        home.close()
        return found

    normal, full = 1, 2
    told: list[Durability | None] = [None, "power", None, "power", "process", None]
    assert [opened(durability) for durability in told] == [
        ("process", normal),
        ("power", full),
        ("power", full),
        ("power", full),
        ("process", normal),
        ("process", normal),
    ]
    home = Home.open(tmp_path)
    events = home.ledger.events(EventFilter(kinds=("ledger.durability_set",)))
    home.close()
    assert [(event.data["before"], event.data["durability"]) for event in events] == [
        ("process", "power"),
        ("power", "process"),
    ]
