"""Audit: what the evidence shows of the workflow, of the maturity and of hidden debt."""

from typing import Any

import click

from bucle.cli.session import Command, Group, Session, pass_session


@click.group("audit", cls=Group)
def audit() -> None:
    """Show what the evidence proves."""


@audit.command("workflow", cls=Command)
@pass_session
def workflow(session: Session) -> None:
    """Show each step of Kreuzberger's workflow with the event that proves it, or why there is none."""
    answer = session.client.get(session.client.path("audit", "workflow"))

    def human() -> None:
        session.table(
            ("step", "zone", "what", "event", "why not"),
            [(row["id"], row["zone"], row["title"], row["event"], row["why"]) for row in answer["steps"]],
        )
        click.echo(f"{answer['shown']} of {answer['total']} steps have their event.")

    session.show(answer, human)


@audit.command("maturity", cls=Command)
@pass_session
def maturity(session: Session) -> None:
    """Show Google's level of the project and what each criterion rests on."""
    answer = session.client.get(session.client.path("audit", "maturity"))

    def human() -> None:
        session.table(("level", "criterion", "what", "met", "event", "why not"), [_row(each) for each in answer["criteria"]])
        click.echo(f"Level {answer['level']}, as of {answer['as_of']}.")
        click.echo(answer["sentence"])

    session.show(answer, human)


@audit.command("debt", cls=Command)
@click.option("--environment", "-e", default="production", show_default=True, help="Where to look for it.")
@pass_session
def debt(session: Session, environment: str) -> None:
    """Show what the detectors of hidden technical debt find, with numbers, evidence and what to do."""
    answer = session.client.get(session.client.path("audit", "debt"), {"environment": environment})

    def human() -> None:
        for each in answer["detectors"]:
            click.echo(f"{each['id']} {each['title']}: {each['state']}")
            click.echo(f"  {each['why']}")
            for found in each["findings"]:
                evidence = f" (events {', '.join(map(str, found['events']))})" if found["events"] else ""
                click.echo(f"  - {found['where'] + ': ' if found['where'] else ''}{found['what']}{evidence}")
                click.echo(f"    next: {found['next']}")

    session.show(answer, human)


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    return (row["level"], row["id"], row["title"], "yes" if row["met"] else "no", row["event"], row["why"])
