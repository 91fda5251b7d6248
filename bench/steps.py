"""What a step costs: no-op steps, 20 in a row and 100 side by side, inline and in worker processes; beside the machine's facts.

The first run of each shape is not counted: it starts the children. `python bench/steps.py` prints milliseconds per step.
"""

import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from bucle.artifacts import ArtifactStore
from bucle.ledger import Home, Scope
from bucle.pipelines import Runs
from bucle.project import working_tree
from bucle.runtimes import RunnerPool, load_code

PROJECT = """
import bucle

@bucle.step
def nothing(n: int, before: None = None) -> None:
    pass

@bucle.pipeline
def linear(base: int, count: int = 20):
    at = nothing(base)
    for n in range(1, count):
        at = nothing(base + n, at)
    return at

@bucle.pipeline
def fan(base: int, count: int = 100):
    return nothing.map(range(base, base + count))
"""
BUDGET = {"inline": 2.0, "processes": 5.0}


def main() -> None:
    """Measure and print."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "project")
        root.mkdir()
        (root / "bucle.toml").write_text('[project]\nname = "bench"\ndefinitions = "bench"\n')
        (root / "bench.py").write_text(PROJECT)
        home = Home.open(Path(folder, "home"))
        store = ArtifactStore(home.folder("artifacts"))
        runners = RunnerPool(4, artifacts=store.root)
        runs = Runs(home, store, runners)
        code = load_code(home, runners, working_tree(root))
        base = 0
        for shape, count in (("linear", 20), ("fan", 100)):
            for engine in BUDGET:
                taken = []
                for _ in range(6):
                    base += 10_000
                    started = time.perf_counter()
                    run_id = runs.start(code, Scope("bench", "dev"), shape, {"base": base}, engine=engine)
                    state = runs.wait(run_id or "", 60).state
                    taken.append((time.perf_counter() - started) / count * 1000)
                    if state != "done":
                        raise SystemExit(f"{shape} {engine}: {state}")
                best, middle = min(taken[1:]), statistics.median(taken[1:])
                print(f"{shape:7} {engine:10} {middle:6.2f} ms a step (best {best:.2f}, budget {BUDGET[engine]:g})")
        runs.close()
        runners.close()
        home.close()


if __name__ == "__main__":
    main()
