"""Operation: doctor, gc."""

import click

from bucle.cli.session import Command, Session, pass_session


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


@click.command("gc", cls=Command)
@click.option("--grace", default="24h", show_default=True, help="Spare what was put less long ago.")
@pass_session
def collect(session: Session, grace: str) -> None:
    """Remove what nothing refers to any more."""
    report = session.client.post("/api/v1/gc", {"grace": grace})
    session.show(report, lambda: session.table(tuple(report), [tuple(report.values())]))
