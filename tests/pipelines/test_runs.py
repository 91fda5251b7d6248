"""Runs of real pipelines, in this interpreter's child processes."""

import pytest
from tests.pipelines.conftest import Place


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

        @bucle.pipeline
        def main(start: int = 3):
            once = double(start)
            small, large = both(once, double(once))
            return double(large)
    """)
    run = place.run(engine=engine, start=5)
    assert (run.state, run.failure) == ("done", None)
    steps = place.steps(run)
    assert place.value(steps["double#3"].output) == 40
    assert steps["double#3"].needs == ("both#1",)
