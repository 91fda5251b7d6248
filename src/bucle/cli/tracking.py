"""Runs: list and show."""

from typing import Any

import click

from bucle.cli.session import Group, Session, pass_session


@click.group("runs", cls=Group, invoke_without_command=True)
@click.pass_context
def runs(context: click.Context) -> None:
    """Show runs."""
    if context.invoked_subcommand is None:
        _list(context.ensure_object(Session), {"kind": "pipeline", "limit": 20})


@runs.command("list")
@click.option("--environment", "-e", help="Only runs of this environment.")
@click.option("--experiment", help="Only runs of this experiment.")
@click.option("--kind", help="pipeline, step or script.")
@click.option("--status", help="running, succeeded, failed or cancelled.")
@click.option("--purpose", help="training, evaluation, preparation or registration.")
@click.option("--parent", help="Only the runs that this run began.")
@click.option("--before", help="Only runs that began before this run.")
@click.option("--filter", help="Only runs that pass, e.g. \"metrics.roc_auc > 0.7 AND params.window = '90d'\".")
@click.option("--order-by", help="e.g. 'metrics.roc_auc DESC'.")
@click.option("--limit", default=50, show_default=True, help="How many at most.")
@pass_session
def list_(session: Session, /, **query: Any) -> None:
    """List runs, newest first."""
    _list(session, query)


@runs.command("show")
@click.argument("run")
@pass_session
def show(session: Session, run: str) -> None:
    """Show RUN with everything that it recorded."""
    found = session.client.get(session.client.path("runs", run))
    session.show(found, lambda: _show(session, found))


@runs.command("metric")
@click.argument("run")
@click.argument("name")
@pass_session
def metric(session: Session, run: str, name: str) -> None:
    """Show the points of the metric NAME of RUN."""
    points = session.client.get(session.client.path("runs", run, "metrics", name))
    session.show(points, lambda: session.table(("step", "value"), [(point["step"], point["value"]) for point in points]))


def _list(session: Session, query: dict[str, Any]) -> None:
    rows = session.client.get(session.client.path("runs"), query)
    columns = ("run", "name", "kind", "status", "started", "seconds", "by", "metrics")
    session.show(rows, lambda: session.table(columns, [_row(row) for row in rows]))


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    run, metrics = row["run"], row["metrics"]
    shown = "  ".join(f"{name} {_short(value)}" for name, value in list(metrics.items())[:3])
    seconds = "" if row["seconds"] is None else f"{row['seconds']:.1f}"
    return run["id"], run["name"], run["kind"], run["status"], run["started"][:19], seconds, run["actor"], shown


def _show(session: Session, found: dict[str, Any]) -> None:
    record, run = found["record"], found["record"]["run"]
    click.echo(f"{run['name']}  {run['id']}  {run['status']}" + (f": {run['error']}" if run["error"] else ""))
    seconds = "" if found["seconds"] is None else f", {found['seconds']:.1f} s"
    click.echo(f"{run['kind']} in {run['environment']}, by {run['actor']}, {run['started'][:19]}{seconds}, {run['engine']}")
    if run["commit"]:
        click.echo(f"commit {run['commit'][:12]}{' and changes' if run['dirty'] else ''}")
    for use in record["data"]:
        click.echo(f"data {use['source']} {use['version']}")
    entries = [("parameter", name, value) for name, value in record["params"].items()]
    entries += [("metric", point["name"], _short(point["value"])) for point in record["metrics"]]
    entries += [("artifact", each["name"], each["id"]) for each in record["artifacts"]]
    entries += [("tag", name, value) for name, value in record["tags"].items()]
    entries += [("setting", each["name"], each["value"]) for each in record["settings_read"]]
    entries += [("child", child, "") for child in record["children"]]
    if entries:
        session.table(("", "name", "value"), entries)
    if found["lacks"]:
        click.echo(f"this training's record lacks: {', '.join(found['lacks'])}")


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.5g}"


COMMANDS = [runs]
