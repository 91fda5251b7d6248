"""Predictions reach the ledger exactly once, with who asked, for whom, and why that model answered."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bucle.ledger import EventFilter, Home, Scope
from bucle.serving import callers, deploy, get_prediction, prediction_causes, recent_predictions
from bucle.serving.log import LoggedRow, PredictionLog

SCOPE = Scope("flights", "production")


def test_a_prediction_is_in_the_ledger_after_shipping_with_inputs_caller_and_causes(bench) -> None:
    id = bench.predict("f1", bench.home.ledger.clock.now(), 0.25, inputs=["AA", None, 7, True])
    assert bench.log.ship() == 1
    with bench.home.ledger.read() as reader:
        found = get_prediction(reader, id)
        causes = prediction_causes(reader, id)
    assert found is not None
    assert (found.key, found.output, found.inputs, found.caller, found.client, found.store) == (
        "f1",
        0.25,
        ["AA", None, 7, True],
        "ana",
        "shop/1",
        "online",
    )
    deployed, logged = (bench.home.ledger.event(seq) for seq in causes)
    assert (deployed.kind, logged.kind) == ("serving.deployed", "serving.predictions_logged")
    assert logged.caused_by == (deployed.seq,)
    assert (logged.data["first"], logged.data["last"], logged.data["count"]) == (id, id, 1)
    assert logged.data["callers"] == ["ana"]


def test_shipping_again_adds_neither_rows_nor_events(bench) -> None:
    bench.predict("f1", bench.home.ledger.clock.now())
    bench.log.ship()
    assert bench.log.ship() == 0
    assert len(bench.home.ledger.events(EventFilter(kinds=("serving.predictions_logged",)))) == 1


def test_a_crash_between_the_commit_and_the_removal_of_the_segment_doubles_nothing(
    bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.predict("f1", bench.home.ledger.clock.now())
    with monkeypatch.context() as patched:
        patched.setattr(bench.log._spool, "drop", lambda shipped: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bench.log.ship()
    again = PredictionLog(bench.home.ledger, bench.home.folder("spool"))
    assert again.ship() == 0
    with bench.home.ledger.read() as reader:
        assert len(recent_predictions(reader, SCOPE, "delay")) == 1
    assert len(bench.home.ledger.events(EventFilter(kinds=("serving.predictions_logged",)))) == 1
    again.close()


def test_a_ledger_that_cannot_write_loses_nothing(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    id = bench.predict("f1", bench.home.ledger.clock.now())
    with monkeypatch.context() as patched:
        patched.setattr("bucle.serving.log.store.insert_predictions", lambda tx, rows: (_ for _ in ()).throw(OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            bench.log.ship()
    assert bench.log.ship() == 1
    with bench.home.ledger.read() as reader:
        assert get_prediction(reader, id) is not None


_WRITER = """
import sys
from pathlib import Path
import msgspec
from bucle.ledger import Home
from bucle.serving.log import LoggedRequest, LoggedRow, PredictionLog
home = Home.open(Path(sys.argv[1]))
log = PredictionLog(home.ledger, home.folder("spool"))
number = 0
while True:
    row = LoggedRow(f"pred_{number:06d}", None, 1, [1.0], 0.5)
    deployment, event = sys.argv[2], int(sys.argv[3])
    log.append(LoggedRequest("r", "flights", "production", "delay", deployment, "mv_1", event, "a", "", "online", 1, [row]))
    print(number, flush=True)
    number += 1
    if number % 50 == 0:
        log.ship()
"""


def test_a_kill_in_the_middle_of_logging_and_shipping_loses_and_doubles_nothing(tmp_path: Path, candidate) -> None:
    path, before = tmp_path / "killed", Home.open(tmp_path / "killed")
    with before.ledger.write() as tx:
        deployment = deploy(tx, SCOPE, candidate(1))
    before.close()
    command = [sys.executable, "-c", _WRITER, str(path), deployment.id, str(deployment.event)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": "src"})
    assert writer.stdout is not None
    for _ in range(475):
        acknowledged = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = max([acknowledged, *(int(line) for line in writer.stdout.read().split(b"\n")[:-1])])
    writer.wait(timeout=60)
    writer.stdout.close()
    home = Home.open(path)
    log = PredictionLog(home.ledger, home.folder("spool"))
    log.ship()
    with home.ledger.read() as reader:
        ids = [row["id"] for row in reader.rows("SELECT id FROM prediction ORDER BY id")]
    counted = sum(event.data["count"] for event in home.ledger.events(EventFilter(kinds=("serving.predictions_logged",))))
    assert ids == [f"pred_{number:06d}" for number in range(len(ids))]
    assert len(ids) >= acknowledged + 1
    assert counted == len(ids)
    log.close()
    home.close()


def test_callers_are_counted_by_person_and_client(bench, request_of) -> None:
    for number, (caller, client) in enumerate((("ana", "shop/1"), ("ana", "shop/1"), ("bob", ""))):
        row = LoggedRow(f"pred_{number}", None, 1, ["AA", 1.0, 1, False], 0.5)
        bench.log.append(request_of(bench.deployment, [row], caller, client))
    bench.log.ship()
    with bench.home.ledger.read() as reader:
        found = [(each.caller, each.client, each.predictions, each.requests) for each in callers(reader, SCOPE, "delay")]
    assert found == [("ana", "shop/1", 2, 2), ("bob", "", 1, 1)]


def test_a_spool_of_many_segments_is_shipped_whole(bench, tmp_path: Path) -> None:
    ids = [bench.predict(str(number), bench.home.ledger.clock.now()) for number in range(300)]
    bench.log.ship()
    with bench.home.ledger.read() as reader:
        assert {each.id for each in recent_predictions(reader, SCOPE, "delay", 1000)} == set(ids)
        assert reader.rows("SELECT * FROM prediction_spool") == []
    assert list(bench.home.folder("spool").iterdir()) == []
