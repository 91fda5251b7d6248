"""The source repository (C2): one bare git repository per project, in the home's folder `git`, hardened."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bucle.delivery.errors import NoRepository, UnsafeName
from bucle.ledger import Home, new_id
from bucle.project import git_command, git_environment, is_project_name, resolve_commit, run_git

MAIN = "refs/heads/main"
"""The branch whose pushes are checked and released."""

SETTINGS = {
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.symlinks": "false",
    "receive.fsckObjects": "true",
    "transfer.fsckObjects": "true",
    "transfer.hideRefs": "refs/bucle",
    "receive.maxInputSize": str(2 * 1024**3),
    "receive.denyDeleteCurrent": "refuse",
    "receive.autogc": "true",
    "gc.auto": "2000",
    "gc.autoDetach": "false",
    "http.receivepack": "true",
    "http.getanyfile": "false",
    "uploadpack.allowFilter": "true",
    "uploadpack.hideRefs": "refs/bucle",
}
"""What each hosted repository is set to (security.md, class 17); `refs/bucle` keeps what was checked."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit says of itself; `run` is the trailer `Bucle-Run`, the experiment that asked for the change (K-F1)."""

    sha: str
    author: str
    email: str
    subject: str
    run: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository on this disk: a hosted bare one, or a project's working directory."""

    project: str
    path: Path

    def tip(self, ref: str = MAIN) -> str | None:
        """Return the sha that a full ref name points to, or None."""
        return (
            run_git(self.path, "for-each-ref", "--format=%(objectname)", "--count=1", "--end-of-options", ref).strip() or None
        )

    def resolve(self, revision: str) -> str:
        """Return the full sha of a commit given as sha, its beginning, branch, tag. Raises `project/unknown-commit`."""
        return resolve_commit(self.path, revision)

    def commit(self, sha: str) -> Commit:
        """Return what the commit says of itself."""
        form = "%H%x00%an%x00%ae%x00%s%x00%(trailers:key=Bucle-Run,valueonly,separator=%x2C)"
        text = run_git(self.path, "show", "-s", f"--format={form}", "--end-of-options", sha).rstrip("\n")
        found, author, email, subject, run = text.split("\0")
        return Commit(found, author, email, subject, run.split(",")[0].strip() or None)

    def holds(self, sha: str, file: str) -> bool:
        """Return whether the commit's tree has this file."""
        return bool(run_git(self.path, "ls-tree", "--name-only", sha, "--", file).strip())

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether `older` is in the history of `newer`."""
        command = git_command(self.path, "merge-base", "--is-ancestor", older, newer)
        return subprocess.run(command, env=git_environment(), capture_output=True, check=False, timeout=600).returncode == 0

    def keep(self, sha: str) -> None:
        """Hold on to a commit, whatever happens to its branch: something that was checked can always be looked at again."""
        run_git(self.path, "update-ref", f"refs/bucle/commits/{sha}", sha)


def repository_path(home: Home, project: str) -> Path:
    """Return where the project's repository is or would be. Raises `delivery/unsafe-name`."""
    if not is_project_name(project):
        raise UnsafeName(name=project[:80])
    return home.folder("git") / f"{project}.git"


def open_repository(home: Home, project: str) -> Repository:
    """Return the project's hosted repository. Raises `delivery/no-repository`."""
    path = repository_path(home, project)
    if not (path / "HEAD").is_file():
        raise NoRepository(project=project)
    return Repository(project, path)


def ensure_repository(home: Home, project: str) -> Repository:
    """Return the project's hosted repository, made when it is not there; its settings and hooks are renewed each time."""
    return Repository(project, _made(repository_path(home, project)))


def repository_to_be(home: Home, project: str) -> Repository:
    """Return the project's repository, or an empty one in its stead where there is none: asking about it makes none."""
    path = repository_path(home, project)
    return Repository(project, path if (path / "HEAD").is_file() else _made(home.folder("tmp") / "empty.git"))


def _made(path: Path) -> Path:
    if not (path / "HEAD").is_file():
        run_git(path.parent, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(path))
    config = path / "config"
    wanted = _configuration()
    if not config.is_file() or config.read_text("utf-8") != wanted:
        temporary = path / new_id("config")
        temporary.write_text(wanted, "utf-8")
        temporary.replace(config)
    return path


def hosted_projects(home: Home) -> list[str]:
    """Return the projects that have a repository here."""
    return sorted(path.stem for path in home.folder("git").glob("*.git") if (path / "HEAD").is_file())


def bring_commit(home: Home, project: str, source: Path, revision: str) -> str:
    """Copy a commit from a working directory into the project's hosted repository and return its sha.

    Raises `project/unknown-commit`, `delivery/no-repository` when `source` is no git repository.
    """
    if not source.is_absolute() or not (source / ".git").exists():
        raise NoRepository(project=project, where=str(source))
    sha = Repository(project, source).resolve(revision)
    hosted = ensure_repository(home, project)
    wanted = f"{sha}:refs/bucle/commits/{sha}"
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options")
    run_git(hosted.path, "fetch", *options, str(source), wanted, extra={"GIT_ALLOW_PROTOCOL": "file"})
    return sha


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment for git in which no setting, hook, pager, prompt or alternate of this machine counts."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "",
        **(extra or {}),
    }


def _configuration() -> str:
    """The whole configuration is ours: nothing that somebody left in the file survives."""
    sections: dict[str, list[str]] = {"core": ["repositoryformatversion = 0", "filemode = true", "bare = true"]}
    for name, value in SETTINGS.items():
        section, key = name.split(".", 1)
        sections.setdefault(section, []).append(f"{key} = {value}")
    return "".join(f"[{section}]\n" + "".join(f"\t{line}\n" for line in lines) for section, lines in sections.items())
