"""The git layer under attack (security.md, classes 5, 7, 11, 17): rights per verb and project, paths, trees, hooks."""

import http.client
import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.delivery.developing import TOML, Refusal, Server, commit_all, git, push, write_project


@pytest.fixture(scope="module")
def fort(quick: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_project(tmp_path_factory.mktemp("fort"), "fort")
    commit_all(folder)
    assert push(quick, folder, "fort")[0] == 0
    return folder


def raw(quick: Server, method: str, path: str, headers: dict[str, str] | None = None) -> int:
    """Send a path exactly as it is written and return the status."""
    connection = http.client.HTTPConnection(urlsplit(quick.url).netloc, timeout=30)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status


def test_who_may_read_can_clone_but_not_push(quick: Server, fort: Path, tmp_path: Path) -> None:
    token = quick.token("vera", "viewer")
    git("clone", "--quiet", f"{quick.url}/git/fort.git", "copy", at=tmp_path, token=token)
    commit_all(tmp_path / "copy")
    code, lines = push(quick, tmp_path / "copy", "fort", token=token)
    assert code != 0 and any("403" in line for line in lines)


def test_a_token_for_another_project_can_neither_clone_nor_push(quick: Server, fort: Path, tmp_path: Path) -> None:
    token = quick.token("otto", "ml_engineer", project="elsewhere")
    done = git("clone", f"{quick.url}/git/fort.git", "copy", at=tmp_path, token=token, check=False)
    assert done.returncode != 0 and "403" in done.stderr
    assert push(quick, fort, "fort", token=token)[0] != 0


def test_a_wrong_token_is_no_token_at_all(quick: Server, fort: Path, tmp_path: Path) -> None:
    done = git("clone", f"{quick.url}/git/fort.git", "copy", at=tmp_path, token="bucle_wrong", check=False)
    assert done.returncode != 0


def test_git_sends_the_token_as_a_password_when_it_is_asked(quick: Server, fort: Path, tmp_path: Path) -> None:
    token = quick.token("vera2", "viewer")
    import base64

    basic = base64.b64encode(f"x:{token}".encode()).decode()
    path = "/git/fort.git/info/refs?service=git-upload-pack"
    assert raw(quick, "GET", path, {"Authorization": f"Basic {basic}"}) == 200
    assert raw(quick, "GET", path, {"Authorization": "Basic !!!"}) == 401


def test_a_push_to_one_project_cannot_speak_for_another(quick: Server, fort: Path, tmp_path: Path) -> None:
    before = quick.events("project.charter_recorded", project="fort")
    token = quick.token("mallory", "ml_engineer", project="mallory")
    charter = TOML.format(name="fort").replace("A project to be pushed.", "Whatever Mallory says.")
    commit_all(write_project(tmp_path, "mallory", {"bucle.toml": charter}))
    _, lines = push(quick, tmp_path, "mallory", token=token)
    assert any("delivery/wrong-project" in line for line in lines) and "its release refused" in lines[-1]
    assert quick.events("project.charter_recorded", project="fort") == before
    assert quick.events("delivery.released", project="mallory") == []


def test_the_one_who_pushes_is_the_token_not_the_author_of_the_commit(quick: Server, tmp_path: Path) -> None:
    token = quick.token("paula", "data_engineer")
    commit_all(write_project(tmp_path, "actors"))
    push(quick, tmp_path, "actors", token=token)
    (received,) = quick.events("delivery.commit_received", project="actors")
    assert (received["actor"], received["role"], received["data"]["author"]) == ("paula", "data_engineer", "Ana Diaz")


@pytest.mark.parametrize(
    "path",
    [
        "/git/fort.git/HEAD",
        "/git/fort.git/config",
        "/git/fort.git/objects/info/packs",
        "/git/fort.git/info/refs",
        "/git/fort.git/info/refs?service=git-upload-archive",
        "/git/fort.git/info/refs?service=--upload-pack=id",
        "/git/fort/info/refs?service=git-upload-pack",
        "/git/../git/fort.git/info/refs?service=git-upload-pack",
        "/git/..%2ffort.git/info/refs?service=git-upload-pack",
        "/git/%2e%2e/info/refs?service=git-upload-pack",
        "/git/fort.git%00/info/refs?service=git-upload-pack",
        "/git//fort.git/info/refs?service=git-upload-pack",
        "/git/FORT.git/info/refs?service=git-upload-pack",
        "/git/.git/info/refs?service=git-upload-pack",
        "/git/ext::sh.git/info/refs?service=git-upload-pack",
        "/GIT/fort.git/info/refs?service=git-upload-pack",
        "/git/nobody.git/info/refs?service=git-upload-pack",
    ],
)
def test_only_the_three_paths_of_the_protocol_answer(quick: Server, fort: Path, path: str) -> None:
    assert raw(quick, "GET", path) in (400, 404)


def test_a_page_of_another_site_cannot_make_a_browser_push(quick: Server, fort: Path) -> None:
    path = "/git/fort.git/git-receive-pack"
    assert raw(quick, "POST", path, {"Origin": "http://evil.example", "Content-Length": "0"}) == 403
    assert raw(quick, "POST", path, {"Host2": "x", "Sec-Fetch-Site": "cross-site", "Content-Length": "0"}) == 403


def plumb(folder: Path, *entries: tuple[str, str, str]) -> str:
    """Commit a tree that `git add` would not make: (mode, name, content)."""
    lines = []
    for mode, name, content in entries:
        environment = {**os.environ, "GIT_DIR": str(folder / ".git")}
        run = subprocess.run(
            ["git", "hash-object", "-w", "--stdin"],
            input=content.encode(),
            capture_output=True,
            env=environment,
            check=True,
            timeout=120,
        )
        lines.append(f"{mode} blob {run.stdout.decode().strip()}\t{name}")
    tree = subprocess.run(
        ["git", "mktree"], input="\n".join(lines).encode(), capture_output=True, cwd=folder, check=True, timeout=120
    ).stdout.decode()
    return git("commit-tree", tree.strip(), "-m", "evil", at=folder).stdout.strip()


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".git "])
def test_a_tree_with_a_git_folder_in_it_is_not_taken(quick: Server, tmp_path: Path, name: str) -> None:
    commit_all(write_project(tmp_path, "trees"))
    sha = plumb(tmp_path, ("100644", name, "x"))
    done = git("push", f"{quick.url}/git/trees.git", f"{sha}:refs/heads/evil", at=tmp_path, check=False)
    assert done.returncode != 0 or name == ".git "


