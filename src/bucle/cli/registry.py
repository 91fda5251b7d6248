"""Models and their versions: list, show, waive, alias, retire."""

from typing import Any

import click

from bucle.cli.session import Group, Session, pass_session


@click.group("models", cls=Group, invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """Show models and their versions."""
    if context.invoked_subcommand is None:
        _models(context.ensure_object(Session))


@models.command("list")
@click.argument("model", required=False)
@click.option("--limit", default=50, show_default=True, help="How many versions at most.")
@pass_session
def list_(session: Session, model: str | None, limit: int) -> None:
    """List the versions of MODEL, or all models."""
    if model is None:
        _models(session)
        return
    found = session.client.get(session.client.path("models", model), {"limit": limit})
    columns = ("version", "stage", "gates", "aliases", "created", "by", "metrics")
    session.show(found, lambda: session.table(columns, [_row(row) for row in found["versions"]]))


@models.command("show")
@click.argument("version")
@click.option("--log", metavar="CHECK", help="Show what the check CHECK (contract, load, replay) found and the model printed.")
@pass_session
def show(session: Session, version: str, log: str | None) -> None:
    """Show VERSION (delay@7, delay@champion, delay) with what its gates found, and its checks where it was to answer."""
    found = session.client.get(_path(session, version))
    checks = session.client.get(_path(session, version, "checks"))
    if log is None:
        _show(session, found | {"checks": checks})
        return
    for each in checks:
        if each["name"] == log:
            text = session.client.get(_path(session, version, "checks", str(each["event"]), "log")).decode()
            click.echo(f"== {each['name']} of {each['service']} in {each['environment']}\n{text}")


@models.command("waive")
@click.argument("version")
@click.argument("gate")
@click.option("--reason", required=True, help="Why the version may pass all the same.")
@click.option("--environment", "-e", help="Where it failed the check (contract, load, replay) that is waived.")
@pass_session
def waive(session: Session, version: str, gate: str, reason: str, environment: str | None) -> None:
    """Let VERSION pass GATE, which it failed, in your name; with --environment a check that it failed there."""
    if environment is not None:
        path = _path(session, version, "checks", gate, "waiver")
        checks = session.client.post(path, {"reason": reason}, {"environment": environment})
        session.show(checks, lambda: _tell_checks(checks))
        return
    body, query = {"gate": gate, "reason": reason}, _environment(session, version)
    _show(session, session.client.post(_path(session, version, "waivers"), body, query))


@models.command("alias")
@click.argument("version")
@click.argument("alias")
@click.option("--remove", is_flag=True, help="Let the alias point to nothing.")
@pass_session
def alias(session: Session, version: str, alias: str, remove: bool) -> None:
    """Let ALIAS point to VERSION; a label, which moves no traffic."""
    model, reference = _parts(version)
    path = session.client.path("models", model, "aliases", alias)
    if remove:
        session.client.delete(path)
        session.show({"removed": alias}, lambda: click.echo(f"{model}@{alias} points to nothing now"))
        return
    _show(session, session.client.put(path, {"version": reference}))


@models.command("history")
@click.argument("alias")
@pass_session
def history(session: Session, alias: str) -> None:
    """Show what ALIAS (delay@champion) has pointed to, newest first."""
    model, name = _parts(alias)
    changes = session.client.get(session.client.path("models", model, "aliases", name))
    rows = [(change["at"][:19], change["version"] or "nothing", change["actor"]) for change in changes]
    session.show(changes, lambda: session.table(("since", "version", "by"), rows))


@models.command("retire")
@click.argument("version")
@click.option("--reason", required=True, help="Why it must not be used any more.")
@pass_session
def retire(session: Session, version: str, reason: str) -> None:
    """Say that VERSION must not be used any more; its record stays."""
    query = _environment(session, version)
    _show(session, session.client.post(_path(session, version, "retirement"), {"reason": reason}, query))


def _parts(text: str) -> tuple[str, str]:
    model, _, reference = text.partition("@")
    return model, reference or "latest"


def _path(session: Session, text: str, *more: str) -> str:
    model, reference = _parts(text)
    return session.client.path("models", model, "versions", reference, *more)


def _environment(session: Session, text: str) -> dict[str, str]:
    """Return the environment of a version: there the caller must hold the permission."""
    return {"environment": session.client.get(_path(session, text))["row"]["environment"]}


def _models(session: Session) -> None:
    found = session.client.get(session.client.path("models"))
    rows = [
        (
            each["name"],
            each["versions"],
            each["newest"],
            each["production"],
            " ".join(f"{a}={n}" for a, n in each["aliases"].items()),
        )
        for each in found
    ]
    session.show(found, lambda: session.table(("model", "versions", "newest", "production", "aliases"), rows))


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in list(row["metrics"].items())[:3])
    stage = "retired" if row["retired"] else row["stage"]
    return row["name"], stage, _gates(row), " ".join(row["aliases"]), row["created"][:19], row["actor"], metrics


def _gates(row: dict[str, Any]) -> str:
    return "passed" if row["passed"] else f"failed: {', '.join(row['failed']) or 'none was asked'}"


def _tell_checks(checks: list[dict[str, Any]]) -> None:
    for each in checks:
        mark = "waived" if each["waiver"] else each["outcome"]
        click.echo(f"  {mark}  {each['name']} in {each['environment']}: {each['message']}")
        if each["waiver"]:
            click.echo(f"          waived by {each['waiver']['actor']}: {each['waiver']['reason']}")


def _show(session: Session, found: dict[str, Any]) -> None:
    def human() -> None:
        row, package = found["row"], found["package"]
        click.echo(f"{row['name']}  {row['id']}  {row['stage']}  {_gates(row)}")
        click.echo(f"{package['estimator']}, {package['size']:,} bytes, {len(package['signature']['inputs'])} inputs")
        if row["retired"]:
            click.echo(f"retired: {row['retired']}")
        for change in found["changed"]:
            click.echo(f"against the version before: {change}")
        for gate in found["gates"]:
            mark = "passed" if gate["passed"] else "waived" if gate["waiver"] else "failed"
            click.echo(f"  {mark}  {gate['name']}: {gate['reason']}")
            if gate["waiver"]:
                click.echo(f"          waived by {gate['waiver']['actor']}: {gate['waiver']['reason']}")
        _tell_checks(found.get("checks", []))

    session.show(found, human)


COMMANDS = [models]
