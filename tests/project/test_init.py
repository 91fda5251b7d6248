"""`bucle init` and `bucle lock` from the command line, with the real uv and git."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import bucle

SOURCE = str(Path(bucle.__file__).parent.parent)


def cli(*arguments: object, cwd: Path, status: int = 0) -> Any:
    """Run a command with --json; return its document, or its error's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BUCLE_")}
    command = [sys.executable, "-c", "from bucle.cli import main; main()", *map(str, arguments), "--json"]
    environment = {**kept, "PYTHONPATH": SOURCE}
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stderr if status else done.stdout)


def test_a_table_becomes_a_project_with_a_clock_at_its_last_row(tmp_path: Path) -> None:
    moments = [datetime(2021, 3, 1 + number // 24, number % 24) for number in range(480)]
    frame = pl.DataFrame(
        {"at": moments, "size": [number % 7 for number in range(480)], "late": [number % 3 == 0 for number in range(480)]}
    )
    frame.write_csv(tmp_path / "rows.csv")
    made = cli("init", tmp_path / "mine", "--data", tmp_path / "rows.csv", "--label", "late", "--time", "at", cwd=tmp_path)
    root = tmp_path / "mine"
    assert (made["project"], made["home"]) == ("mine", str(root / ".bucle"))
    assert "bucle==" in (root / "requirements.lock").read_text()
    assert list((root / ".bucle" / "wheels").glob("*/bucle-*.whl"))
    assert str(cli("clock", cwd=root)["now"]).startswith("2021-03-20T23:00:01")
    events = cli("events", cwd=root)
    assert [event["kind"] for event in events] == [
        "project.registered",
        "project.charter_recorded",
        "project.decision_recorded",
    ]
    locked = cli("lock", cwd=root)
    assert locked["path"] == str(root / "requirements.lock")
    refused = cli("init", root, cwd=tmp_path, status=1)
    assert refused["code"] == "project/directory-taken"


def test_a_replay_clock_is_only_for_a_new_home(tmp_path: Path) -> None:
    given = (
        "init",
        tmp_path / "one",
        "--template",
        "blank",
        "--home",
        tmp_path / "home",
        "--replay-from",
        "2013-04-01T04:00:00Z",
    )
    cli(*given, cwd=tmp_path)
    assert str(cli("clock", "--home", tmp_path / "home", cwd=tmp_path)["now"]).startswith("2013-04-01T04:00:00")
    refused = cli("init", tmp_path / "two", *given[2:], cwd=tmp_path, status=1)
    assert refused["code"] == "project/clock-chosen"
    assert not (tmp_path / "two").exists()
    cli("init", tmp_path / "two", *given[2:6], cwd=tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", "x.csv"),
        ("--label", "x"),
        ("--time", "x"),
        ("--data", "x.csv", "--label", "y", "--template", "blank"),
        ("--tmplate", "x"),
    ],
)
def test_bad_use_is_said_before_anything_is_written(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = cli("init", "new", *arguments, cwd=tmp_path, status=2)
    assert refused["code"] == "cli/usage"
    assert list(tmp_path.iterdir()) == []
