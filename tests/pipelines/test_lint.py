"""What is wrong with a pipeline is said with file and line, before anything runs."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from tests.pipelines.conftest import DEV, Place

from bucle.errors import BucleError, RemoteError
from bucle.pipelines import check_pipeline

STEPS = """
@bucle.step
def fetch(n: int, deep: bool = False) -> int:
    return n

@bucle.step
def pair(n: int) -> tuple[int, int]:
    return n, n

@bucle.step
def train(rows: int) -> int:
    return rows
"""

CASES = {
    "a misspelt step": ("fetsh(1)", "pipelines/unknown-step", "'fetsh'", "Did you mean fetch?"),
    "a misspelt parameter": ("fetch(1, depe=True)", "pipelines/unknown-parameter", "'depe'", "Did you mean deep?"),
    "one argument too many": ("train(1, 2)", "pipelines/unknown-parameter", "number 2", ""),
    "an argument given twice": ("fetch(1, n=2)", "pipelines/unknown-parameter", "'n'", "It is given twice."),
    "a missing argument": ("train()", "pipelines/missing-argument", "'rows'", ""),
    "a misspelt parameter of a map": ("fetch.map([1], depe=True)", "pipelines/unknown-parameter", "'depe'", ""),
    "truth of a handle": ("if fetched: train(1)", "pipelines/handle-misuse", "truth", ".value"),
    "calculating with a handle": ("train(fetched + 1)", "pipelines/handle-misuse", "calculate", ".value"),
    "comparing a handle": ("train(1 if fetched > 2 else 3)", "pipelines/handle-misuse", "compare", ".value"),
    "looping over a handle": ("[train(x) for x in fetched]", "pipelines/handle-misuse", "loop", ".value"),
    "an attribute of a handle": ("train(fetched.vaule)", "pipelines/handle-misuse", ".vaule", ".value"),
    "a handle in a text": ("print(f'{fetched}')", "pipelines/handle-misuse", "format", ".value"),
    "steps that wait on themselves": ("a = train(b); b = train(a)", "pipelines/cycle", "wait on themselves", ""),
    "a pipeline that calls itself": ("other()", "pipelines/cycle", "main -> other -> main", ""),
}


def _project(statement: str) -> str:
    text = f"import bucle\n{STEPS}\n@bucle.pipeline\ndef main():\n    fetched = fetch(1)\n    {statement}\n    return fetched\n"
    return text + "\n@bucle.pipeline\ndef other():\n    return main()\n"


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", CASES)
def test_it_is_named_with_its_line(tmp_path: Path, case: str) -> None:
    statement, code, said, following = CASES[case]
    file, text = tmp_path / "linted.py", _project(statement)
    file.write_text(text)
    module = _module(file)
    line = next(number for number, each in enumerate(text.splitlines(), 1) if each.strip() == statement)
    with pytest.raises(BucleError) as caught:
        check_pipeline(module.main)
    assert caught.value.code == code
    assert said in caught.value.text and following in caught.value.next_step
    assert case == "a pipeline that calls itself" or caught.value.where == f"{file}:{line}"


def test_nothing_runs_of_a_pipeline_that_is_wrong_further_down(place: Place) -> None:
    place.write(_project("train(1, 2)"))
    run = place.run()
    assert run.failure is not None and run.failure.code == "pipelines/unknown-parameter"
    assert (run.failure.where or "").startswith("demo.py:") and place.steps(run) == {}


def test_what_is_right_passes(place: Place) -> None:
    place.write(
        STEPS
        + """
@bucle.pipeline
def main(count: int = 2, *, deep: bool = False):
    a, b = pair(1)
    found = [fetch(n, deep=deep) for n in range(count)]
    for each in found:
        if each.value > 0:
            train(each)
    for half in pair(2):
        train(half)
    options = {"rows": a}
    return train(**options), fetch.map([1, 2]), b
"""
    )
    run = place.run()
    assert run.state == "done", run.failure


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"windw": "3d"}, "pipelines/unknown-parameter"),
        ({}, "pipelines/missing-argument"),
        ({"count": "many"}, "pipelines/bad-parameter"),
    ],
)
def test_wrong_parameters_of_a_run_are_refused_before_it_exists(place: Place, parameters: dict[str, str], code: str) -> None:
    place.write(STEPS + "\n@bucle.pipeline\ndef main(count: int, window: str = '1d'):\n    return fetch(count)\n")
    with pytest.raises((BucleError, RemoteError)) as caught:
        place.run(**parameters)
    assert caught.value.code == code  # type: ignore[union-attr]
    assert place.runs.active() == []


def test_texts_are_read_as_the_types_that_a_pipeline_declares(place: Place) -> None:
    place.write(
        STEPS + "\n@bucle.pipeline\ndef main(a: int, b: float = 1.5, c: bool = True, d='x', e: list[int] | None = None):\n"
        "    return fetch(a)\n"
    )
    run = place.run(a="3", b="2", c="false", d="7", e="[1, 2]")
    assert run.request.parameters == {"a": 3, "b": 2.0, "c": False, "d": "7", "e": [1, 2]}


def test_unknown_pipelines_and_engines_are_named(place: Place) -> None:
    place.write(STEPS + "\n@bucle.pipeline\ndef main():\n    return fetch(1)\n")
    with pytest.raises((BucleError, RemoteError), match="mian"):
        place.run("mian")
    with pytest.raises((BucleError, RemoteError)) as caught:
        place.runs.start(place.code(), DEV, "main", engine="rya")
    assert caught.value.code == "pipelines/unknown-engine"  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_a_value_that_cannot_travel_is_named_with_its_step(place: Place, engine: str) -> None:
    place.write("""
        @bucle.step
        def lock():
            return object()

        @bucle.pipeline
        def main():
            return lock()
    """)
    run = place.run(engine=engine)
    assert run.failure is not None and run.failure.code == "pipelines/unsupported-value"
    assert "object" in run.failure.reason and run.failure.where == "demo.py:3"


def test_an_argument_that_cannot_travel_is_named_with_its_line(place: Place) -> None:
    place.write("""
        @bucle.step
        def use(x: object) -> int:
            return 1

        @bucle.pipeline
        def main():
            return use(open("bucle.toml"))
    """)
    run = place.run()
    assert run.failure is not None and run.failure.code == "pipelines/unsupported-value"
    assert run.failure.where == "demo.py:9"
