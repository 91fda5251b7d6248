"""The pages' examples run as they are written: each page's Python, and the README's first ten minutes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.docs.mentions import blocks
from tests.docs.surface import PAGES, ROOT
from tests.live import bucle, environment

WITH_PYTHON = [page for page in PAGES if any(language == "python" for language, _, _ in blocks(page))]


def examples(page: Path) -> list[str]:
    """Return the Python blocks of a page that are whole."""
    return [text for language, info, text in blocks(page) if language == "python" and info != "fragment"]


def test_no_example_is_left_out_unsaid() -> None:
    infos = {info for page in PAGES for language, info, _ in blocks(page) if language == "python"}
    assert infos == {"", "fragment"}
    assert {"README.md", "artifacts.md", "data.md", "features.md", "ledger.md", "pipelines.md"} <= {
        page.name for page in WITH_PYTHON
    }


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_python_runs(page: Path, tmp_path: Path) -> None:
    """In a project with a home of its own, where a table lies and, if the page asks for them, some events happened."""
    written = "\n\n".join(examples(page))
    assert written, "all blocks of this page are fragments: show something that runs"
    (tmp_path / "bucle.toml").write_text('[project]\nname = "shop"\n', "utf-8")
    (tmp_path / "shop.py").write_text('"""A shop."""\n', "utf-8")
    pl.DataFrame({"id": [1, 2]}).write_parquet(tmp_path / "table.parquet")
    (tmp_path / "prepare.py").write_text(PREPARE, "utf-8")
    (tmp_path / "example.py").write_text(written, "utf-8")
    for script in ("prepare.py", "example.py") if "bucle.connect(" in written else ("example.py",):
        done = subprocess.run(
            [sys.executable, script], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr


PREPARE = """
import bucle

with bucle.connect() as client:
    for number in range(20):
        client.post("/api/v1/tokens", {"name": f"reader{number}", "role": "viewer"})
"""


def test_the_first_ten_minutes(tmp_path: Path) -> None:
    """Every command of the README in order, but for `bucle open`, which needs a browser; 40 s on two cores."""
    folder = tmp_path
    printed: dict[str, str] = {}
    try:
        for line in first_minutes(ROOT / "README.md"):
            words = line.split()
            if words[0] == "cd":
                folder = folder / words[1]
            elif words[:2] != ["bucle", "open"]:
                more = ["--port", "0"] if words[1] == "up" else []
                done = bucle(*words[1:], *more, cwd=folder)
                assert done.returncode == 0, f"{line}: {done.stderr}"
                printed[words[1]] = done.stdout
    finally:
        bucle("down", cwd=folder)
    assert "no check failed" in printed["check"]
    assert len(printed["predict"].splitlines()) == 4
    assert "registry.version_registered" in printed["why"] and "pipelines.run_started" in printed["why"]


def first_minutes(readme: Path) -> list[str]:
    """Return the commands of the README's script, without comments."""
    text = next(text for language, _, text in blocks(readme) if language == "console" and "bucle init" in text)
    return [re.sub(r"\s+#.*", "", line).removeprefix("$ ") for line in text.splitlines()]


def test_both_readmes_give_the_same_commands() -> None:
    assert first_minutes(ROOT / "README.md") == first_minutes(ROOT / "README.es.md")


def test_the_request_of_the_readme_asks_for_what_the_service_takes() -> None:
    template = ROOT / "src" / "bucle" / "project" / "templates" / "flights" / "request.jsonl"
    rows = [json.loads(line) for line in template.read_text("utf-8").splitlines()]
    assert len(rows) == 3
    assert all(list(row) == ["flight_id", "carrier", "origin", "distance", "hour"] for row in rows)
