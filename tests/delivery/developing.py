"""What the tests of delivery do as developers: a real server in a process of its own, real git, small projects to push."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent.parent.parent / "src"
TOML = """\
[project]
name = "{name}"
definitions = "{name}"

[charter]
problem = "A project to be pushed."
task = "classification"

[environments.test]
deploy = "automatic"

[environments.staging]
deploy = "reviewed"

[environments.production]
deploy = "approved"
"""
GOOD_TESTS = {
    "tests/test_features.py": "def test_rows():\n    assert 1 + 1 == 2\n",
    "tests/test_model.py": "def test_fit():\n    assert True\n",
}


@dataclass
class Server:
    """A server process on a home, and what its users ask of it."""

    home: Path
    url: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    quick: bool = False
    """Only the first check, which starts no child: for tests of what happens with releases."""

    def start(self) -> None:
        """Start it; returns when it answers."""
        few = "import bucle.delivery.checking as c; c.Checker.__init__.__defaults__ = (c.CHECKS[:1],);" if self.quick else ""
        code = (
            f"import sys; from pathlib import Path; from bucle.server import ServerOptions, serve; {few}"
            "serve(ServerOptions(Path(sys.argv[1]), port=0), lambda url: print(url, flush=True))"
        )
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        command = [sys.executable, "-c", code, str(self.home)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, stdin=subprocess.DEVNULL)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().strip()
        assert self.url, "the server did not start"

    def kill(self) -> None:
        """Kill it without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to leave."""
        self._end(signal.SIGTERM)

    def ask(self, method: str, path: str, body: object = None, token: str | None = None) -> Any:
        """Return what a route answers; a refusal is a `Refusal`."""
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refusal(json.loads(error.read())) from None
        return json.loads(content) if content.startswith((b"{", b"[")) else content.decode()

    def events(self, *kinds: str, project: str | None = None) -> list[dict[str, Any]]:
        """Return the events of these kinds, oldest first."""
        query = f"kind={','.join(kinds)}&limit=1000" + (f"&project={project}" if project else "")
        return list(self.ask("GET", f"/api/v1/events?{query}")["events"])

    def until(self, path: str, wanted: Any, seconds: float = 60) -> Any:
        """Ask until `wanted(answer)` holds; that it does not within `seconds` is a failure."""
        deadline, answer = time.monotonic() + seconds, None
        while time.monotonic() < deadline:
            answer = self.ask("GET", path)
            if wanted(answer):
                return answer
            time.sleep(0.1)
        raise AssertionError(f"{path} did not get there: {answer}")

    def token(self, name: str, role: str, project: str = "*") -> str:
        """Make a person with a role and return the token."""
        return str(self.ask("POST", "/api/v1/tokens", {"name": name, "role": role, "project": project})["token"])

    def _end(self, number: int) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Refusal(Exception):
    """A problem document."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail", ""))
        self.problem = problem
        self.code = problem["code"]


def git(*arguments: str, at: Path, token: str | None = None, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run git as a developer would, with nothing of this machine's settings."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(at),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }
    options = ["-c", "user.name=Ana Diaz", "-c", "user.email=ana@example.org", "-c", "init.defaultBranch=main"]
    if token:
        options += ["-c", f"http.extraHeader=Authorization: Bearer {token}"]
    done = subprocess.run(["git", *options, *arguments], cwd=at, env=environment, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


def write_project(folder: Path, name: str = "tiny", files: Mapping[str, str | None] | None = None) -> Path:
    """Write a project whose checks pass, or with other files; None leaves one out."""
    tree: dict[str, str | None] = {"bucle.toml": TOML.format(name=name), f"{name}.py": '"""A tiny project."""\n', **GOOD_TESTS}
    for path, text in {**tree, **(files or {})}.items():
        if text is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
    return folder


def commit_all(folder: Path, message: str = "Change something") -> str:
    """Commit everything and return the sha."""
    if not (folder / ".git").exists():
        git("init", "--quiet", at=folder)
    git("add", "-A", at=folder)
    git("commit", "--quiet", "--allow-empty", "-m", message, at=folder)
    return git("rev-parse", "HEAD", at=folder).stdout.strip()


def push(server: Server, folder: Path, name: str = "tiny", *options: str, token: str | None = None) -> tuple[int, list[str]]:
    """Push main and return git's exit code and the `remote:` lines."""
    done = git("push", *options, f"{server.url}/git/{name}.git", "HEAD:main", at=folder, token=token, check=False)
    lines = [line.removeprefix("remote: ").rstrip() for line in done.stderr.splitlines() if line.startswith("remote: ")]
    return done.returncode, lines or done.stderr.splitlines()
