"""Runs of real pipelines, in this interpreter's child processes."""

import os
import signal
import time
from pathlib import Path

import pytest
from tests.pipelines.conftest import DEV, Place

from bucle.ledger import EventFilter, StoredEvent, acting
from bucle.pipelines import ValueRef, list_attempts
from bucle.pipelines.errors import RunNotResumable
from bucle.pipelines.orders import Result, Usage
from bucle.tracking import get_run


@pytest.fixture(params=["inline", "processes"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_pipeline_hands_values_from_step_to_step(place: Place, engine: str) -> None:
    place.write("""
        @bucle.step
        def double(number: int) -> int:
            return number * 2

        @bucle.step
        def both(a: int, b: int) -> tuple[int, int]:
            return a, b

        @bucle.step
        def total(numbers: list[int], extra: dict[str, int]) -> int:
            return sum(numbers) + extra["one"]

        @bucle.pipeline
        def inner(x: int):
            return double(x)

        @bucle.pipeline
        def main(start: int = 3):
            once = double(start)
            small, large = both(once, double(once))
            if large.value > 5:
                large = inner(large)
            return total([small, large, *double.map([1, 2])], {"one": once})
    """)
    run = place.run(engine=engine, start=5)
    assert run.state == "done", run.failure
    steps = place.steps(run)
    assert place.value(steps["total#1"].output) == 10 + 40 + 2 + 4 + 10
    assert set(steps["total#1"].needs) == {"both#1", "double#1", "double#3", "double#4", "inner#1/double#1"}


def test_what_a_run_leaves_in_the_ledger(place: Place) -> None:
    """K-C3, K-P2, K-D0, G1-md: order, usage of artifacts, who ran it, when, with what parameters."""
    place.write("""
        from bucle.tracking import log_metric

        @bucle.step
        def make(n: int) -> list[int]:
            return list(range(n))

        @bucle.step
        def use(numbers: list[int]) -> int:
            log_metric("size", len(numbers))
            return sum(numbers)

        @bucle.pipeline
        def main(n: int = 4):
            return use(make(n))
    """)
    run = place.run(engine="processes")
    steps, ledger = place.steps(run), place.home.ledger
    finished = ledger.events(EventFilter(kinds=("pipelines.step_finished",)))
    made = steps["make#1"].output
    assert made is not None
    assert [event.data["call"] for event in finished] == ["make#1", "use#1"]
    assert finished[1].data["inputs"] == finished[0].data["outputs"] == [made.artifact]
    assert finished[1].data["runtime"] == run.request.runtime
    assert finished[1].data["pid"] > 0 and finished[1].data["node"] == os.uname().nodename
    assert {event.actor for event in finished} == {"ana"}
    assert run.event in {event.seq for event in ledger.why(steps["use#1"].id)}
    with ledger.read() as reader:
        whole = get_run(reader, run.id)
        child = get_run(reader, steps["use#1"].tracking_run or "")
    assert (whole.run.status, whole.params) == ("succeeded", {"n": 4})
    assert [point.number for point in child.metrics] == [4.0]
    edges = {(edge.source, edge.target) for edge in ledger.lineage(child.run.id)}
    assert (made.artifact, child.run.id) in edges
    assert (steps["make#1"].id, made.artifact) in edges


def test_a_failing_step_is_tried_again_and_keeps_nothing_of_its_failures(place: Place, engine: str, tmp_path: Path) -> None:
    place.write(f"""
        from pathlib import Path
        from bucle.tracking import log_metric

        @bucle.step(retries=2, backoff=0.01)
        def work() -> int:
            count = Path({str(tmp_path / "count")!r})
            count.write_text(count.read_text() + "x" if count.exists() else "x")
            log_metric("tries", len(count.read_text()))
            if len(count.read_text()) < 3:
                raise ValueError("not yet")
            return 1

        @bucle.pipeline
        def main():
            return work()
    """)
    run = place.run(engine=engine)
    step = place.steps(run)["work#1"]
    assert (run.state, step.attempts) == ("done", 3)
    with place.home.ledger.read() as reader:
        assert [each.state for each in list_attempts(reader, step.id)] == ["failed", "failed", "done"]
        assert [point.number for point in get_run(reader, step.tracking_run or "").metrics] == [3.0]


def test_a_step_that_fails_is_named_with_its_line_and_the_others_stay(place: Place, engine: str) -> None:
    place.write("""
        @bucle.step
        def good(x: int) -> int:
            return x

        @bucle.step
        def bad(x: int) -> int:
            return 1 // x

        @bucle.step
        def after(x: int) -> int:
            return x

        @bucle.pipeline
        def main():
            kept = good(7)
            return after(bad(0)), kept
    """)
    run = place.run(engine=engine)
    steps = place.steps(run)
    assert run.state == "failed" and run.failure is not None
    assert "bad#1" in run.failure.reason and "ZeroDivisionError" in run.failure.reason
    assert run.failure.where == "demo.py:9"
    assert {call: step.state for call, step in steps.items()} == {"good#1": "done", "bad#1": "failed", "after#1": "skipped"}
    with place.home.ledger.read() as reader:
        log = list_attempts(reader, steps["bad#1"].id)[0].log
    assert "ZeroDivisionError" in Path(log or "").read_text()


def test_a_pipeline_may_deal_with_a_failed_step(place: Place, engine: str) -> None:
    place.write("""
        @bucle.step
        def bad() -> int:
            raise ValueError("no")

        @bucle.step
        def instead() -> int:
            return 2

        @bucle.pipeline
        def main():
            try:
                return bad().value
            except Exception:
                return instead()
    """)
    run = place.run(engine=engine)
    assert (run.state, place.steps(run)["instead#1"].state) == ("done", "done")


@pytest.mark.parametrize("how", ["time.sleep(60)", "list(iter(int, 1))"])
def test_a_step_that_takes_too_long_is_ended(place: Place, engine: str, how: str) -> None:
    """The second way never returns to the interpreter's loop: only killing the process helps."""
    place.write(f"""
        import time

        @bucle.step(timeout=0.3)
        def slow() -> int:
            {how}
            return 1

        @bucle.pipeline
        def main():
            return slow()
    """)
    run = place.run(engine=engine)
    assert run.state == "failed" and run.failure is not None
    assert run.failure.code == "pipelines/step-timeout"
    assert "longer than 0.3 s" in run.failure.reason


def test_a_run_that_failed_is_resumed_after_a_repair_without_running_committed_steps(place: Place, engine: str) -> None:
    text = """
        @bucle.step(cache=False)
        def first() -> int:
            return 3

        @bucle.step(cache=False)
        def second(x: int) -> int:
            return x + 1

        @bucle.step
        def third(x: int) -> int:
            DEFECT
            return x * 2

        @bucle.pipeline
        def main():
            return third(second(first()))
    """
    place.write(text.replace("DEFECT", "raise ValueError('defect')"))
    failed = place.run(engine=engine)
    assert failed.state == "failed"
    place.write(text.replace("DEFECT", "pass"))
    place.runs.resume(failed.id)
    run = place.runs.wait(failed.id, 60)
    assert (run.state, run.epoch) == ("done", 2), run.failure
    assert {call: step.attempts for call, step in place.steps(run).items()} == {"first#1": 1, "second#1": 1, "third#1": 2}
    resumed = place.home.ledger.events(EventFilter(kinds=("pipelines.run_resumed",)))[0]
    assert (resumed.data["committed_steps"], resumed.data["code_changed"]) == (2, True)
    with pytest.raises(RunNotResumable):
        place.runs.resume(run.id)


def test_a_resumed_run_shows_what_changed_of_a_committed_step(place: Place) -> None:
    text = """
        @bucle.step
        def first() -> int:
            return VALUE

        @bucle.step
        def second(x: int) -> int:
            if x == 1:
                raise ValueError(x)
            return x

        @bucle.pipeline
        def main():
            return second(first())
    """
    place.write(text.replace("VALUE", "1"))
    failed = place.run()
    place.write(text.replace("VALUE", "2"))
    place.runs.resume(failed.id)
    run = place.runs.wait(failed.id, 60)
    steps = place.steps(run)
    assert run.state == "done"
    assert steps["first#1"].miss == ("this run had it from other code or data: code demo:first changed",)
    assert place.value(steps["second#1"].output) == 2


def test_a_worker_that_is_killed_loses_an_attempt_and_not_the_run(place: Place, tmp_path: Path) -> None:
    place.write(f"""
        import os
        from pathlib import Path

        @bucle.step
        def work(n: int) -> int:
            mark = Path({str(tmp_path)!r}, f"mark-{{n}}")
            if n % 2 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), 9)
            return n

        @bucle.pipeline
        def main():
            return work.map(range(4))
    """)
    run = place.run(engine="processes")
    assert run.state == "done", run.failure
    with place.home.ledger.read() as reader:
        states = {call: [a.state for a in list_attempts(reader, step.id)] for call, step in place.steps(run).items()}
    assert states == {"work#1": ["done"], "work#2": ["lost", "done"], "work#3": ["done"], "work#4": ["lost", "done"]}


def test_a_step_that_kills_its_process_every_time_fails_in_the_end(place: Place) -> None:
    place.write("""
        import os

        @bucle.step
        def work() -> int:
            os.kill(os.getpid(), 9)

        @bucle.pipeline
        def main():
            return work()
    """)
    run = place.run(engine="processes")
    assert run.state == "failed" and run.failure is not None
    assert run.failure.code == "runtimes/runner-died"


GATED = """
    import time
    from pathlib import Path

    @bucle.step(cache=False)
    def tick(n: int) -> int:
        while n >= 5 and not Path(FOLDER, "open").exists():
            time.sleep(0.01)
        return n

    @bucle.step
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @bucle.pipeline
    def main(count: int = 12):
        return total(tick.map(range(count)))
"""


@pytest.fixture
def gate(place: Place) -> Path:
    """Write a pipeline whose sixth tick, and each one after it, waits until somebody makes this file."""
    gate = place.root.parent / "open"
    place.write(GATED.replace("FOLDER", repr(str(gate.parent))))
    return gate


def test_a_driver_that_is_killed_is_replaced_and_no_committed_step_runs_again(place: Place, gate: Path, engine: str) -> None:
    with acting("ana", "data_scientist"):
        run_id = place.runs.start(place.code(), DEV, "main", engine=engine)
    assert run_id is not None
    killed = _kill_driver_after(place, run_id, commits=3)
    gate.touch()
    run = place.runs.wait(run_id, 60)
    assert killed
    assert (run.state, run.epoch) == ("done", 2), run.failure
    assert place.value(place.steps(run)["total#1"].output) == sum(range(12))
    finished = [event.data["call"] for event in place.home.ledger.events(EventFilter(kinds=("pipelines.step_finished",)))]
    assert len(finished) == len(set(finished)) == 13


def _kill_driver_after(place: Place, run_id: str, commits: int) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done = place.home.ledger.events(EventFilter(kinds=("pipelines.step_finished",)))
        active = place.runs._active.get(run_id)
        if len(done) >= commits and active is not None and active.runner is not None:
            os.kill(active.runner.pid, signal.SIGKILL)
            return True
        time.sleep(0.005)
    return False


def test_a_cancelled_run_stops_and_can_be_taken_up_again(place: Place, gate: Path, engine: str) -> None:
    run_id = place.runs.start(place.code(), DEV, "main", engine=engine)
    assert run_id is not None
    _await_events(place, "pipelines.step_finished", 1)
    place.runs.cancel(run_id)
    run = place.runs.wait(run_id, 30)
    assert run.state == "cancelled" and run.failure is not None
    assert run.failure.code == "pipelines/run-cancelled"
    states = {step.state for step in place.steps(run).values()}
    assert "running" not in states and "waiting" not in states
    gate.touch()
    place.runs.resume(run_id)
    assert place.runs.wait(run_id, 60).state == "done"


def test_a_fan_out_of_500_loses_none(place: Place, engine: str) -> None:
    place.write("""
        @bucle.step
        def square(n: int) -> int:
            return n * n

        @bucle.step
        def total(numbers: list[int]) -> int:
            return sum(numbers)

        @bucle.pipeline
        def main():
            return total(square.map(range(500)))
    """)
    run = place.run(engine=engine)
    steps = place.steps(run)
    assert (run.state, len(steps)) == ("done", 501)
    assert place.value(steps["total#1"].output) == sum(n * n for n in range(500))


def test_steps_that_do_not_wait_for_each_other_run_at_the_same_time(place: Place, tmp_path: Path) -> None:
    place.write(f"""
        import os, time
        from pathlib import Path

        @bucle.step
        def meet(me: str, other: str) -> int:
            Path({str(tmp_path)!r}, me).touch()
            while not Path({str(tmp_path)!r}, other).exists():
                time.sleep(0.01)
            return os.getpid()

        @bucle.pipeline
        def main():
            return meet("a", "b"), meet("b", "a")
    """)
    run = place.run(engine="processes")
    steps = place.steps(run)
    assert run.state == "done"
    assert place.value(steps["meet#1"].output) != place.value(steps["meet#2"].output)


def test_a_late_result_of_an_attempt_that_was_given_up_is_thrown_away(place: Place, gate: Path) -> None:
    """Fencing: two workers answer for one step; the answer of the attempt that is not current changes nothing."""
    run_id = place.runs.start(place.code(), DEV, "main", {"count": 3}, engine="processes")
    assert run_id is not None
    started = _await_events(place, "pipelines.step_started", 1)
    coordinator = place.runs._active[run_id].coordinator
    usage = Usage(1, "elsewhere", 0.0, 0.0, 0.0)
    output = ValueRef("json", place.store.put_bytes(b"777"))
    for attempt in (0, 2):
        coordinator.deliver(Result(started[0].subject, attempt, usage, output))
    run = place.runs.wait(run_id, 60)
    coordinator.deliver(Result(started[0].subject, 1, usage, output))
    assert place.value(place.steps(run)["total#1"].output) == 3
    finished = place.home.ledger.events(EventFilter(kinds=("pipelines.step_finished",)))
    assert "elsewhere" not in {event.data["node"] for event in finished}


def _await_events(place: Place, kind: str, count: int) -> list[StoredEvent]:
    deadline = time.monotonic() + 30
    while len(found := place.home.ledger.events(EventFilter(kinds=(kind,)))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def test_the_example_of_the_documentation_runs(place: Place) -> None:
    page = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text("utf-8")
    (place.root / "demo.py").write_text(page.split("```python\n", 1)[1].split("```", 1)[0])
    run = place.run("compare", year="2014")
    assert run.state == "done", run.failure
    assert set(place.steps(run)) == {"count#1", "count#2", "best#1", "count#3"}
