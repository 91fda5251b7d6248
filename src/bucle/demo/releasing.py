"""Chapters 2 and 3: pushing, promoting, training in production's environment (K-17 to K-24, K-CI)."""

from typing import Any

from bucle.demo.errors import CommandFailed
from bucle.demo.stage import Stage, wait_for
from bucle.messages import say

PRODUCTION = {"environment": "production"}


def deliver(stage: Stage) -> None:
    """The first push: checks, release, and on its own to test; then reviewed to staging and approved to production."""
    stage.say(say("demo.push"))
    checked = push(stage, "ana")
    if checked["state"] != "passed":
        raise CommandFailed(command="git push", reason="the checks did not pass")
    for environment, approver in (("staging", "carla"), ("production", "elena")):
        promote(stage, f"release:{checked['commit']}", environment, approver)


def train_and_deploy(stage: Stage) -> None:
    """Train in production's environment and bring the version to all traffic at once: there is nothing to compare it with."""
    stage.say(say("demo.train"))
    version = train(stage, "carla")
    if not show_gates(stage, version):
        raise CommandFailed(command="bucle run train_delay", reason="the gates refuse the first version")
    promote(stage, f"delay@{version}", "production", "elena")
    stage.say(say("demo.first_version"))


def push(stage: Stage, actor: str) -> dict[str, Any]:
    """Push, show what the checks say, and return the check run of the commit once it has ended."""
    commit = stage.git("rev-parse", "HEAD", actor=actor).strip()
    for line in stage.push(actor).splitlines():
        if line.startswith("remote:") and line.removeprefix("remote:").strip():
            stage.say("  " + line.rstrip())
    return wait_for(lambda: _checked(stage, commit), "git push")


def _checked(stage: Stage, commit: str) -> dict[str, Any] | None:
    runs = stage.call("ana", lambda client: client.get(client.path("checks"), {"commit": commit}))
    ended = [run for run in runs if run["state"] in ("passed", "failed")]
    return ended[0] if ended else None


def promote(stage: Stage, target: str, environment: str, approver: str) -> dict[str, Any]:
    """Dario asks, somebody else agrees; say what a rollout could detect. Return the promotion."""
    shown = target[:18] if target.startswith("release:") else target
    stage.say(say("demo.promote", target=shown, environment=environment, approver=approver))
    asked: dict[str, Any] = stage.command("promote", target, environment, actor="dario")
    if asked["state"] == "pending":
        asked = stage.command("approve", asked["id"], actor=approver)
    for prospect in asked.get("prospects", ()):
        stage.say(f"  {prospect['sentence']}")
    return asked


def train(stage: Stage, actor: str) -> int:
    """Train in production's environment by hand; return the number of the version."""
    run = stage.command("run", "train_delay", "--environment", "production", actor=actor)
    say_run(stage, run.get("id") or run.get("run"), run["status"])
    return newest_version(stage)


def say_run(stage: Stage, run: str, status: str) -> None:
    """Say how a run ended."""
    stage.say(say("demo.run", id=run, status=status))


def newest_version(stage: Stage) -> int:
    """Return the number of the newest version that production's environment made."""
    model = stage.call("ana", lambda client: client.get(client.path("models", "delay")))
    return int(next(each["version"] for each in model["versions"] if each["environment"] == "production"))


def show_gates(stage: Stage, version: int) -> bool:
    """Say what each gate found; return whether the version may go on."""
    found = version_of(stage, version)
    for gate in found["gates"]:
        stage.say(f"  {'+' if gate['passed'] else '-'} {gate['name']}: {gate['reason']}")
    return bool(found["row"]["passed"])


def version_of(stage: Stage, version: int) -> dict[str, Any]:
    """Return a version with its gates."""
    found: dict[str, Any] = stage.call(
        "ana", lambda client: client.get(client.path("models", "delay", "versions", str(version)))
    )
    return found


def newest_event(stage: Stage, kind: str) -> int | None:
    """Return the seq of the newest event of a kind in the project."""
    query = {"kind": kind, "project": "flights", "newest_first": True, "limit": 1}
    events = stage.call("ana", lambda client: client.get("/api/v1/events", query))["events"]
    return int(events[0]["seq"]) if events else None
