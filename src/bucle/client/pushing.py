"""Bringing a commit to a server that cannot see this disk: a push to a branch of its own, which starts nothing by itself."""

import subprocess
from pathlib import Path

from bucle.client.connection import Client
from bucle.client.errors import PushFailed
from bucle.project import git_command, git_environment, resolve_commit

_PATIENCE = 300.0


def push_commit(client: Client, root: Path, revision: str) -> str:
    """Push a commit of the repository in `root` to `ci/HASH` at the client's server and return its full hash.

    Pushes to other branches than main are only kept. Raises `project/unknown-commit`, `project/not-a-repository`,
    `client/push-failed`.
    """
    sha = resolve_commit(root, revision)
    target = f"{client.url}/git/{client.project}.git"
    allowed = ("-c", "protocol.http.allow=always", "-c", "protocol.https.allow=always")
    command = git_command(root, *allowed, "push", "--quiet", target, f"{sha}:refs/heads/ci/{sha}")
    environment = git_environment() | _credentials(client)
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", env=environment, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PushFailed(commit=sha[:10], url=target, reason=f"git did not end in {_PATIENCE:.0f} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise PushFailed(commit=sha[:10], url=target, reason=lines[-1] if lines else "git gave no reason")
    return sha


def _credentials(client: Client) -> dict[str, str]:
    """The token travels in git's environment, where no list of processes shows it."""
    if client.authorization is None:
        return {}
    header = f"Authorization: {client.authorization}"
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": header}
