"""Checks, releases, promotions, approvals, rollouts, rollbacks."""

import time
from collections.abc import Sequence
from typing import Any

import click

from bucle.cli.errors import ChecksFailed
from bucle.cli.session import Command, Session, pass_session


@click.command("check", cls=Command)
@click.argument("commit", default="HEAD")
@click.option("--hosted", is_flag=True, help="A commit that was pushed, instead of one of this directory.")
@pass_session
def check(session: Session, commit: str, hosted: bool) -> None:
    """Run on COMMIT the checks that a push runs, here or in anybody's CI."""
    _run(session, commit, hosted, "check")


@click.command("release", cls=Command)
@click.argument("commit", default="HEAD")
@click.option("--hosted", is_flag=True, help="A commit that was pushed, instead of one of this directory.")
@pass_session
def release(session: Session, commit: str, hosted: bool) -> None:
    """Make a release of COMMIT without a push: when all checks pass, environments that are automatic run it."""
    _run(session, commit, hosted, "release")


@click.command("promote", cls=Command)
@click.argument("target")
@click.argument("environment")
@pass_session
def promote(session: Session, target: str, environment: str) -> None:
    """Bring TARGET (delay@7, release:COMMIT, or a release's id) to ENVIRONMENT.

    Where the policy asks for it somebody else must approve.
    """
    promotion = session.client.post(session.client.path("promotions"), {"target": target}, {"environment": environment})
    _show(session, promotion, _prospects(session, promotion))


@click.command("approve", cls=Command)
@click.argument("id", required=False)
@click.option("--note", default="", help="Why it may go, for the record.")
@click.option("--refuse", "refusal", metavar="REASON", help="Say no instead, and why.")
@pass_session
def approve(session: Session, id: str | None, note: str, refusal: str | None) -> None:
    """Approve the promotion ID, which is then carried out; without an ID list those that wait."""
    if id is None:
        waiting = session.client.get(session.client.path("promotions"), {"state": "pending"})
        columns = ("id", "target", "environment", "policy", "asked by", "not by")
        rows = [
            (each["id"], each["target"], each["environment"], each["policy"], each["requester"], ", ".join(each["authors"]))
            for each in waiting
        ]
        session.show(waiting, lambda: session.table(columns, rows))
        return
    if refusal is not None:
        refused = session.client.post(session.client.path("promotions", id, "refuse"), {"reason": refusal})
        session.show(refused, lambda: _tell(refused))
        return
    foreseen = session.client.get(session.client.path("promotions", id, "prospects"))
    for each in foreseen:
        session.say(f"{each['service']}: {each['sentence']}")
    promotion = session.client.post(session.client.path("promotions", id, "approve"), {"note": note})
    session.show(promotion | {"prospects": foreseen}, lambda: _tell(promotion, [each["service"] for each in foreseen]))


@click.command("rollback", cls=Command)
@click.argument("service")
@click.option("--environment", "-e", default="production", show_default=True, help="Where.")
@pass_session
def rollback(session: Session, service: str, environment: str) -> None:
    """Bring SERVICE back to the model version that answered before; with the project's name, the release that ran before."""
    done = session.client.post(session.client.path("rollback"), {"name": service}, {"environment": environment})
    session.show(done, lambda: click.echo(f"{done['name']} in {done['environment']}: {done['left']} -> {done['restored']}"))


@click.command("rollout", cls=Command)
@click.argument("service")
@click.option("--environment", "-e", default="production", show_default=True, help="Where.")
@click.option("--advance", is_flag=True, help="Let the next step begin, without the evidence that it lacks.")
@click.option("--abort", metavar="REASON", help="End it, and why: the version before keeps all traffic.")
@pass_session
def rollout(session: Session, service: str, environment: str, advance: bool, abort: str | None) -> None:
    """Show how far the new version of SERVICE is on its way to all traffic, and the evidence; or move it by hand."""
    if advance and abort is not None:
        raise click.UsageError("--advance and --abort exclude each other")
    path, query = session.client.path("services", service, "rollout"), {"environment": environment}
    if advance:
        found = session.client.post(f"{path}/advance", None, query)
    elif abort is not None:
        found = session.client.post(f"{path}/abort", {"reason": abort}, query)
    else:
        found = session.client.get(path, query)
    session.show(found, lambda: _tell_rollout(found))


