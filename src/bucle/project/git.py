"""Calling git on a repository that somebody else may have filled: no hooks, no foreign configuration, no transports."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from bucle.project.errors import GitFailed, NotARepository, UnknownCommit

_SAFE = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "protocol.allow=never"),
    *("-c", "safe.directory=*"),
    *("-c", "init.defaultBranch=main"),
)
_LONGEST_SECONDS = 600
_REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/~^-]{0,254}")


def git_command(repository: Path, *arguments: str) -> list[str]:
    """Return the command line of a safe git call in `repository`."""
    return [shutil.which("git") or "git", *_SAFE, "-C", str(repository), *arguments]


def git_environment() -> dict[str, str]:
    """Return the environment of a safe git call: no system or user configuration, no prompts."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {**kept, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def run_git(repository: Path, *arguments: str, extra: dict[str, str] | None = None) -> str:
    """Run git in `repository` and return what it printed. Raises `project/not-a-repository`, `project/git-failed`."""
    environment = {**git_environment(), **(extra or {})}
    command = git_command(repository, *arguments)
    try:  # what people write into commits need not be UTF-8, whatever they declare
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", env=environment, timeout=_LONGEST_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        reason = f"it did not end within {_LONGEST_SECONDS} s"
        raise GitFailed(command=arguments[0], reason=reason, where=str(repository)) from error
    if done.returncode:
        if "not a git repository" in done.stderr:
            raise NotARepository(path=repository)
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise GitFailed(command=arguments[0], reason=reason, where=str(repository))
    return done.stdout


def resolve_commit(repository: Path, revision: str) -> str:
    """Return the full hash of a commit, branch or tag. Raises `project/unknown-commit`, `project/not-a-repository`."""
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise UnknownCommit(commit=revision, where=str(repository))
    try:
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return run_git(repository, *arguments).strip()
    except GitFailed as error:
        raise UnknownCommit(commit=revision, where=str(repository)) from error
