"""Operation: doctor."""

import click

from bucle.cli.session import Command, Session


@click.command("doctor", cls=Command)
@click.pass_context
def doctor(context: click.Context) -> None:
    """Look for what is not well, and say what to do. Exits 1 if something is."""
    session = context.ensure_object(Session)
    findings = session.client.get("/api/v1/doctor")

    def human() -> None:
        for finding in findings:
            mark = click.style("ok", fg="green") if finding["ok"] else click.style("not well", fg="red")
            click.echo(f"{mark}  {finding['check']}: {finding['detail']}")
            if finding["fix"]:
                click.echo(f"    next: {finding['fix']}")

    session.show(findings, human)
    if not all(finding["ok"] for finding in findings):
        context.exit(1)


COMMANDS = [doctor]