def test_a_submodule_that_is_an_option_is_not_taken(quick: Server, tmp_path: Path) -> None:
    commit_all(write_project(tmp_path, "modules"))
    modules = '[submodule "x"]\n\tpath = x\n\turl = --upload-pack=touch /tmp/owned\n'
    sha = plumb(tmp_path, ("100644", ".gitmodules", modules))
    done = git("push", f"{quick.url}/git/modules.git", f"{sha}:refs/heads/evil", at=tmp_path, check=False)
    assert done.returncode != 0 and "gitmodules" in done.stderr


def test_a_symbolic_link_out_of_the_tree_is_reported_and_nothing_is_written(quick: Server, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "work", "links")
    (folder / "out").symlink_to("../../../../outside")
    commit_all(folder)
    _, lines = push(quick, folder, "links")
    assert any("project/unsafe-tree" in line for line in lines)


def test_a_hook_or_alternate_in_a_repository_means_nothing(quick: Server, tmp_path: Path) -> None:
    """Even somebody who could write into the repository's folder gets no code run by a push."""
    folder = write_project(tmp_path / "work", "hooked")
    commit_all(folder)
    push(quick, folder, "hooked")
    hooks = quick.home / "git" / "hooked.git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-receive", "update", "post-receive", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/owned\n")
        (hooks / name).chmod(0o755)
    config = quick.home / "git" / "hooked.git" / "config"
    config.write_text(config.read_text() + f"[core]\n\tfsmonitor = touch {tmp_path}/owned\n")
    (folder / "hooked.py").write_text('"""Changed."""\n')
    commit_all(folder)
    code, _ = push(quick, folder, "hooked")
    assert code == 0 and not (tmp_path / "owned").exists()
    assert "fsmonitor" not in config.read_text()


