"""`pipeline.run(...)` from a script, against a home in a folder and against a server; and the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.pipelines.conftest import TOML

PROJECT = """import bucle

@bucle.step
def double(n: int) -> int:
    return n * 2

@bucle.pipeline
def main(n: int = 4):
    return double(double(n))

@bucle.pipeline
def failing():
    return boom(1)

@bucle.step
def boom(n: int) -> int:
    return n // 0
"""
SCRIPT = """
import sys
import bucle
from demo import double

@bucle.step
def own(n: int) -> int:
    return n + 1

@bucle.pipeline
def mine(n: int = 1):
    return own(double(n)), "as it is"

if __name__ == "__main__":
    run = mine.run(n=int(sys.argv[1]))
    print(run.id, *run.value)
"""

DECLARED = """
@bucle.source("visits.csv", timestamp="at")
def visits(raw):
    return raw

city = bucle.Entity("city", key="city")

@bucle.features(city, source=visits)
def seen(rows):
    return rows.select("pages")

known = bucle.TrainingSet(
    spine=visits, columns=["city"], features=[seen], label=bucle.Label("many", pl.col("pages") > 1, matures="1h")
)

@bucle.pipeline
def named():
    return double(len(known.features))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "bucle.toml").write_text(TOML)
    (root / "demo.py").write_text(PROJECT)
    (root / "script.py").write_text(SCRIPT)
    return root


def _python(root: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    source = str(Path(__file__).parent.parent.parent / "src")
    environment = {**os.environ, "PYTHONPATH": source, "BUCLE_HOME": str(root / ".bucle")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done


@pytest.fixture
def server(root: Path) -> Iterator[Path]:
    _python(root, "-m", "bucle", "up", "--detach", "--port", "0")
    yield root
    _python(root, "-m", "bucle", "down")


def test_a_script_drives_its_own_run_in_a_folder(root: Path) -> None:
    first = _python(root, "script.py", "3").stdout.split()
    assert first[1:] == ["7", "as", "it", "is"]
    shown = json.loads(_python(root, "-m", "bucle", "--json", "runs", "show", first[0]).stdout)
    assert (shown["record"]["run"]["status"], shown["record"]["params"]) == ("succeeded", {"n": 3})


def test_a_script_drives_its_own_run_through_a_server(server: Path) -> None:
    assert _python(server, "script.py", "5").stdout.split()[1:] == ["11", "as", "it", "is"]


def test_a_script_runs_a_pipeline_of_the_project_that_is_made_of_definitions(root: Path) -> None:
    (root / "demo.py").write_text(f"import polars as pl\n{PROJECT}{DECLARED}")
    (root / "visits.csv").write_text("city,at,pages\nRome,2026-01-01T00:00:00Z,2\nOslo,2026-01-02T00:00:00Z,1\n")
    (root / "named.py").write_text("from demo import named\nprint(named.run().value)\n")
    assert _python(root, "named.py").stdout == "2\n"


def test_a_script_runs_a_pipeline_of_definitions_that_it_declares_itself(root: Path) -> None:
    (root / "own.py").write_text(f"import polars as pl\n{PROJECT}{DECLARED}\nprint(named.run().value)\n")
    (root / "visits.csv").write_text("city,at,pages\nRome,2026-01-01T00:00:00Z,2\nOslo,2026-01-02T00:00:00Z,1\n")
    assert _python(root, "own.py").stdout == "2\n"


@pytest.mark.parametrize(("own", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_of_a_script_that_fits_wait_asleep_unless_it_says_otherwise(own: str | None, found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if own is None else {"OMP_WAIT_POLICY": own}
    asked = "import bucle, os; print(os.environ['OMP_WAIT_POLICY'])"
    said = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == found


def test_the_command_line_runs_explains_and_resumes(root: Path) -> None:
    run = json.loads(_python(root, "-m", "bucle", "run", "main", "-p", "n=5", "--json").stdout)
    assert run["status"] == "done" and [step["hit"] for step in run["steps"]] == [False, False]
    again = _python(root, "-m", "bucle", "run", "main", "-p", "n=6", "--explain", "--engine", "inline").stdout
    assert "parameter n: 5 -> 6" in again and "input n changed" in again
    failed = _python(root, "-m", "bucle", "run", "failing", "--json", code=1)
    assert "demo.py:17" in failed.stderr and "step-failed" in failed.stderr and "Traceback" not in failed.stderr
    (root / "demo.py").write_text(PROJECT.replace("n // 0", "n"))
    run_id = json.loads(failed.stdout)["id"]
    assert json.loads(_python(root, "-m", "bucle", "resume", run_id, "--json").stdout)["status"] == "done"
    misspelt = _python(root, "-m", "bucle", "run", "mian", code=1)
    assert "main" in misspelt.stderr


def test_the_server_runs_a_pipeline_for_the_command_line(server: Path) -> None:
    run = json.loads(_python(server, "-m", "bucle", "run", "main", "--json").stdout)
    assert (run["status"], len(run["steps"])) == ("done", 2)
