"""Pipelines: run one, take a run up again."""

import time
from typing import Any

import click

from bucle.cli.session import Command, Session, pass_session

_POLL_SECONDS = 0.1


@click.command("run", cls=Command)
@click.argument("pipeline")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the pipeline.")
@click.option("--environment", "-e", help="Whose code and data; the working tree (dev) unless given.")
@click.option("--engine", default="processes", show_default=True, help="inline or processes.")
@click.option("--seed", default=0, show_default=True, help="For whatever draws at random.")
@click.option("--as-of", help="The moment whose data the run sees; now unless given.")
@click.option("--explain", is_flag=True, help="Say for each step why it had to run.")
@pass_session
def run(
    session: Session,
    pipeline: str,
    parameters: tuple[str, ...],
    environment: str | None,
    engine: str,
    seed: int,
    as_of: str | None,
    explain: bool,
) -> None:
    """Run PIPELINE to its end and show its steps."""
    body = {"parameters": dict(map(_parameter, parameters)), "engine": engine, "seed": seed, "as_of": as_of}
    if session.repeated:
        session.say("The answer to this command was lost before; going on with what it began.")
    begun = session.client.post(session.client.path("pipelines", pipeline, "runs"), body, {"environment": environment})
    _follow(session, begun, explain)


@click.command("resume", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.option("--explain", is_flag=True, help="Say for each step why it had to run.")
@pass_session
def resume(session: Session, run_id: str, explain: bool) -> None:
    """Take RUN up again: steps that are committed do not run a second time."""
    _follow(session, session.client.post(session.client.path("runs", run_id, "resume")), explain)


def _parameter(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="-p")
    return name, value


def _follow(session: Session, begun: dict[str, Any], explain: bool) -> None:
    """Wait for the run's end, saying how far it is."""
    from bucle.errors import RemoteError

    path, found = session.client.path("runs", begun["id"], "steps"), begun
    while found["status"] == "running":
        done = sum(step["state"] == "done" for step in found["steps"])
        now = next((step["call"] for step in found["steps"] if step["state"] == "running"), "")
        session.progress(f"{done} of {len(found['steps'])} steps done {now}")
        time.sleep(_POLL_SECONDS)
        found = session.client.get(path)
    session.progress_done()
    session.show(found, lambda: _show(session, found, explain))
    failure = found["pipeline"]["failure"]
    if failure is not None:
        raise RemoteError(failure["code"], failure["reason"], failure["where"], failure["next"], 422)


def _show(session: Session, found: dict[str, Any], explain: bool) -> None:
    columns = ("step", "state", "seconds", "why") if explain else ("step", "state", "seconds")
    session.table(columns, [_row(step)[: len(columns)] for step in found["steps"]])
    made = found["pipeline"]["model_version"]
    session.say(f"Run {found['id']} is {found['status']}." + (f" It made the model version {made}." if made else ""))


def _row(step: dict[str, Any]) -> tuple[object, ...]:
    why = "it was in the cache" if step["hit"] else "; ".join(step["miss"])
    seconds = "" if step["seconds"] is None else f"{step['seconds']:.2f}"
    return step["call"], "cached" if step["hit"] else step["state"], seconds, why
