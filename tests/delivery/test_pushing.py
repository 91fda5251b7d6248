"""Clone, edit, push with git itself against a real server; what comes back; what is refused."""

import random
from pathlib import Path

import pytest
from tests.delivery.developing import TOML, Refusal, Server, commit_all, git, push, write_project


def checks_of(server: Server, name: str, sha: str) -> dict:
    (run,) = server.ask("GET", f"/api/v1/projects/{name}/checks?commit={sha}")
    return run


def test_a_push_is_checked_and_released_and_says_so(server: Server, tmp_path: Path) -> None:
    sha = commit_all(write_project(tmp_path, "good"), "Begin")
    code, lines = push(server, tmp_path, "good")
    assert code == 0
    assert any("lint" in line and line.strip().startswith("ok") for line in lines)
    run = checks_of(server, "good", sha)
    assert run["state"] == "passed" and run["author"] == "Ana Diaz <ana@example.org>"
    assert lines[-2:] == [f"bucle: released {run['release']}", "bucle: test runs it"]
    (released,) = server.events("delivery.released", project="good")
    assert released["data"]["commit"] == sha
    received = server.events("delivery.commit_received", project="good")[0]
    chain = {event["kind"] for event in server.ask("GET", f"/api/v1/why/{run['release']}")["events"]}
    assert {"delivery.commit_received", "delivery.check_finished", "delivery.checks_finished"} <= chain
    assert received["data"]["email"] == "ana@example.org"


def test_what_was_pushed_can_be_cloned_edited_and_pushed_again(quick: Server, tmp_path: Path) -> None:
    commit_all(write_project(tmp_path / "first", "again"))
    push(quick, tmp_path / "first", "again")
    git("clone", "--quiet", f"{quick.url}/git/again.git", "second", at=tmp_path)
    assert (tmp_path / "second" / "bucle.toml").is_file()
    (tmp_path / "second" / "again.py").write_text('"""Changed."""\n')
    sha = commit_all(tmp_path / "second", "Change it\n\nBucle-Run: run_123")
    code, lines = push(quick, tmp_path / "second", "again")
    assert code == 0 and lines[-1] == "bucle: test runs it"
    assert quick.events("delivery.commit_received", project="again")[-1]["data"]["run"] == "run_123"
    assert quick.events("delivery.deployed", project="again")[-1]["data"]["commit"] == sha


def test_a_failing_commit_is_kept_but_not_released_and_the_reasons_name_file_and_line(server: Server, tmp_path: Path) -> None:
    files = {"bad.py": '"""A module."""\n\n\ndef f() -> int:\n    return undefinedname\n'}
    sha = commit_all(write_project(tmp_path, "bad", files))
    code, lines = push(server, tmp_path, "bad")
    assert code == 0
    assert any("bad.py:5: the name 'undefinedname' is defined nowhere" in line for line in lines)
    assert "its release refused" in lines[-1]
    assert git("ls-remote", f"{server.url}/git/bad.git", "main", at=tmp_path).stdout.startswith(sha)
    (refused,) = server.events("delivery.release_refused", project="bad")
    assert refused["data"]["author"] == "Ana Diaz <ana@example.org>"
    assert refused["data"]["reasons"][0].startswith("lint: bad.py:5:")
    assert server.events("delivery.released", project="bad") == []
    with pytest.raises(Refusal) as caught:
        server.ask("GET", f"/api/v1/projects/bad/releases/{sha}")
    assert caught.value.code == "delivery/unknown-release"


def test_each_check_keeps_its_log(server: Server, tmp_path: Path) -> None:
    files = {"tests/test_model.py": "def test_fit():\n    print('look here')\n    assert 1 == 2\n"}
    sha = commit_all(write_project(tmp_path, "logged", files))
    push(server, tmp_path, "logged")
    run = checks_of(server, "logged", sha)
    model = next(result for result in run["results"] if result["name"] == "model-tests")
    assert (model["outcome"], model["kind"], model["where"]) == ("failed", "unit", "tests/test_model.py:3")
    text = server.ask("GET", f"/api/v1/projects/logged/checks/{run['id']}/feature-tests/log")
    assert "look here" in text


def test_a_push_without_bucle_toml_is_told_so_by_code(server: Server, tmp_path: Path) -> None:
    commit_all(write_project(tmp_path, "naked", {"bucle.toml": None}))
    code, lines = push(server, tmp_path, "naked")
    assert code == 0
    assert any("project/no-project-file" in line for line in lines)


