"""How a service does, and what became of its alerts."""

from __future__ import annotations

from typing import Any

import click

from bucle.cli.session import Command, Group, Session, pass_session

_ENVIRONMENT = click.option("--environment", "-e", default="dev", show_default=True, help="Where the service is deployed.")


@click.command("monitor", cls=Command)
@click.argument("service")
@click.option("--windows", default=7, show_default=True, help="How many of the last windows to show.")
@_ENVIRONMENT
@pass_session
def monitor(session: Session, service: str, windows: int, environment: str) -> None:
    """Show how SERVICE does: inputs, performance on mature labels, loss against cost, alerts."""
    client = session.client
    query = {"environment": environment, "windows": windows}
    found = client.get(client.path("services", service, "monitoring"), query)
    session.show(found, lambda: _show(session, found))


@click.group("alerts", cls=Group, invoke_without_command=True)
@click.option("--service", help="Of this service only.")
@click.option("--state", type=click.Choice(["firing", "acknowledged", "resolved"]), help="In this state only.")
@_ENVIRONMENT
@click.pass_context
def alerts(context: click.Context, service: str | None, state: str | None, environment: str) -> None:
    """Show alerts, newest first."""
    if context.invoked_subcommand is not None:
        context.meta["environment"] = environment
        return
    session = context.ensure_object(Session)
    client = session.client
    found = client.get(client.path("alerts"), {"environment": environment, "service": service, "state": state})
    columns = ("id", "state", "kind", "service", "feature", "fired", "sentence")
    session.show(found, lambda: session.table(columns, [[each[name] for name in columns] for each in found]))


def _noting(verb: str, done: str, text: str) -> click.Command:
    @click.argument("alert")
    @click.option("--note", default="", help="Why.")
    @click.option("--environment", "-e", help="Where it fired.")
    @click.pass_context
    def change(context: click.Context, alert: str, note: str, environment: str | None) -> None:
        session = context.ensure_object(Session)
        client = session.client
        query = {"environment": _environment(context, environment)}
        found = client.post(client.path("alerts", alert, done), {"note": note}, query)
        session.show(found, lambda: click.echo(f"{alert} is {found['state']}"))

    return alerts.command(verb, help=text)(change)


_noting("ack", "acknowledge", "Say that you take care of ALERT.")
_noting("resolve", "resolve", "Say that the reason of ALERT is gone.")


@alerts.command("routes")
@click.option("--environment", "-e", help="Where they are in force.")
@click.pass_context
def alert_routes(context: click.Context, environment: str | None) -> None:
    """Show where alerts go, and how each route does."""
    session = context.ensure_object(Session)
    client = session.client
    found = client.get(client.path("alert-routes"), {"environment": _environment(context, environment)})
    columns = ("name", "kind", "waiting", "delivered", "failed", "detail", "missing")
    lines = [[", ".join(each[name]) if name == "missing" else each[name] for name in columns] for each in found]
    session.show(found, lambda: session.table(columns, lines))


@alerts.command("test")
@click.argument("route")
@click.option("--environment", "-e", help="Where it is in force.")
@click.pass_context
def test_route(context: click.Context, route: str, environment: str | None) -> None:
    """Send a test alert by ROUTE."""
    session = context.ensure_object(Session)
    client = session.client
    query = {"environment": _environment(context, environment)}
    found = client.post(client.path("alert-routes", route, "test"), None, query)
    session.show(found, lambda: click.echo(f"{route} took the test alert ({found['detail']})"))


def _environment(context: click.Context, given: str | None) -> str:
    environment: str = given or context.meta.get("environment", "dev")
    return environment


def _show(session: Session, found: dict[str, Any]) -> None:
    click.echo(f"{found['service']} in {found['environment']}: {found['verdict']} (watched by {found['monitor']})")
    click.echo(found["loss"]["sentence"])
    for each in found["objectives"]:
        left = "insufficient data" if each["remaining"] is None else f"{each['remaining']:.1%} of the error budget left"
        good = "" if each["good"] is None else f", {each['good']:.3%} good of {each['requests']}"
        click.echo(f"objective {each['name']} ({each['target']:.4g}): {each['state']}, {left}{good}")
    for alert in found["alerts"]:
        click.echo(f"{alert['id']} {alert['state']}: {alert['sentence']}")
    columns = ("until", "predictions", "labelled", "loss", "95 % from", "to", "auc", "p99 ms", "drifting")
    session.table(columns, [_line(window) for window in found["windows"]])


def _line(window: dict[str, Any]) -> list[object]:
    report = window["report"]
    overall, serving = report["performance"][0], report["serving"]
    loss, area = overall["loss"], overall["auc"]
    drifting = ", ".join(each["name"] for each in report["features"] if each["drifted"])
    numbers = [
        f"{loss[part]:.4f}" if loss else "insufficient data" if part == "value" else "" for part in ("value", "low", "high")
    ]
    return [
        window["until"],
        report["predictions"],
        f"{overall['labelled']} of {overall['mature']}",
        *numbers,
        f"{area['value']:.3f}" if area else "",
        f"{serving['p99'] * 1000:.1f}" if serving["p99"] is not None else "",
        drifting,
    ]


COMMANDS = [monitor, alerts]
