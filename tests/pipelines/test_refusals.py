"""What a run, a driver or a script is refused, and the failures that no step is to blame for."""

from pathlib import Path

import msgspec
import pytest
from tests.pipelines.conftest import DEV, Place

import bucle
from bucle.ledger import acting
from bucle.pipelines import PipelineSpec, Runs, supervisor
from bucle.pipelines.errors import NoConnection, RunNotResumable, RunTakenOver, UnknownRun
from bucle.pipelines.protocol import Answer, Asked, Await, Heartbeat, Refused

STEPS = """
@bucle.step
def work(n: int = 1) -> int:
    return n

@bucle.pipeline
def main():
    return work()
"""


def test_a_run_that_is_not_there_is_named(place: Place) -> None:
    for act in (place.runs.resume, place.runs.cancel, place.runs.wait):
        with pytest.raises(UnknownRun, match="run_none"):
            act("run_none")


def test_a_run_that_has_ended_cannot_be_cancelled(place: Place) -> None:
    place.write(STEPS)
    with pytest.raises(RunNotResumable, match="done"):
        place.runs.cancel(place.run().id)


def test_an_error_of_the_pipeline_itself_is_named_with_its_line(place: Place) -> None:
    place.write(STEPS + "\n@bucle.pipeline\ndef broken():\n    x = work()\n    return {}['gone']\n")
    run = place.run("broken")
    assert run.failure is not None and run.failure.code == "pipelines/pipeline-failed"
    assert run.failure.where == "demo.py:14" and "KeyError" in run.failure.reason
    assert run.id in run.failure.next


def test_a_step_that_no_other_process_can_find_is_refused(place: Place) -> None:
    place.write("""
        def make():
            @bucle.step
            def hidden() -> int:
                return 1
            return hidden

        hidden = make()

        @bucle.pipeline
        def main():
            return hidden()
    """)
    run = place.run(engine="processes")
    assert run.failure is not None and run.failure.code == "pipelines/step-not-importable"
    assert "hidden" in run.failure.reason


def _opened(place: Place) -> tuple[str, int]:
    place.write(STEPS)
    code = place.code()
    spec = msgspec.convert(code.description.get("pipeline", "main").spec, PipelineSpec)
    with acting("ana", "data_scientist"):
        run = place.runs.open_script(code, DEV, spec, {}, 0)
    return run.id, run.epoch


def _ask(place: Place, run: str, asked: Asked) -> Answer:
    return msgspec.json.decode(place.runs.answer(run, msgspec.json.encode(asked)), type=Answer)


def test_a_driver_that_was_replaced_is_told_so(place: Place) -> None:
    run, epoch = _opened(place)
    refused = _ask(place, run, Asked(epoch + 1, Await(())))
    assert isinstance(refused, Refused) and refused.code == "pipelines/run-taken-over"
    assert not isinstance(_ask(place, run, Asked(epoch, Heartbeat())), Refused)


def test_a_script_goes_on_after_the_holder_was_started_anew(place: Place) -> None:
    run, epoch = _opened(place)
    place.runs.close()
    place.runs = Runs(place.home, place.store, place.runners, cores=2)
    assert place.runs.resume_interrupted() == []
    assert not isinstance(_ask(place, run, Asked(epoch, Heartbeat())), Refused)
    place.runs.cancel(run)
    with pytest.raises(RunTakenOver):
        _ask(place, run, Asked(epoch, Heartbeat()))


def test_a_script_that_falls_silent_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LEASE_US", 1000)
    run, _ = _opened(place)
    ended = place.runs.wait(run, 30)
    assert ended.state == "failed" and ended.failure is not None
    assert ended.failure.code == "pipelines/driver-silent"


def test_a_pipeline_of_no_project_has_no_home_to_run_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    @bucle.step
    def work() -> int:
        return 1

    @bucle.pipeline
    def lonely():  # type: ignore[no-untyped-def]
        return work()

    object.__setattr__(lonely, "file", str(tmp_path / "script.py"))
    with pytest.raises(NoConnection, match="lonely"):
        lonely.run()


def test_outside_of_a_pipeline_steps_and_pipelines_are_plain_functions() -> None:
    @bucle.step
    def double(n: int) -> int:
        return n * 2

    @bucle.pipeline
    def main(n: int = 1):  # type: ignore[no-untyped-def]
        return double(double(n)), double.map([1, 2])

    assert main(3) == (12, [2, 4])
    assert double.map([3]) == [6]


def test_a_step_called_within_a_step_is_a_plain_call(place: Place) -> None:
    place.write("""
        @bucle.step
        def inner(n: int) -> int:
            return n + 1

        @bucle.step
        def outer(n: int) -> int:
            return inner(inner(n))

        @bucle.pipeline
        def main():
            return outer(1)
    """)
    run = place.run()
    assert list(place.steps(run)) == ["outer#1"]
    assert place.value(place.steps(run)["outer#1"].output) == 3


def test_errors_of_a_failed_step_reach_a_pipeline_with_code_and_line(place: Place) -> None:
    place.write("""
        @bucle.step
        def bad() -> int:
            raise ValueError("no")

        @bucle.step
        def told(code: str, where: str) -> str:
            return f"{code} {where}"

        @bucle.pipeline
        def main():
            try:
                return bad().value
            except Exception as error:
                return told(error.code, error.where)
    """)
    run = place.run()
    assert place.value(place.steps(run)["told#1"].output) == "pipelines/step-failed demo.py:5"
