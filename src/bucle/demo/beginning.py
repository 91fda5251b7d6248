"""Chapter 1: a new project with its charter, a server, people with tokens, and a look at the data (K-1 to K-12)."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from bucle.demo.errors import DirectoryTaken
from bucle.demo.feed import FAULTY_DAYS, spoil_weather
from bucle.demo.people import PEOPLE
from bucle.demo.stage import Stage
from bucle.ledger import format_instant, parse_instant
from bucle.messages import say

BEGINS = parse_instant("2013-04-01T04:00:00Z")
"""Midnight of 1 April in New York: January to March are known."""

MARK = ".bucle/demo"


def begin(directory: Path, port: int, narrate: Callable[[str], None]) -> Stage:
    """Make the project, start its server, and give each person a token. Raises `demo/directory-taken`."""
    directory = directory.absolute()
    if directory.exists() and any(directory.iterdir()):
        raise DirectoryTaken(directory=directory)
    stage = Stage(directory, directory / ".bucle", narrate)
    directory.parent.mkdir(parents=True, exist_ok=True)
    stage.say(say("demo.init", directory=directory))
    where = ("--template", "flights", "--name", "flights", "--replay-from", format_instant(BEGINS))
    stage.command("init", str(directory), *where, directory=directory.parent)
    (directory / MARK).touch()
    first, last = FAULTY_DAYS[0], FAULTY_DAYS[1] - timedelta(days=1)
    stage.say(say("demo.feed", rows=spoil_weather(directory / "data"), first=first.date(), last=last.date()))
    stage.command("up", "--detach", "--port", str(port))
    stage.say(say("demo.up", url=stage.url()))
    for name, role in PEOPLE.items():
        stage.tokens[name] = stage.command("token", "create", name, "--role", role)["token"]
        stage.say(say("demo.token", name=name, role=role))
    return stage


def look_at_data(stage: Stage) -> None:
    """Bruno connects the sources and writes down what weather should look like; from then on data that breaks it is vetoed."""
    stage.say(say("demo.data"))
    for source in ("flights", "weather"):
        view = stage.command("data", "add", source, actor="bruno")
        stage.say(say("demo.source", source=source, rows=view["version"]["rows"], visible=view["visible"]))
        for label in view["labels"]:
            stage.say(say("demo.label", label=label["label"], labelled=label["labelled"], rows=label["rows"]))
    stage.command("data", "infer", "weather", actor="bruno")
    stage.git("add", "schemas", actor="bruno")
    stage.git("commit", "--quiet", "--message", "Say what the weather's rows look like", actor="bruno")
    stage.say(say("demo.schema"))