def test_only_the_owner_may_have_a_directory_of_the_servers_disk_read(quick: Server, fort: Path) -> None:
    token = quick.token("dan", "data_scientist")
    with pytest.raises(Refusal) as caught:
        quick.ask("POST", "/api/v1/projects/fort/checks", {"commit": "HEAD", "source": str(fort)}, token)
    assert caught.value.code == "delivery/foreign-path"


@pytest.mark.parametrize("commit", ["--output=/tmp/x", "HEAD; id", "$(id)", "HEAD..main", "@{-1}", "", "a" * 300])
def test_a_commit_is_a_name_and_never_an_option_or_a_command(quick: Server, fort: Path, commit: str) -> None:
    with pytest.raises(Refusal) as caught:
        quick.ask("POST", "/api/v1/projects/fort/checks", {"commit": commit})
    assert caught.value.code == "project/unknown-commit"


def test_a_source_that_is_no_repository_or_an_address_is_refused(quick: Server, fort: Path, tmp_path: Path) -> None:
    for source in (str(tmp_path), "relative", "ext::sh -c id", "http://127.0.0.1:1/x.git", "--upload-pack=id"):
        with pytest.raises(Refusal) as caught:
            quick.ask("POST", "/api/v1/projects/fort/checks", {"commit": "HEAD", "source": source})
        assert caught.value.code == "delivery/no-repository"


def test_what_is_not_there_or_cannot_be_is_said_by_code(quick: Server, fort: Path) -> None:
    asked = {
        ("POST", "/api/v1/projects/Bad.Name/checks"): "delivery/unsafe-name",
        ("POST", "/api/v1/projects/nobody/checks"): "delivery/no-repository",
        ("GET", "/api/v1/projects/fort/checks/chk_1"): "delivery/unknown-check-run",
        ("GET", "/api/v1/projects/fort/promotions/promo_1"): "delivery/unknown-promotion",
        ("GET", "/api/v1/projects/fort/releases/rel_1"): "delivery/unknown-release",
    }
    for (method, path), code in asked.items():
        with pytest.raises(Refusal) as caught:
            quick.ask(method, path, {"commit": "HEAD"} if method == "POST" else None)
        assert caught.value.code == code


def test_a_check_run_of_another_project_does_not_exist(quick: Server, fort: Path) -> None:
    (run, *_) = quick.ask("GET", "/api/v1/projects/fort/checks")
    with pytest.raises(Refusal) as caught:
        quick.ask("GET", f"/api/v1/projects/elsewhere/checks/{run['id']}")
    assert caught.value.code == "delivery/unknown-check-run"


def test_asking_what_could_be_pushed_makes_no_repository(quick: Server, tmp_path: Path) -> None:
    assert raw(quick, "GET", "/git/notyet.git/info/refs?service=git-receive-pack", {}) == 200
    assert raw(quick, "GET", "/git/notyet.git/info/refs?service=git-upload-pack", {}) == 404
    assert not (quick.home / "git" / "notyet.git").exists()
    commit_all(write_project(tmp_path, "notyet"))
    assert push(quick, tmp_path, "notyet")[0] == 0
    assert (quick.home / "git" / "notyet.git" / "HEAD").is_file()


def test_a_push_that_says_it_is_too_large_is_not_read(quick: Server, fort: Path) -> None:
    assert raw(quick, "POST", "/git/fort.git/git-receive-pack", {"Content-Length": str(3 * 1024**3)}) == 413
