"""A commit's tree is exported whole, and nothing in it can write elsewhere."""

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.ledger import Home
from bucle.project import NoProjectFile, export_commit, resolve_commit, working_tree
from bucle.project.checkouts import extract_tree
from bucle.project.errors import BadName, NotARepository, UnknownCommit, UnsafeTree

IDENTITY = {f"GIT_{role}_{part}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


def git(root: Path, *arguments: str) -> str:
    environment = {**os.environ, **IDENTITY}
    done = subprocess.run(
        ["git", "-C", root, *arguments], capture_output=True, text=True, check=True, env=environment, timeout=120
    )
    return done.stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home")
    yield home
    home.close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "flights").mkdir(parents=True)
    (root / "bucle.toml").write_text('[project]\nname = "flights"\n')
    (root / "flights" / "__init__.py").write_text("x = 1\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("flights/__init__.py")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    return root


def test_a_commit_is_exported_once_and_keeps_its_files(home: Home, repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    (repository / "flights" / "__init__.py").write_text("x = 2\n")
    git(repository, "commit", "-q", "-a", "-m", "two")
    checkout = export_commit(home, repository, "flights", first)
    assert (checkout.commit, checkout.dirty, checkout.project) == (first, False, "flights")
    assert (checkout.root / "flights" / "__init__.py").read_text() == "x = 1\n"
    assert os.access(checkout.root / "run.sh", os.X_OK)
    assert (checkout.root / "link").read_text() == "x = 1\n"
    assert not (checkout.root / ".git").exists()
    assert export_commit(home, repository, "flights", first[:10]) == checkout
    assert export_commit(home, repository, "flights", "HEAD").root != checkout.root


def test_a_working_tree_says_whether_it_differs_from_its_commit(repository: Path) -> None:
    clean = working_tree(repository)
    assert (clean.commit, clean.dirty) == (git(repository, "rev-parse", "HEAD"), False)
    assert working_tree(repository) == clean
    (repository / "flights" / "__init__.py").write_text("x = 22\n")
    changed = working_tree(repository)
    assert changed.dirty
    assert changed.stamp != clean.stamp


def test_an_editors_lock_beside_the_code_is_no_code(repository: Path) -> None:
    before = working_tree(repository).stamp
    (repository / "flights" / ".#__init__.py").symlink_to("somebody@nowhere.1234")
    assert working_tree(repository).stamp == before


def test_a_project_outside_of_git_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / "bucle.toml").write_text('[project]\nname = "loose"\n')
    checkout = working_tree(tmp_path)
    assert (checkout.commit, checkout.dirty, checkout.project) == (None, True, "loose")


@pytest.mark.parametrize("revision", ["0" * 40, "nowhere", "--upload-pack=id", "-x", "HEAD..main", "HEAD:x", "", "a;id"])
def test_what_is_no_commit_is_unknown(home: Home, repository: Path, revision: str) -> None:
    with pytest.raises(UnknownCommit):
        export_commit(home, repository, "flights", revision)


def test_a_folder_that_is_no_repository_is_said_to_be_none(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotARepository):
        resolve_commit(tmp_path, "HEAD")
    with pytest.raises(BadName):
        export_commit(home, tmp_path, "../../x", "HEAD")


def test_a_commit_without_bucle_toml_is_no_project(home: Home, repository: Path) -> None:
    git(repository, "rm", "-q", "bucle.toml")
    git(repository, "commit", "-q", "-m", "gone")
    with pytest.raises(NoProjectFile):
        export_commit(home, repository, "flights", "HEAD")


def test_hooks_and_settings_of_a_repository_do_not_run(home: Home, repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {trap}\n")
    hook.chmod(0o755)
    git(repository, "config", "core.fsmonitor", f"touch {trap}; false")
    working_tree(repository)
    export_commit(home, repository, "flights", "HEAD")
    assert not trap.exists()


def test_a_link_that_leads_outside_is_refused_and_leaves_nothing(home: Home, repository: Path) -> None:
    (repository / "evil").symlink_to("../../../../etc/passwd")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "evil")
    with pytest.raises(UnsafeTree) as caught:
        export_commit(home, repository, "flights", "HEAD")
    assert caught.value.where == "evil"
    assert not list((home.path / "checkouts" / "flights").iterdir())


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../x")],
        [entry("/etc/x")],
        [entry("a/../../x")],
        [entry("a\\..\\x")],
        [entry(".git/hooks/post-checkout")],
        [entry("a/.GIT/config")],
        [entry("a/.git\u200c/config")],
        [entry("git~1/config")],
        [entry("link", tarfile.SYMTYPE, "/etc")],
        [entry("a/link", tarfile.SYMTYPE, "../../etc")],
        [entry("here", tarfile.SYMTYPE, "."), entry("here/x")],
        [entry("a/b", tarfile.SYMTYPE, "."), entry("out", tarfile.SYMTYPE, "a/b/../..")],
        [entry("twice"), entry("twice")],
        [entry("file"), entry("file/below")],
        [entry("n" * 300)],
        [entry("hard", tarfile.LNKTYPE, "/etc/passwd")],
        [entry("device", tarfile.CHRTYPE)],
        [entry("pipe", tarfile.FIFOTYPE)],
    ],
    ids=lambda entries: "+".join(each.name for each in entries),
)
def test_no_archive_writes_outside_of_its_folder(tmp_path: Path, entries: list[tarfile.TarInfo]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for each in entries:
            archive.addfile(each, io.BytesIO())
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(UnsafeTree):
        extract_tree(io.BytesIO(buffer.getvalue()), target)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


def test_a_tree_of_too_many_files_or_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for number in range(5):
            info = entry(f"file-{number}")
            info.size = 100
            archive.addfile(info, io.BytesIO(b"x" * 100))
    monkeypatch.setattr("bucle.project.checkouts.MOST_FILES", 3)
    with pytest.raises(UnsafeTree, match="more than 3 files"):
        extract_tree(io.BytesIO(buffer.getvalue()), tmp_path)
    monkeypatch.setattr("bucle.project.checkouts.MOST_FILES", 100)
    monkeypatch.setattr("bucle.project.checkouts.MOST_BYTES", 250)
    with pytest.raises(UnsafeTree):
        extract_tree(io.BytesIO(buffer.getvalue()), tmp_path / "other")
    with pytest.raises(UnsafeTree):
        extract_tree(io.BytesIO(b"not an archive" * 100), tmp_path)
