"""Runs keep what they are given, once, in order, with their lineage."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucle.ledger import EventFilter, Ledger, Scope, within
from bucle.tracking import (
    ArtifactLog,
    DataUse,
    MetricPoint,
    Note,
    RunFilter,
    RunLog,
    RunStart,
    begin_run,
    completeness,
    finish_run,
    get_run,
    iterations,
    last_metrics,
    list_runs,
    metric_point,
    record,
    run_from_hex,
    run_hex,
    run_metrics,
)
from bucle.tracking.errors import BadMetric, BadName, ParameterChanged, RunOver, TooMuch, UnknownRun

WEATHER = DataUse("weather", "ds_1")
CODE = {"commit": "c0ffee" * 6, "lock": "blake3:10c4"}


def begin(ledger: Ledger, name: str = "fit", **start: object) -> str:
    with ledger.write() as tx:
        return begin_run(tx, RunStart(name, **start))


def log(ledger: Ledger, run: str, **what: object) -> bool:
    with ledger.write() as tx:
        return record(tx, run, RunLog(**what))


def end(ledger: Ledger, run: str, status: str = "succeeded") -> int:
    with ledger.write() as tx:
        return finish_run(tx, run, status)


def test_a_run_gives_back_what_it_was_given(ledger: Ledger) -> None:
    run = begin(ledger, kind="step", params={"rate": 0.1, "window": "90d", "deep": True}, data=(WEATHER,), seed=7, **CODE)
    log(ledger, run, metrics=[metric_point("loss", 0.5, 1)], tags={"why": "tests"}, notes=[Note("split", {"holdout": "14d"})])
    end(ledger, run)
    with ledger.read() as reader:
        found = get_run(reader, run)
    assert found.params == {"rate": 0.1, "window": "90d", "deep": True}
    assert (found.data, found.tags, found.notes) == ((WEATHER,), {"why": "tests"}, (Note("split", {"holdout": "14d"}),))
    assert [(point.name, point.number, point.step) for point in found.metrics] == [("loss", 0.5, 1)]
    assert (found.run.actor, found.run.project, found.run.environment, found.run.seed) == ("ana", "flights", "dev", 7)
    assert found.run.status == "succeeded" and found.run.seconds is not None and found.run.seconds >= 0


def test_the_end_of_a_run_is_caused_by_its_start(ledger: Ledger) -> None:
    run = begin(ledger)
    seq = end(ledger, run, "failed")
    started, finished = ledger.events(EventFilter(kinds=("tracking.run_started", "tracking.run_finished")))
    assert (finished.seq, finished.caused_by) == (seq, (started.seq,))
    with pytest.raises(RunOver):
        end(ledger, run)


def test_numbers_that_neither_json_nor_sql_can_hold_survive(ledger: Ledger) -> None:
    run = begin(ledger)
    for step, value in enumerate([math.nan, math.inf, -math.inf, 1.0]):
        log(ledger, run, metrics=[metric_point("loss", value, step)])
    with ledger.read() as reader:
        numbers = [point.number for point in run_metrics(reader, run, "loss")]
    assert math.isnan(numbers[0]) and numbers[1:] == [math.inf, -math.inf, 1.0]


@given(
    points=st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 3), st.floats(width=32)), max_size=12),
    cut=st.integers(0, 12),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_last_point_is_that_of_the_greatest_step_however_batches_are_cut(
    ledger: Ledger, points: list[tuple[str, int, float]], cut: int
) -> None:
    run = begin(ledger)
    made = [
        MetricPoint(name, metric_point(name, value).value, step, at_us)
        for at_us, (name, step, value) in enumerate(points, start=1)
    ]
    log(ledger, run, metrics=made[:cut])
    log(ledger, run, metrics=made[cut:])
    with ledger.read() as reader:
        held = {point.name: point for point in get_run(reader, run).metrics}
        lengths = {name: len(run_metrics(reader, run, name)) for name in "ab"}
    for name in "ab":
        mine = [point for point in made if point.name == name]
        assert lengths[name] == len(mine)
        assert held.get(name) == (max(mine, key=lambda point: (point.step, point.at_us)) if mine else None)


def test_a_batch_that_is_sent_twice_is_recorded_once(ledger: Ledger) -> None:
    run = begin(ledger)
    assert log(ledger, run, metrics=[metric_point("loss", 1)], batch=1) is True
    assert log(ledger, run, metrics=[metric_point("loss", 1)], batch=1) is False
    with ledger.read() as reader:
        assert len(run_metrics(reader, run, "loss")) == 1


def test_a_parameter_never_changes(ledger: Ledger) -> None:
    run = begin(ledger, params={"rate": 0.1})
    log(ledger, run, params={"rate": 0.1, "depth": 3})
    with pytest.raises(ParameterChanged):
        log(ledger, run, params={"rate": 0.2, "more": 1})
    with ledger.read() as reader:
        assert get_run(reader, run).params == {"rate": 0.1, "depth": 3}


@pytest.mark.parametrize("name", ["", "a" * 251, "../x", "/etc/passwd", "a\\..\\b", "a\x00b", "a\nb"])
def test_a_name_that_is_no_name_is_refused(ledger: Ledger, name: str) -> None:
    run = begin(ledger)
    for what in ({"params": {name: 1}}, {"tags": {name: "1"}}, {"artifacts": [ArtifactLog(name, "blake3:00")]}):
        with pytest.raises(BadName):
            log(ledger, run, **what)
    with pytest.raises(BadName):
        log(ledger, run, metrics=[MetricPoint(name, 1.0)])


def test_what_is_too_much_is_refused(ledger: Ledger) -> None:
    run = begin(ledger)
    with pytest.raises(TooMuch):
        log(ledger, run, params={"text": "x" * 20_000})
    with pytest.raises(TooMuch):
        log(ledger, run, tags={str(number): "" for number in range(10_001)})
    with pytest.raises(BadMetric):
        log(ledger, run, metrics=[MetricPoint("loss", 1.0, step=2**63)])


def test_an_unknown_run_and_another_projects_run_are_unknown(ledger: Ledger) -> None:
    run = begin(ledger)
    with pytest.raises(UnknownRun), ledger.read() as reader:
        get_run(reader, "run_nothing")
    with pytest.raises(UnknownRun), ledger.read() as reader:
        get_run(reader, run, project="houses")
    with pytest.raises(UnknownRun), within(Scope("houses", "dev")):
        begin(ledger, parent=run)


def test_a_filter_narrows_and_pages(ledger: Ledger) -> None:
    runs = [begin(ledger, f"r{number}", kind="pipeline" if number % 2 else "step", started_us=number) for number in range(1, 7)]
    end(ledger, runs[0])
    with ledger.read() as reader:
        assert [run.id for run in list_runs(reader)] == runs[::-1]
        assert [run.id for run in list_runs(reader, RunFilter(kind="pipeline", status="running"))] == [runs[4], runs[2]]
        assert [run.id for run in list_runs(reader, RunFilter(before=runs[3], limit=2))] == [runs[2], runs[1]]
        assert list_runs(reader, RunFilter(project="houses")) == []
        assert last_metrics(reader, runs[:1]) == {runs[0]: {}}


def test_lineage_leads_from_an_artifact_to_data_code_and_runtime(ledger: Ledger) -> None:
    parent = begin(ledger, "train", kind="pipeline")
    run = begin(ledger, parent=parent, data=(WEATHER,), inputs=("blake3:f4a3e",), **CODE)
    log(ledger, run, artifacts=[ArtifactLog("model", "blake3:0de1", 10)])
    sources = {edge.source for edge in ledger.lineage("blake3:0de1")}
    assert {run, parent, "ds_1", "blake3:f4a3e", f"commit:{CODE['commit']}", f"lock:{CODE['lock']}"} <= sources
    with ledger.read() as reader:
        assert get_run(reader, parent).children == (run,)


def test_a_training_iteration_says_what_its_record_lacks(ledger: Ledger) -> None:
    parent = begin(ledger, "train", kind="pipeline")
    bare = begin(ledger, parent=parent, kind="step", purpose="training")
    end(ledger, bare)
    whole = begin(ledger, parent=parent, kind="step", purpose="training", params={"rate": 1}, data=(WEATHER,), **CODE)
    log(ledger, whole, metrics=[metric_point("loss", 0.4)])
    end(ledger, whole)
    first, second = ledger.events(EventFilter(kinds=("tracking.iteration_recorded",)))
    assert (first.data["iteration"], set(first.data["missing"])) == (1, {"parameters", "metrics", "data", "code", "runtime"})
    assert (second.data["iteration"], second.data["missing"]) == (2, [])
    with ledger.read() as reader:
        assert [each.complete for each in iterations(reader, "flights")] == [True, False]


def test_the_metrics_of_an_iteration_may_come_from_the_run_that_evaluates_its_model(ledger: Ledger) -> None:
    fit = begin(ledger, kind="step", purpose="training", params={"rate": 1}, data=(WEATHER,), **CODE)
    log(ledger, fit, artifacts=[ArtifactLog("model", "blake3:0de1")])
    end(ledger, fit)
    with ledger.read() as reader:
        assert completeness(reader, fit).missing == ("metrics",)
    evaluation = begin(ledger, purpose="evaluation", inputs=("blake3:0de1",))
    log(ledger, evaluation, metrics=[metric_point("roc_auc", 0.7)])
    evaluated = end(ledger, evaluation)
    with ledger.read() as reader:
        assert completeness(reader, fit).complete
    first, second = ledger.events(EventFilter(kinds=("tracking.iteration_recorded",)))
    assert (first.data["missing"], second.data["missing"]) == (["metrics"], [])
    assert second.caused_by == (evaluated,) and second.subject == fit and second.data["iteration"] == 1


def test_a_run_id_has_a_form_of_32_hex_digits(ledger: Ledger) -> None:
    run = begin(ledger)
    assert len(run_hex(run)) == 32 and run_from_hex(run_hex(run)) == run
    for bad in ("", "run_", run[:-1], "mv_" + run[4:], "run_" + "U" * 26):
        with pytest.raises(UnknownRun):
            run_hex(bad)
    with pytest.raises(UnknownRun):
        run_from_hex("g" * 32)