def test_an_unknown_key_in_bucle_toml_comes_back_with_its_line(server: Server, tmp_path: Path) -> None:
    toml = TOML.format(name="keyed") + "\n[environments.production.extra]\nx = 1\n"
    commit_all(write_project(tmp_path, "keyed", {"bucle.toml": toml}))
    _, lines = push(server, tmp_path, "keyed")
    line = toml.splitlines().index("[environments.production.extra]") + 1
    assert any("project/unknown-key" in line_ and f"bucle.toml:{line}" in line_ for line_ in lines)


def test_a_branch_is_kept_without_checks(quick: Server, tmp_path: Path) -> None:
    commit_all(write_project(tmp_path, "branchy"))
    done = git("push", f"{quick.url}/git/branchy.git", "HEAD:refs/heads/idea", at=tmp_path)
    assert "pushes to main are checked" in done.stderr
    assert quick.events("delivery.checks_requested", project="branchy") == []


@pytest.mark.parametrize(
    "refspec", ["HEAD:refs/replace/x", "HEAD:refs/bucle/commits/x", "HEAD:refs/notes/x", ":refs/heads/main"]
)
def test_refs_outside_of_branches_and_tags_and_the_end_of_main_are_refused(quick: Server, tmp_path: Path, refspec: str) -> None:
    commit_all(write_project(tmp_path, "refs"))
    push(quick, tmp_path, "refs")
    done = git("push", f"{quick.url}/git/refs.git", refspec, at=tmp_path, check=False)
    assert done.returncode != 0
    assert "delivery/ref-refused" in done.stderr or "hidden" in done.stderr or "deny" in done.stderr


@pytest.mark.parametrize("name", ["a\u2028b", "a\x85b", "x" * 300])
def test_a_ref_that_cannot_be_shown_is_refused_in_words(quick: Server, tmp_path: Path, name: str) -> None:
    commit_all(write_project(tmp_path, "unread"))
    done = git("push", f"{quick.url}/git/unread.git", f"HEAD:refs/heads/{name}", "HEAD:main", at=tmp_path, check=False)
    assert done.returncode != 0
    assert "delivery/ref-refused" in done.stderr and "Traceback" not in done.stderr


def test_a_commit_whose_message_is_no_text_is_checked_like_any_other(quick: Server, tmp_path: Path) -> None:
    commit_all(write_project(tmp_path, "bytes"))
    raw = git("cat-file", "commit", "HEAD", at=tmp_path).stdout.encode().replace(b"Change", b"Ch\xe4nge")
    (tmp_path / "raw").write_bytes(raw)
    sha = git("hash-object", "-t", "commit", "-w", "raw", at=tmp_path).stdout.strip()
    git("reset", "--quiet", "--soft", sha, at=tmp_path)
    code, lines = push(quick, tmp_path, "bytes")
    assert code == 0 and lines[-1] == "bucle: test runs it", lines
    assert quick.events("delivery.commit_received", project="bytes")[0]["data"]["message"] == "Ch\ufffdnge something"


def test_the_history_of_main_cannot_be_rewritten(quick: Server, tmp_path: Path) -> None:
    commit_all(write_project(tmp_path, "history"), "One")
    first = commit_all(tmp_path, "Two")
    push(quick, tmp_path, "history")
    git("commit", "--quiet", "--amend", "--allow-empty", "-m", "Other", at=tmp_path)
    code, lines = push(quick, tmp_path, "history", "--force")
    assert code != 0 and any("its history would be rewritten" in line for line in lines)
    assert git("ls-remote", f"{quick.url}/git/history.git", "main", at=tmp_path).stdout.startswith(first)


def test_a_push_of_many_megabytes_arrives_whole(quick: Server, tmp_path: Path) -> None:
    """Larger than any buffer on the way, and sent in chunks because git does not know the length before."""
    data = random.Random(7).randbytes(6_000_000)
    commit_all(write_project(tmp_path / "first", "large"))
    (tmp_path / "first" / "noise.bin").write_bytes(data)
    commit_all(tmp_path / "first")
    code, _ = push(quick, tmp_path / "first", "large")
    assert code == 0
    git("clone", "--quiet", f"{quick.url}/git/large.git", "second", at=tmp_path)
    assert (tmp_path / "second" / "noise.bin").read_bytes() == data


def test_two_developers_cannot_overwrite_each_other(quick: Server, tmp_path: Path) -> None:
    commit_all(write_project(tmp_path / "ana", "shared"))
    push(quick, tmp_path / "ana", "shared")
    git("clone", "--quiet", f"{quick.url}/git/shared.git", "ben", at=tmp_path)
    commit_all(tmp_path / "ana", "Ana's")
    commit_all(tmp_path / "ben", "Ben's")
    assert push(quick, tmp_path / "ana", "shared")[0] == 0
    assert push(quick, tmp_path / "ben", "shared")[0] != 0
