"""The workflow for GitHub's CI that `bucle init` writes: its steps are run here as a runner's shell would run them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.live import bucle, environment, up
from tests.tables import churn
from uv import find_uv_bin

WORKFLOW = Path(".github/workflows/bucle.yml")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of somebody's table, committed, with its data beside it and not in git."""
    folder = tmp_path_factory.mktemp("ci")
    churn().write_csv(folder / "churn.csv")
    words = ["--label", "churned", "--time", "seen_at", "--key", "customer"]
    made = bucle("init", folder / "churn", "--data", folder / "churn.csv", *words, "--json")
    assert made.returncode == 0, made.stderr
    return folder / "churn"


class Runner:
    """A machine of GitHub's: a fresh clone, the variables and secrets of the repository, one event."""

    def __init__(self, checkout: Path, event: str, variables: Mapping[str, str], secrets: Mapping[str, str]) -> None:
        self.checkout, self.event = checkout, event
        self.known = {f"vars.{name}": value for name, value in variables.items()}
        self.known |= {f"secrets.{name}": value for name, value in secrets.items()} | {"github.event_name": event}
        self.ran: list[str] = []

    def run(self) -> "subprocess.CompletedProcess[str]":
        """Run the steps until one fails; return the last."""
        (job,) = yaml.safe_load((self.checkout / WORKFLOW).read_text("utf-8"))["jobs"].values()
        for step in job["steps"]:
            if "run" not in step or not self.true(step.get("if", "true")):
                continue
            self.ran.append(step["name"])
            home = self.checkout.parent / "home"
            given = {name: self.filled(value) for name, value in step.get("env", {}).items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.checkout,
                env=environment(HOME=str(home), UV_CACHE_DIR=_cache(), PATH=_python(), **given) | {"PYTHONPATH": ""},
                capture_output=True,
                text=True,
                timeout=170,
            )
            if done.returncode:
                break
        return done

    def filled(self, text: str) -> str:
        """Put values in the place of `${{ expressions }}`."""
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: self.value(found[1]), text)

    def value(self, expression: str) -> str:
        """The value of `name` or `name || 'otherwise'`."""
        name, _, otherwise = expression.partition(" || ")
        return self.known.get(name, "") or otherwise.strip("'")

    def true(self, condition: str) -> bool:
        """The value of a condition made of ==, !=, && and ||."""
        return condition == "true" or any(all(map(self.holds, each.split(" && "))) for each in condition.split(" || "))

    def holds(self, comparison: str) -> bool:
        name, operator, wanted = re.fullmatch(r"(\S+) (==|!=) '(.*)'", comparison).groups()  # type: ignore[union-attr]
        return (self.known.get(name, "") == wanted) is (operator == "==")


def _python() -> str:
    """Where `python` is the version that the lock was made with: `actions/setup-python` would put it first."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def _cache() -> str:
    """Where this machine keeps packages: a runner would download them."""
    return subprocess.run(
        [find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True, timeout=20
    ).stdout.strip()


def clone(project: Path, folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", project, folder / "checkout"], check=True, timeout=60)
    return folder / "checkout"


def variables(project: Path, **more: str) -> dict[str, str]:
    (wheel,) = (project / ".bucle" / "wheels").rglob("*.whl")
    return {"FIND_LINKS": str(wheel.parent), "FETCH_DATA": f"cp -r {project}/data .", **more}


def test_a_pull_request_is_checked_by_the_workflow_that_init_wrote(project: Path, tmp_path: Path) -> None:
    runner = Runner(clone(project, tmp_path), "pull_request", variables(project), {})
    done = runner.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert runner.ran == ["Install what the lock pins", "Fetch the data", "Check"]
    assert "no check failed" in done.stdout


def test_what_reaches_main_is_released_on_a_server_that_cannot_see_the_runner_s_disk(project: Path, tmp_path: Path) -> None:
    with up(project / ".bucle") as server:
        token = json.loads(bucle("token", "create", "ci", "--role", "devops_engineer", "--json", cwd=project).stdout)["token"]
        checkout = clone(project, tmp_path)
        (checkout / "README.md").write_text("Changed where bucle cannot see it.\n", "utf-8")
        author = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
        subprocess.run(["git", *author, "commit", "-qam", "Say it shorter"], cwd=checkout, check=True, timeout=20)
        runner = Runner(checkout, "push", variables(project, BUCLE_URL=server.url), {"BUCLE_TOKEN": token})
        done = runner.run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert runner.ran[-1] == "Release"
        releases: list[dict[str, Any]] = json.loads(
            bucle("events", "--kind", "delivery.released", "--json", cwd=project).stdout
        )
        (released,) = releases["events"] if isinstance(releases, dict) else releases
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, timeout=20
        ).stdout.strip()
        assert released["actor"] == "ci" and released["data"]["commit"] == head


def test_a_push_that_the_server_refuses_says_so(project: Path, tmp_path: Path) -> None:
    with up(project / ".bucle") as server:
        viewer = json.loads(bucle("token", "create", "eve", "--role", "viewer", "--json", cwd=project).stdout)["token"]
        done = bucle("release", "HEAD", cwd=project, BUCLE_URL=server.url, BUCLE_TOKEN=viewer)
    assert done.returncode == 1 and "client/push-failed" in done.stderr
    assert viewer not in done.stderr