def _tell_rollout(rollout: dict[str, Any]) -> None:
    marks = {"done": "+", "current": ">", "waiting": " ", "never": "-"}
    click.echo(f"{rollout['challenger']['name']} for {rollout['service']} in {rollout['environment']}: {rollout['state']}")
    for step in rollout["steps"]:
        click.echo(f"  {marks[step['state']]} {step['name']}")
    click.echo(rollout["sentence"])
    for judged in rollout["judgements"]:
        click.echo(f"  {judged['name']:<8} {judged['sentence']}")
    for cause, count in rollout["failures"].items():
        click.echo(f"  failed {count} times: {cause}")
    click.echo(rollout["prospect"])


def _prospects(session: Session, promotion: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the rollouts of a promotion could detect; nothing of one that was carried out at once."""
    if promotion["state"] not in ("pending", "rolling out"):
        return []
    found: list[dict[str, Any]] = session.client.get(session.client.path("promotions", promotion["id"], "prospects"))
    return found


def _show(session: Session, promotion: dict[str, Any], foreseen: list[dict[str, Any]]) -> None:
    def tell() -> None:
        for each in foreseen:
            click.echo(f"{each['service']}: {each['sentence']}")
        _tell(promotion, [each["service"] for each in foreseen])

    session.show(promotion | {"prospects": foreseen}, tell)


def _tell(promotion: dict[str, Any], services: Sequence[str] = ()) -> None:
    what = f"{promotion['target']} to {promotion['environment']}"
    if promotion["state"] == "pending":
        click.echo(f"{what} waits: somebody else must run `bucle approve {promotion['id']}`")
    elif promotion["state"] == "rolling out":
        click.echo(f"{what} is on its way.")
        for service in services:
            click.echo(f"`bucle rollout {service} --environment {promotion['environment']}` shows how far.")
    else:
        click.echo(f"{what}: {promotion['state']}")


def _run(session: Session, commit: str, hosted: bool, wanted: str) -> None:
    from bucle.client import project_root, push_commit

    root = None if hosted else project_root()
    if root is not None and session.elsewhere:
        commit, root = push_commit(session.client, root, commit), None
    body = {"commit": commit, "wanted": wanted, "source": str(root) if root else None}
    run = session.client.post(session.client.path("checks"), body)
    session.say(f"checking {run['commit'][:10]} ({run['id']})")
    shown = 0
    while True:
        for result in run["results"][shown:]:
            for line in _lines(result):
                session.say(line)
        shown = len(run["results"])
        if run["state"] in ("passed", "failed"):
            break
        time.sleep(0.1)
        run = session.client.get(session.client.path("checks", run["id"]))
    session.show(run, lambda: _end(run))
    if run["state"] == "failed":
        failed = [result["name"] for result in run["results"] if result["outcome"] == "failed"]
        where = next((result["where"] for result in run["results"] if result["where"]), None)
        raise ChecksFailed(commit=run["commit"][:10], failed=", ".join(failed), where=where)


def _end(run: dict[str, Any]) -> None:
    if run["release"]:
        click.echo(f"released {run['release']}")
    elif run["state"] == "passed":
        click.echo("no check failed")


def _lines(result: dict[str, Any]) -> list[str]:
    colour = {"passed": "green", "failed": "red"}.get(result["outcome"], "yellow")
    mark = click.style(f"{'ok' if result['outcome'] == 'passed' else result['outcome']:>7}", fg=colour)
    lines = [f"{mark}  {result['name']:<16} {result['message']}  ({result['seconds']:.1f} s)"]
    for finding in result["findings"]:
        place = f"{finding['where']}: " if finding["where"] else ""
        lines.append(f"         {place}{finding['message']}")
        if finding["next"]:
            lines.append(f"           next: {finding['next']}")
    return lines


COMMANDS = [check, release, promote, approve, rollback, rollout]
