"""What is logged outside a pipeline arrives once, in order, whatever the way there does."""

from pathlib import Path

import pytest

from bucle.errors import RemoteError
from bucle.ledger import EventFilter, Ledger, content_id
from bucle.tracking import (
    RunLog,
    RunRecord,
    RunStart,
    active_run,
    begin_run,
    collecting,
    end_silent_runs,
    finish_run,
    finish_script,
    get_run,
    log_artifact,
    log_metric,
    log_param,
    record,
    record_script,
    run_metrics,
    setting,
    store,
)
from bucle.tracking.errors import NoArtifactStore, ParameterChanged, UnknownSetting
from bucle.tracking.runs import RunStatus


class LedgerSink:
    """A sink straight into a ledger, over a way that may lose answers."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lose_answers = 0
        self.kept: dict[str, bytes] = {}

    def begin(self, start: RunStart) -> str:
        with self.ledger.write() as tx:
            return begin_run(tx, start)

    def record(self, run_id: str, log: RunLog) -> None:
        with self.ledger.write() as tx:
            record(tx, run_id, log)
        if self.lose_answers:
            self.lose_answers -= 1
            raise ConnectionResetError("the answer was lost")

    def finish(self, run_id: str, status: RunStatus, error: str | None) -> None:
        with self.ledger.write() as tx:
            finish_run(tx, run_id, status, error=error)

    def keep(self, run_id: str, content: bytes | Path) -> str:
        data = content.read_bytes() if isinstance(content, Path) else content
        self.kept[content_id(data)] = data
        return content_id(data)


@pytest.fixture
def sink(ledger: Ledger) -> LedgerSink:
    return LedgerSink(ledger)


def found(ledger: Ledger, run_id: str) -> RunRecord:
    with ledger.read() as reader:
        return get_run(reader, run_id)


def test_what_a_script_logs_is_on_record_when_the_block_ends(ledger: Ledger, sink: LedgerSink, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello", "utf-8")
    with active_run(sink, "try", experiment="rates") as run:
        log_param("rate", 0.1)
        for step in range(1000):
            log_metric("loss", 1 / (step + 1), step)
        log_artifact("notes", tmp_path / "notes.txt")
        run.set_tag("mood", "good")
    record = found(ledger, run.id)
    assert (record.run.status, record.params, record.tags) == ("succeeded", {"rate": 0.1}, {"mood": "good"})
    assert [(each.name, each.id, each.size) for each in record.artifacts] == [("notes", content_id(b"hello"), 5)]
    with ledger.read() as reader:
        assert [point.step for point in run_metrics(reader, run.id, "loss")] == list(range(1000))


def test_a_run_within_a_run_is_its_child(ledger: Ledger, sink: LedgerSink) -> None:
    with active_run(sink, "outer") as outer:
        with active_run(sink, "inner") as inner:
            log_param("depth", 3)
        log_param("depth", 4)
    assert found(ledger, inner.id).run.parent == outer.id
    assert (found(ledger, inner.id).params, found(ledger, outer.id).params) == ({"depth": 3}, {"depth": 4})


@pytest.mark.parametrize(("error", "status"), [(ValueError("no"), "failed"), (KeyboardInterrupt(), "cancelled")])
def test_an_exception_ends_the_run_and_goes_on_its_way(
    ledger: Ledger, sink: LedgerSink, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), active_run(sink, "try") as run:
        log_metric("loss", 1.0)
        raise error
    record = found(ledger, run.id)
    assert (record.run.status, len(record.metrics)) == (status, 1)
    assert record.run.error == ("ValueError: no" if status == "failed" else None)


def test_a_batch_whose_answer_is_lost_is_recorded_once_and_what_follows_too(ledger: Ledger, sink: LedgerSink) -> None:
    with active_run(sink, "try") as run:
        log_metric("loss", 1.0, 1)
        sink.lose_answers = 2
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                run.flush()
        log_metric("loss", 0.5, 2)
        sink.lose_answers = 1  # that of the last batch: the end of the block sends it again
    with ledger.read() as reader:
        assert [point.number for point in run_metrics(reader, run.id, "loss")] == [1.0, 0.5]


def test_a_flood_of_points_goes_out_in_batches(ledger: Ledger, sink: LedgerSink) -> None:
    with active_run(sink, "try") as run:
        for step in range(25_000):
            run.log_metric("loss", 1.0, step)
    with ledger.read() as reader:
        assert len(run_metrics(reader, run.id, "loss")) == 25_000


def test_a_refused_batch_is_said_at_the_end(sink: LedgerSink, ledger: Ledger) -> None:
    def refuse(run_id: str, log: RunLog) -> None:
        raise RemoteError("tracking/too-much", "Too many.", None, "")

    sink.record = refuse  # type: ignore[method-assign]
    with pytest.raises(RemoteError), active_run(sink, "try") as run:
        log_metric("loss", 1.0)
    assert found(ledger, run.id).run.status == "succeeded"


def test_a_parameter_cannot_change_after_it_was_delivered(sink: LedgerSink) -> None:
    with active_run(sink, "try") as run:
        log_param("rate", 0.1)
        run.flush()
        with pytest.raises(ParameterChanged):
            log_param("rate", 0.2)


def test_a_script_that_died_does_not_run_forever(ledger: Ledger) -> None:
    with ledger.write() as tx:
        died = begin_run(tx, RunStart("died"))
        step = begin_run(tx, RunStart("step", kind="step"))
        alive = begin_run(tx, RunStart("alive"))
        tx.execute("UPDATE run SET touched_us = 1 WHERE id <> ?", (alive,))
    assert end_silent_runs(ledger) == [died]
    assert [found(ledger, run).run.status for run in (died, step, alive)] == ["failed", "running", "running"]
    assert len(ledger.events(EventFilter(kinds=("tracking.run_finished",)))) == 1


def test_a_script_that_is_heard_again_after_its_run_was_ended_goes_on(ledger: Ledger) -> None:
    with ledger.write() as tx:
        asleep = begin_run(tx, RunStart("asleep"))
        stopped = begin_run(tx, RunStart("stopped"))
        finish_run(tx, stopped, "failed", error="ValueError: no")
        tx.execute("UPDATE run SET touched_us = 1")
    assert end_silent_runs(ledger) == [asleep]
    with ledger.write() as tx:
        record_script(tx, asleep, RunLog(batch=1))
        record_script(tx, stopped, RunLog(batch=1))
    assert [found(ledger, run).run.status for run in (asleep, stopped)] == ["running", "failed"]
    with ledger.write() as tx:
        tx.execute("UPDATE run SET touched_us = 1")
    assert end_silent_runs(ledger) == [asleep]
    with ledger.write() as tx:
        finish_script(tx, asleep, "succeeded")
    assert (found(ledger, asleep).run.status, found(ledger, asleep).run.error) == ("succeeded", None)
    revived = ledger.events(EventFilter(kinds=("tracking.run_revived",)))
    assert [event.subject for event in revived] == [asleep, asleep]


def test_a_script_that_ends_while_the_silent_ones_are_ended_stops_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.write() as tx:
        ending, died = begin_run(tx, RunStart("ending")), begin_run(tx, RunStart("died"))
        tx.execute("UPDATE run SET touched_us = 1")
    look, looked = store.silent_scripts, []

    def look_and_be_late(reader: object, since_us: int) -> object:
        seen = look(reader, since_us)  # type: ignore[arg-type]
        if not looked:
            looked.append(seen)
            with ledger.write() as tx:
                finish_run(tx, ending, "succeeded")
        return seen

    monkeypatch.setattr(store, "silent_scripts", look_and_be_late)
    assert end_silent_runs(ledger) == [died]
    assert found(ledger, ending).run.status == "succeeded"


def test_outside_a_run_a_step_is_just_a_function() -> None:
    log_param("rate", 0.1)
    log_metric("loss", 1.0)
    assert log_artifact("x", b"") is None
    assert setting("limit", 3) == 3
    with pytest.raises(UnknownSetting):
        setting("limit")


def test_inside_a_step_everything_goes_to_its_spool() -> None:
    log = RunLog()
    with collecting(log, settings={"limit": [1, 2]}):
        log_param("rate", 0.1)
        assert setting("limit") == [1, 2] and setting("limit") == [1, 2] and setting("other", "x") == "x"
        with pytest.raises(NoArtifactStore):
            log_artifact("x", b"")
    assert log.params == {"rate": 0.1}
    assert [(read.name, read.value) for read in log.settings_read] == [("limit", "[1, 2]"), ("other", '"x"')]
