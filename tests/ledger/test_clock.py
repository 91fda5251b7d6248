"""The home's clock: the world's, or one that moves only when it is told to."""

import sqlite3
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.conftest import START

from bucle.ledger import Home, Ticked, parse_duration, parse_instant
from bucle.ledger.errors import BadDuration, BadInstant, ClockBackwards, ClockNotReplay

HOUR = timedelta(hours=1)


def test_a_replay_clock_stands_still_and_moves_with_its_event(replay: Home) -> None:
    assert replay.ledger.clock.now() == START
    [seq] = replay.ledger.move_clock(START + HOUR, Ticked(START + HOUR))
    assert replay.ledger.clock.now() == START + HOUR
    assert replay.ledger.event(seq).as_of == START + HOUR, "the tick happens at the hour that it rings"


def test_a_replay_clock_survives_the_process(replay: Home) -> None:
    replay.ledger.move_clock(START + HOUR)
    replay.close()
    again = Home.open(replay.path)
    assert again.ledger.clock.kind == "replay"
    assert again.ledger.clock.now() == START + HOUR
    again.close()


def test_a_clock_does_not_go_back(replay: Home) -> None:
    with pytest.raises(ClockBackwards) as refused:
        replay.ledger.move_clock(START - HOUR)
    assert refused.value.code == "ledger/clock-backwards"
    assert replay.ledger.clock.now() == START


def test_a_move_that_fails_leaves_the_clock_where_it_was(replay: Home) -> None:
    with pytest.raises(AttributeError):
        replay.ledger.move_clock(START + HOUR, object())  # type: ignore[arg-type]
    assert replay.ledger.clock.now() == START
    assert replay.ledger.newest() == 0


def test_moves_that_fail_together_leave_the_clock_where_it_is_stored(replay: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two moves and a write in one group, whose commit fails; the second move, which began from the first, is put back last."""
    database, clock = replay.ledger._database, replay.ledger.clock
    monkeypatch.setattr(database, "_writer", _NoCommit(database._writer))
    refused: list[BaseException] = []
    put_back = clock.put_back

    def later(*given: Any) -> None:
        time.sleep(0.2 if threading.current_thread().name == "2" else 0)
        put_back(*given)

    def move() -> None:
        try:
            replay.ledger.move_clock(START + int(threading.current_thread().name) * HOUR)
        except (sqlite3.OperationalError, ClockBackwards) as error:  # backwards: when the second thread's turn comes first
            refused.append(error)

    monkeypatch.setattr(clock, "put_back", later)
    threads = [threading.Thread(target=move, name=name) for name in ("1", "2")]
    with pytest.raises(sqlite3.OperationalError), database.write():
        for number, thread in enumerate(threads, 1):
            thread.start()
            while database._waiting < number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert len(refused) == 2
    assert clock.now() == START
    monkeypatch.undo()
    replay.ledger.move_clock(START + HOUR)
    assert clock.now() == START + HOUR


class _NoCommit:
    """A connection that cannot commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> sqlite3.Cursor:
        if sql == "COMMIT":
            raise sqlite3.OperationalError("cannot commit")
        return self._connection.execute(sql, parameters)


def test_the_wall_clock_cannot_be_moved(home: Home) -> None:
    with pytest.raises(ClockNotReplay) as refused:
        home.ledger.move_clock(START)
    assert refused.value.code == "ledger/clock-not-replay"


def test_a_home_keeps_the_clock_that_it_was_made_with(tmp_path: Path, home: Home) -> None:
    home.close()
    again = Home.open(home.path, replay_from=START)
    assert again.ledger.clock.kind == "wall"
    again.close()


@pytest.mark.parametrize("text", ["", "36", "h", "3x", "-1h", "1h 30", "1.5h", "99999999999w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadDuration) as refused:
        parse_duration(text)
    assert refused.value.code == "ledger/bad-duration"


def test_a_duration_adds_its_parts() -> None:
    assert parse_duration("1d12h") == timedelta(days=1, hours=12)


@pytest.mark.parametrize("text", ["", "yesterday", "2013-13-01", "1e9", "0001-01-01T00:00:00+23:00"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(BadInstant) as refused:
        parse_instant(text)
    assert refused.value.code == "ledger/bad-instant"


def test_an_instant_without_an_offset_is_utc() -> None:
    assert parse_instant("2013-01-01T01:00:00+01:00") == parse_instant("2013-01-01T00:00:00") == START
