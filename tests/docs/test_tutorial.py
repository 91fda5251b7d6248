"""The tutorial is run as it is written, in both languages the same commands."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.mentions import blocks
from tests.docs.surface import ROOT
from tests.live import environment

PAGES = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "tutorial.es.md"


def commands(page: Path) -> list[str]:
    """Return what a reader types."""
    texts = [text for language, _, text in blocks(page) if language == "console"]
    return [line.removeprefix("$ ") for text in texts for line in text.splitlines()]


def test_both_languages_have_the_same_commands() -> None:
    english, spanish = map(commands, PAGES)
    assert english == spanish and len(english) > 30


@pytest.mark.timeout(420)
def test_the_tutorial_runs_from_start_to_end(tmp_path: Path) -> None:
    """With a port that is free, and `bucle` and `python` those of the tests; 70 s on two cores."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, words in (("bucle", "-m bucle"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n', "utf-8")
        (programs / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = "\n".join(f"echo '@@ {number}'; {line}" for number, line in enumerate(commands(PAGES[0])))
    known = environment(GIT_AUTHOR_NAME="ana", GIT_AUTHOR_EMAIL="a@b.c", GIT_COMMITTER_NAME="ana", GIT_COMMITTER_EMAIL="a@b.c")
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace("7070", str(port))],
            cwd=tmp_path,
            env=known | {"PATH": f"{programs}:{known['PATH']}"},
            capture_output=True,
            text=True,
            timeout=380,
        )
    finally:
        subprocess.run([programs / "bucle", "down"], cwd=tmp_path / "flights", env=known, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = dict(zip(commands(PAGES[0]), re.split(r"^@@ \d+\n", done.stdout, flags=re.MULTILINE)[1:], strict=True))
    assert "registry.version_registered" in said["bucle why delay@2"]
    assert len(said["bucle predict delay --rows request.jsonl --environment production"].splitlines()) == 4
    assert "S-03" in said["bucle audit debt"]
