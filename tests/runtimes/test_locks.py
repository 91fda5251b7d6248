"""A lock is exact versions with hashes, and nothing that could lead an installer elsewhere."""

import sys
from pathlib import Path

import pytest

from bucle.runtimes import read_lock, uv
from bucle.runtimes.errors import BadLock, NoLock, NoUv
from bucle.runtimes.locks import OWN_PYTHON
from bucle.runtimes.uv import run_uv, uv_version

HASH = "--hash=sha256:" + "a" * 64


def lock(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text(text)
    return path


def test_a_lock_is_read_with_its_python_and_digest(tmp_path: Path) -> None:
    text = f"""# Locked for Python 3.12 with bucle 0.1.0; `bucle lock` makes it again.
numpy==2.4.6 ; python_full_version < '3.12' \\
    {HASH} \\
    {HASH.replace("aa", "bb")}
Typing.Extensions[x]==4.16.0 {HASH}  # a comment
"""
    read = read_lock(lock(tmp_path, text))
    assert read.python == "3.12"
    assert [(each.name, each.version, each.marker, each.line) for each in read.requirements] == [
        ("numpy", "2.4.6", "python_full_version < '3.12'", 2),
        ("typing-extensions", "4.16.0", "", 5),
    ]
    assert len(read.requirements[0].hashes) == 2
    assert read.digest.startswith("blake3:")
    assert read_lock(lock(tmp_path, text + "\n")).digest != read.digest
    assert read_lock(lock(tmp_path, "")).python == OWN_PYTHON


@pytest.mark.parametrize(
    "line",
    [
        "numpy==2.4.6",
        "numpy>=2.4.6 " + HASH,
        "numpy " + HASH,
        "--index-url=http://evil.example/simple",
        "-i http://evil.example",
        "--extra-index-url http://evil.example",
        "--find-links /tmp",
        "-e .",
        "-r other.txt",
        "./local " + HASH,
        "numpy @ https://evil.example/numpy.whl " + HASH,
        "git+https://evil.example/numpy.git " + HASH,
        "numpy==2.4.6 --hash=md5:" + "a" * 32,
        "numpy==2.4.6 --hash=sha256:xyz",
        f"numpy==2.4.6 {HASH} --index-url=http://evil.example",
        "numpy==2.4.6 --config-settings=x=y",
    ],
)
def test_anything_but_an_exact_version_with_hashes_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = lock(tmp_path, f"# a lock\nclick==8.5.1 \\\n    {HASH}\n{line}\n")
    with pytest.raises(BadLock) as caught:
        read_lock(path)
    assert caught.value.where == f"{path}:4"


def test_no_lock_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NoLock, match=r"requirements\.lock"):
        read_lock(tmp_path / "requirements.lock")


def test_a_machine_without_uv_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoUv):
        run_uv(["--version"], cwd=tmp_path)
    assert uv_version() is None


def test_uv_is_there_with_bucle() -> None:
    assert (uv_version() or "").startswith("uv ")


def test_uv_that_hangs_is_stopped_and_said_to_be_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "uv"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(uv, "_binary", lambda: str(slow))
    monkeypatch.setattr(uv, "_LONGEST", 0.2)
    done = uv.run_uv(["pip", "install"], cwd=tmp_path)
    assert (done.ok, done.unreachable) == (False, True)
