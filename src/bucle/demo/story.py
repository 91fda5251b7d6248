"""The story that the demo tells, chapter by chapter: every act is a command, a request or a push of somebody with a role."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bucle.client import Client
from bucle.demo.errors import CommandFailed, DirectoryTaken
from bucle.demo.outcome import Outcome, causal_chain, shown_steps
from bucle.demo.replay import Hour, hours, predict, send_labels
from bucle.demo.stage import PEOPLE, Stage, wait_for
from bucle.ledger import find_server, format_instant, parse_instant
from bucle.messages import say

BEGINS = parse_instant("2013-04-01T04:00:00Z")
"""Midnight of 1 April in New York: January to March are known."""

LONGEST = timedelta(days=33)
MOST_PREDICTIONS = 30_000
"""What is served at most; the story ends earlier, one day after the first retraining that monitoring asked for."""

PRODUCTION = {"environment": "production"}
_MARK = ".bucle/demo"


@dataclass(frozen=True, slots=True)
class Options:
    """Where to play, on which port, and whether the server stays up at the end."""

    directory: Path
    port: int
    keep: bool


def tell(options: Options, narrate: Callable[[str], None]) -> Outcome:
    """Play the whole story and return what the ledger then shows."""
    began = time.monotonic()
    stage = _begin(options, narrate)
    try:
        _experiment(stage)
        _push(stage)
        _to_production(stage)
        run = _replay(stage)
        last = _verdict(stage, run)
        steps = stage.call("ana", shown_steps)
        chain = stage.call("ana", lambda client: causal_chain(client, last))
        _conclude(stage, steps, chain)
    finally:
        if not options.keep:
            stage.command("down")
    return Outcome(True, round(time.monotonic() - began, 1), steps, chain)


def _begin(options: Options, narrate: Callable[[str], None]) -> Stage:
    """A new project with its charter, a server, and people with tokens."""
    directory = options.directory.absolute()
    if directory.exists() and any(directory.iterdir()):
        raise DirectoryTaken(directory=directory)
    stage = Stage(directory, directory / ".bucle", narrate)
    directory.parent.mkdir(parents=True, exist_ok=True)
    stage.say(say("demo.init", directory=directory))
    clock = format_instant(BEGINS)
    stage.command(
        "init", str(directory), "--template", "flights", "--name", "flights", "--replay-from", clock, directory=directory.parent
    )
    (directory / _MARK).touch()
    stage.command("up", "--detach", "--port", str(options.port))
    stage.say(say("demo.up", url=stage.url()))
    for name, role in PEOPLE.items():
        stage.tokens[name] = stage.command("token", "create", name, "--role", role)["token"]
        stage.say(say("demo.token", name=name, role=role))
    return stage


def _push(stage: Stage) -> None:
    """The first push: checks, release, and on its own to test."""
    stage.say(say("demo.push"))
    stage.git("remote", "add", "bucle", f"{stage.url()}/git/flights.git", actor="ana")
    said = stage.git("push", "bucle", "HEAD:refs/heads/main", actor="ana")
    for line in said.splitlines():
        if line.startswith("remote:") and line.removeprefix("remote:").strip():
            stage.say("  " + line.rstrip())
    if "its release refused" in said:
        raise CommandFailed(command="git push", reason="the checks did not pass")
    wait_for(lambda: _release(stage), "git push")


def _release(stage: Stage) -> str | None:
    releases = stage.call("ana", lambda client: client.get(client.path("releases")))
    return releases[0]["commit"] if releases else None


def _experiment(stage: Stage) -> None:
    """Two experiments on the laptop; between them a rule of the features changes, in a commit that names the first."""
    stage.say(say("demo.experiment"))
    run = stage.command("run", "train_delay", "--environment", "dev", actor="ana")
    stage.say(_run_line(run))
    stage.say(say("demo.rule"))
    definitions = stage.directory / "flights" / "__init__.py"
    definitions.write_text(definitions.read_text("utf-8").replace('ttl="3h"', 'ttl="2h"'), "utf-8")
    trailer = f"Bucle-Run: {run.get('id') or run.get('run')}"
    stage.git(
        "commit", "--quiet", "--all", "--message", "Let weather go stale after two hours", "--message", trailer, actor="ana"
    )
    stage.say(_run_line(stage.command("run", "train_delay", "--environment", "dev", actor="ana")))


def _to_production(stage: Stage) -> None:
    """The release goes to staging and production, reviewed and approved by others; the model is trained there and deployed."""
    commit = _release(stage)
    for environment, approver in (("staging", "carla"), ("production", "elena")):
        stage.say(say("demo.promote", target=f"release:{str(commit)[:10]}", environment=environment, approver=approver))
        _promote(stage, f"release:{commit}", environment, approver)
    stage.say(say("demo.train"))
    run = stage.command("run", "train_delay", "--environment", "production", actor="carla")
    stage.say(_run_line(run))
    version = _newest_version(stage)
    stage.say(say("demo.promote", target=f"delay@{version}", environment="production", approver="elena"))
    _promote(stage, f"delay@{version}", "production", "elena")


def _promote(stage: Stage, target: str, environment: str, approver: str) -> dict[str, Any]:
    asked: dict[str, Any] = stage.command("promote", target, environment, actor="dario")
    if asked["state"] == "pending":
        asked = stage.command("approve", asked["id"], actor=approver)
    return asked


def _newest_version(stage: Stage) -> int:
    model = stage.call("ana", lambda client: client.get(client.path("models", "delay")))
    return int(next(each["version"] for each in model["versions"] if each["environment"] == "production"))


def _replay(stage: Stage) -> dict[str, Any] | None:
    """Serve hour by hour until a day after the first retraining that monitoring asked for; return that run."""
    stage.say(say("demo.replay"))
    data, served, stop = stage.directory / "data", 0, BEGINS + LONGEST
    run: dict[str, Any] | None = None
    for hour in hours(data, BEGINS, BEGINS + LONGEST):
        _advance(stage, hour.begins)
        stage.call("dario", lambda client, hour=hour: send_labels(client, hour))  # type: ignore[misc]
        if served + len(hour.departing) > MOST_PREDICTIONS or hour.begins >= stop:
            break
        served += stage.call("dario", lambda client, hour=hour: predict(client, hour))  # type: ignore[misc]
        if hour.begins.hour == BEGINS.hour:
            _say_day(stage, hour, served)
            if run is None and (run := _retraining(stage)) is not None:
                stage.say(_run_line(run))
                stop = hour.begins + timedelta(days=1)
    return run


def _advance(stage: Stage, to: datetime) -> None:
    path, body = "/api/v1/clock/advance", {"to": format_instant(to)}
    stage.call("dario", lambda client: client.post(path, body, key=f"demo-clock-{body['to']}"))
    stage.call("dario", lambda client: wait_for(lambda: _arrived(client, to), "bucle clock advance"))


def _arrived(client: Client, to: datetime) -> bool | None:
    state = client.get("/api/v1/clock")
    return True if parse_instant(state["now"]) >= to and state["until"] is None else None


def _say_day(stage: Stage, hour: Hour, served: int) -> None:
    alerts = stage.call("dario", lambda client: client.get(client.path("alerts"), PRODUCTION))
    firing = [alert["kind"] for alert in alerts if alert["state"] == "firing"]
    stage.say(say("demo.day", day=hour.begins.date(), served=served, alerts=", ".join(firing) or "-"))


def _retraining(stage: Stage) -> dict[str, Any] | None:
    """Return the first run that an alert of degradation started, once it has ended."""
    query = {"kind": "pipelines.run_started", "project": "flights", **PRODUCTION}
    events = stage.call("ana", lambda client: client.get("/api/v1/events", query))["events"]
    asked = [event["subject"] for event in events if event["data"]["trigger"] == "degradation"]
    if not asked:
        return None
    run: dict[str, Any] = stage.call("ana", lambda client: client.get(client.path("runs", asked[0])))["record"]["run"]
    return run if run["status"] != "running" else None


def _verdict(stage: Stage, run: dict[str, Any] | None) -> int:
    """Say what the gates made of the retraining; promote its version if they passed. Return the last event's seq."""
    if run is None:
        stage.say(say("demo.no_retraining"))
        return _last_event(stage, "monitoring.window_evaluated")
    number = _newest_version(stage)
    version = stage.call("ana", lambda client: client.get(client.path("models", "delay", "versions", str(number))))
    for gate in version["gates"]:
        stage.say(f"  {'+' if gate['passed'] else '-'} {gate['name']}: {gate['reason']}")
    if not version["row"]["passed"]:
        stage.say(say("demo.refused", version=number))
        return _last_event(stage, "registry.version_registered")
    stage.say(say("demo.promote", target=f"delay@{number}", environment="production", approver="elena"))
    _promote(stage, f"delay@{number}", "production", "elena")
    return _last_event(stage, "serving.deployed")


def _last_event(stage: Stage, kind: str) -> int:
    query = {"kind": kind, "project": "flights", "newest_first": True, "limit": 1}
    events = stage.call("ana", lambda client: client.get("/api/v1/events", query))["events"]
    return int(events[0]["seq"])


def _run_line(run: dict[str, Any]) -> str:
    return say("demo.run", id=run.get("id") or run.get("run"), status=run["status"])


def _conclude(stage: Stage, steps: list[Any], chain: list[int]) -> None:
    for step in steps:
        mark = f"event {step.event}" if step.event is not None else step.why
        stage.say(f"  {step.id:<6} {mark}")
    stage.say(say("demo.chain", chain=" > ".join(str(seq) for seq in chain)))
    stage.say(say("demo.pages", url=f"{stage.url()}/projects/flights"))


def clear(directory: Path) -> None:
    """Remove what an earlier demo left in its directory, and nothing else: a demo leaves a mark. Its server is stopped."""
    if not (directory / _MARK).exists():
        return
    stage = Stage(directory.absolute(), directory.absolute() / ".bucle", lambda line: None)
    if find_server(stage.home) is not None:
        stage.command("down")
    shutil.rmtree(directory)
