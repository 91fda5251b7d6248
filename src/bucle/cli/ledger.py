"""The ledger: events, why, lineage, clock."""

from typing import Any

import click

from bucle.cli.errors import ClockStopped
from bucle.cli.session import Command, Group, Session, pass_session


@click.command("events", cls=Command)
@click.option("--kind", multiple=True, help="Only these kinds; one that ends in a dot stands for all that begin so.")
@click.option("--subject", help="Only events about this id.")
@click.option("--environment", "-e", help="Only events of this environment.")
@click.option("--after", type=click.IntRange(0), help="Only events later than this seq.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many, the newest.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes (a line of JSON each with --json); needs a server.")
@pass_session
def events(
    session: Session,
    kind: tuple[str, ...],
    subject: str | None,
    environment: str | None,
    after: int | None,
    limit: int,
    follow: bool,
) -> None:
    """Show what happened, oldest first."""
    query: dict[str, object] = {"kind": ",".join(kind) or None, "subject": subject, "environment": environment}
    query["project"] = session.project
    if follow:
        _follow(session, {**query, "after": after})
        return
    page = session.client.get("/api/v1/events", {**query, "after": after, "limit": limit, "newest_first": after is None})
    found = sorted(page["events"], key=lambda event: event["seq"])
    session.show(found, lambda: _table(session, found))


@click.command("why", cls=Command)
@click.argument("id")
@pass_session
def why(session: Session, id: str) -> None:
    """Show the events about ID and what caused them, back to the beginning."""
    answer = session.client.why(id)

    def human() -> None:
        for event in answer["events"]:
            causes = ", ".join(str(seq) for seq in event["caused_by"])
            click.echo(f"{event['seq']:>6}  {_line(event)}" + (f"  because of {causes}" if causes else ""))

    session.show(answer, human)


@click.command("lineage", cls=Command)
@click.argument("id")
@click.option("--down", is_flag=True, help="What was made from it, instead of what it was made from.")
@pass_session
def lineage(session: Session, id: str, down: bool) -> None:
    """Show what ID was made from, or what was made from it."""
    answer = session.client.lineage(id, "down" if down else "up")

    def human() -> None:
        names = {node["id"]: f"{node['kind']} {node['name'] or ''} {node['id']}".replace("  ", " ") for node in answer["nodes"]}
        session.table(("from", "role", "to"), [(names[e["source"]], e["role"], names[e["target"]]) for e in answer["edges"]])

    session.show(answer, human)


@click.group("clock", cls=Group, invoke_without_command=True)
@click.pass_context
def clock(context: click.Context) -> None:
    """Show where the home's clock stands."""
    if context.invoked_subcommand is None:
        session = context.ensure_object(Session)
        state = session.client.get("/api/v1/clock")
        session.show(state, lambda: click.echo(_clock(state)))


@clock.command("advance")
@click.argument("time")
@pass_session
def advance(session: Session, time: str) -> None:
    """Advance a replay clock to TIME (2013-04-01T00:00:00Z) or by a duration (36h), hour by hour, and wait for it."""
    state = session.client.post("/api/v1/clock/advance", {"to": time})
    while state["until"] is not None:
        session.progress(_clock(state))
        state = session.client.get("/api/v1/clock", {"wait": 1})
    session.progress_done()
    if state["error"]:
        raise ClockStopped(now=state["now"], reason=state["error"])
    session.show(state, lambda: click.echo(f"the clock stands at {state['now']}"))


def _follow(session: Session, query: dict[str, object]) -> None:
    import json

    session.client.get("/health")
    for line in session.client.stream("/events", query):
        if line.startswith(b"data: "):
            event = json.loads(line[6:])
            if session.json:
                session.print_json(event)
            else:
                click.echo(f"{event['seq']:>6}  {_line(event)}")


def _table(session: Session, found: list[dict[str, Any]]) -> None:
    columns = ("seq", "as of", "project", "environment", "kind", "subject", "actor", "because of")
    session.table(
        columns,
        [
            (
                event["seq"],
                event["as_of"][:19],
                event["project"],
                event["environment"],
                event["kind"],
                event["subject"],
                event["actor"],
                ", ".join(str(seq) for seq in event["caused_by"]),
            )
            for event in found
        ],
    )


def _line(event: dict[str, Any]) -> str:
    place = "/".join(part for part in (event["project"], event["environment"]) if part)
    return f"{event['as_of'][:19]}  {event['kind']}  {event['subject']}  by {event['actor']}" + (
        f"  in {place}" if place else ""
    )


def _clock(state: dict[str, Any]) -> str:
    text = f"{state['now'][:19]}Z ({state['kind']} clock)"
    if state["until"]:
        text += f", on its way to {state['until']}"
    return text + (f", waiting for {state['waiting_for']}" if state["waiting_for"] else "")
