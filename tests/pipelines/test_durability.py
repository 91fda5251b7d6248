"""The process that holds the home is really killed (kill -9) while a run is active; the next holder carries it on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.pipelines.conftest import TOML, Place

from bucle.ledger import EventFilter

PROJECT = """import bucle, time
from pathlib import Path

@bucle.step(cache=False)
def tick(n: int) -> int:
    while n >= 10 and not Path(FOLDER, "open").exists():
        time.sleep(0.01)
    return n

@bucle.step
def total(numbers: list[int]) -> int:
    return sum(numbers)

@bucle.pipeline
def main(count: int = 20):
    return total(tick.map(range(count)))
"""
HOLDER = """
import sys
from pathlib import Path
from bucle.artifacts import ArtifactStore
from bucle.ledger import EventFilter, Home, Scope
from bucle.pipelines import Runs
from bucle.project import working_tree
from bucle.runtimes import RunnerPool, load_code

home = Home.open(Path(sys.argv[1]))
store = ArtifactStore(home.folder("artifacts"))
runners = RunnerPool(4, artifacts=store.root)
runs = Runs(home, store, runners, cores=2)
run = runs.start(load_code(home, runners, working_tree(Path(sys.argv[2]))), Scope("demo", "dev"), "main", engine=sys.argv[3])
while len(home.ledger.events(EventFilter(kinds=("pipelines.step_finished",)))) < 5:
    home.ledger.wait(home.ledger.newest(), 1)
print(run, flush=True)
runs.wait(run)
"""


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_a_run_survives_the_death_of_the_process_that_holds_the_home(make_place, tmp_path: Path, engine: str) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "project"
    root.mkdir()
    (root / "bucle.toml").write_text(TOML)
    gate = tmp_path / "open"
    (root / "demo.py").write_text(PROJECT.replace("FOLDER", repr(str(gate.parent))))
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "home"), str(root), engine]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "src"})
    assert holder.stdout is not None
    run_id = holder.stdout.readline().strip()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(timeout=60)
    holder.stdout.close()
    gate.touch()
    place: Place = make_place()
    before = place.home.ledger.events(EventFilter(kinds=("pipelines.step_finished",)))
    assert 5 <= len(before) < 20
    assert place.runs.resume_interrupted() == [run_id]
    run = place.runs.wait(run_id, 60)
    assert (run.state, run.epoch) == ("done", 2), run.failure
    assert place.value(place.steps(run)["total#1"].output) == sum(range(20))
    finished = [event.data["call"] for event in place.home.ledger.events(EventFilter(kinds=("pipelines.step_finished",)))]
    assert len(finished) == len(set(finished)) == 21
    assert finished[: len(before)] == [event.data["call"] for event in before]
    resumed = place.home.ledger.events(EventFilter(kinds=("pipelines.run_resumed",)))
    assert [event.data["committed_steps"] for event in resumed] == [len(before)]


def test_a_run_whose_tree_is_gone_ends_with_a_reason(place: Place) -> None:
    place.write(PROJECT.removeprefix("import bucle, time").replace("@bucle.step(", "import time\n@bucle.step(", 1))
    run_id = place.runs.start(place.code(), __import__("tests.pipelines.conftest", fromlist=["DEV"]).DEV, "main")
    assert run_id is not None
    place.runs.close()
    (place.root / "demo.py").unlink()
    from bucle.pipelines import Runs

    place.runs = Runs(place.home, place.store, place.runners, cores=2)
    place.runs.resume_interrupted()
    run = place.runs.wait(run_id, 30)
    assert run.state == "failed" and run.failure is not None
    assert run.failure.code == "project/no-definitions"
