"""The nine rows of the table in the specification: when a step must come from the cache, and when it must not."""

from collections.abc import Callable

import pytest
from tests.pipelines.conftest import Place

HELPERS = "RATE = 2\ndef outside(x: int) -> int:\n    return x + 1\n"
PROJECT = '''
import demo_helpers
from pathlib import Path

FACTOR = 10

def helper(x: int) -> int:
    return x * FACTOR

@bucle.step
def work(x: int, tags: set[str] = frozenset(), source: Path | None = None) -> str:
    """Do the work."""
    text = source.read_text() if source else ""
    return f"{helper(x)} {demo_helpers.outside(x)} {demo_helpers.RATE} {sorted(tags)} {text}"

@bucle.pipeline
def main(x: int = 1):
    return work(x, tags={"a", "b", "c", "d"}, source=Path("input.txt"))
'''

Edit = Callable[[Place], dict[str, int]]


def _replace(old: str, new: str, name: str = "demo.py") -> Edit:
    def edit(place: Place) -> dict[str, int]:
        text = (place.root / name).read_text()
        assert old in text
        (place.root / name).write_text(text.replace(old, new))
        return {}

    return edit


def _data(place: Place) -> dict[str, int]:
    (place.root / "input.txt").write_text("other content")
    return {}


ROWS: dict[str, tuple[Edit, bool, str]] = {
    "none": (lambda place: {}, True, ""),
    "comment and layout": (_replace("    text = source", "    # said here\n\n    text = source"), True, ""),
    "docstring": (_replace('"""Do the work."""', '"""Does it."""'), True, ""),
    "body of the step": (_replace("{sorted(tags)}", "<{sorted(tags)}>"), False, "code demo:work changed"),
    "helper in the same module": (_replace("return x * FACTOR", "return FACTOR * x + 0"), False, "code demo:helper changed"),
    "helper in another module": (_replace("x + 1", "x + 2", "demo_helpers.py"), False, "code demo_helpers:outside changed"),
    "module constant": (_replace("FACTOR = 10", "FACTOR = 11"), False, "code demo.FACTOR changed"),
    "constant in another module": (
        _replace("RATE = 2", "RATE = 3", "demo_helpers.py"),
        False,
        "code demo_helpers.RATE changed",
    ),
    "parameter": (lambda place: {"x": 2}, False, "parameter x: 1 -> 2"),
    "data behind the same path": (_data, False, "file input.txt changed"),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_cache_tells_the_truth(place: Place, row: str) -> None:
    edit, hit, reason = ROWS[row]
    place.write(PROJECT)
    (place.root / "demo_helpers.py").write_text(HELPERS)
    (place.root / "input.txt").write_text("content")
    first = place.run()
    assert first.state == "done", first.failure
    assert place.steps(first)["work#1"].miss == ("no earlier run of this step",)
    second = place.run(**edit(place))
    step = place.steps(second)["work#1"]
    assert second.state == "done", second.failure
    assert (step.hit, step.miss) == (hit, (reason,) if reason else ())


def test_a_set_is_the_same_set_under_another_hash_seed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are started with hash randomisation, so every one has another seed; here two that surely differ."""
    from bucle.runtimes import runner

    place.write("""
        import sys

        @bucle.step
        def work(tags: set[str]) -> list[str]:
            return sorted(tags)

        @bucle.step(cache=False)
        def order() -> str:
            return str(list({f"tag-{n}" for n in range(30)}))

        @bucle.pipeline
        def main():
            order()
            return work({f"tag-{n}" for n in range(30)})
    """)
    orders, hits = set(), []
    for seed in ("1", "2"):
        monkeypatch.setattr(runner, "_BOOT", _with_seed(seed))
        place.runners.close()
        place = _again(place)
        run = place.run()
        orders.add(place.value(place.steps(run)["order#1"].output))
        hits.append(place.steps(run)["work#1"].hit)
    assert len(orders) == 2
    assert hits == [False, True]


def _with_seed(seed: str) -> str:
    """A child that starts itself again with a fixed hash seed (`-I` ignores the variable)."""
    return (
        "import os, sys\n"
        f"os.environ['PYTHONHASHSEED'] = '{seed}'\n"
        "code = 'import sys; sys.path[:0] = sys.argv[2:]; from bucle.runtimes.child import main; main(int(sys.argv[1]))'\n"
        "os.execv(sys.executable, [sys.executable, '-s', '-P', '-c', code, *sys.argv[1:]])"
    )


def _again(place: Place) -> Place:
    from bucle.pipelines import Runs
    from bucle.runtimes import RunnerPool

    place.runners = RunnerPool(4, artifacts=place.store.root)
    place.runs = Runs(place.home, place.store, place.runners, cores=2)
    return place


def test_an_output_that_stays_the_same_stops_the_invalidation(place: Place) -> None:
    text = """
        @bucle.step
        def first(x: int) -> int:
            return abs(x)

        @bucle.step
        def second(y: int) -> int:
            return y + 1

        @bucle.pipeline
        def main(x: int = 1):
            return second(first(x))
    """
    place.write(text)
    place.run(x=1)
    steps = place.steps(place.run(x=-1))
    assert (steps["first#1"].hit, steps["second#1"].hit) == (False, True)


def test_only_the_item_of_a_tuple_that_changed_invalidates_its_users(place: Place) -> None:
    place.write("""
        @bucle.step
        def pair(x: int) -> tuple[int, int]:
            return 1, x

        @bucle.step
        def left(a: int) -> int:
            return a

        @bucle.step
        def right(b: int) -> int:
            return b

        @bucle.pipeline
        def main(x: int = 1):
            a, b = pair(x)
            return left(a), right(b)
    """)
    place.run(x=1)
    steps = place.steps(place.run(x=2))
    assert (steps["left#1"].hit, steps["right#1"].hit) == (True, False)
    assert steps["right#1"].miss == ("input b changed",)


def test_a_setting_that_was_read_belongs_to_the_key_and_others_do_not(place: Place) -> None:
    toml = (place.root / "bucle.toml").read_text()
    place.write("""
        from bucle.tracking import setting

        @bucle.step
        def work() -> int:
            return setting("depth")

        @bucle.pipeline
        def main():
            return work()
    """)
    hits = []
    for settings in ("depth = 1\nother = 1", "depth = 1\nother = 2", "depth = 2\nother = 2", "depth = 1\nother = 2"):
        (place.root / "bucle.toml").write_text(f"{toml}\n[environments.dev.settings]\n{settings}\n")
        run = place.run()
        assert run.state == "done", run.failure
        hits.append(place.steps(run)["work#1"].hit)
    assert hits == [False, True, False, True]


def test_a_step_with_effects_runs_each_time(place: Place) -> None:
    place.write("""
        @bucle.step(cache=False)
        def work() -> int:
            return 1

        @bucle.pipeline
        def main():
            return work()
    """)
    place.run()
    step = place.steps(place.run())["work#1"]
    assert (step.hit, step.miss) == (False, ("the step is never taken from the cache",))


def test_a_declared_variable_belongs_to_the_key(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write("""
        import os

        @bucle.step(env=["REGION"])
        def work() -> str:
            return os.environ.get("REGION", "none")

        @bucle.pipeline
        def main():
            return work()
    """)
    values = []
    for region in ("north", "north", "south"):
        monkeypatch.setenv("REGION", region)
        step = place.steps(place.run())["work#1"]
        values.append((place.value(step.output), step.hit))
    assert values == [("north", False), ("north", True), ("south", False)]


def test_a_hit_whose_content_is_gone_is_none(place: Place) -> None:
    place.write("""
        @bucle.step
        def work() -> str:
            return "made again"

        @bucle.pipeline
        def main():
            return work()
    """)
    output = place.steps(place.run())["work#1"].output
    assert output is not None
    place.store.path(output.artifact).unlink()
    step = place.steps(place.run())["work#1"]
    assert (step.hit, step.miss) == (False, ("the stored output is gone",))
