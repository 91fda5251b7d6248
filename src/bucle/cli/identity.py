"""Tokens: create, list, revoke."""

import click

from bucle.cli.session import Group, Session, pass_session


@click.group("token", cls=Group)
def token() -> None:
    """Tokens of people and services."""


@token.command("create")
@click.argument("name")
@click.option("--role", required=True, help="What it may do; `bucle token roles` shows them.")
@click.option("--project", "in_project", default="*", show_default=True, help="Where; * is all.")
@click.option("--environment", "-e", default="*", show_default=True, help="Where; * is all.")
@click.option("--expires", help="Until when (ISO 8601); without it until it is revoked.")
@click.option("--service", is_flag=True, help="It is for a program, not for a person.")
@pass_session
def create(
    session: Session, name: str, role: str, in_project: str, environment: str, expires: str | None, service: bool
) -> None:
    """Make a token for NAME. It is shown this once."""
    body = {
        "name": name,
        "role": role,
        "project": in_project,
        "environment": environment,
        "expires": expires,
        "kind": "service" if service else "person",
    }
    made = session.client.post("/api/v1/tokens", body)
    session.show(made, lambda: click.echo(made["token"]))


@token.command("list")
@pass_session
def listed(session: Session) -> None:
    """Show all tokens, without their secrets."""
    found = session.client.get("/api/v1/tokens")
    columns = ("id", "name", "kind", "role", "project", "environment", "created", "expires", "last_used", "revoked")
    session.show(found, lambda: session.table(columns, [[each[column] for column in columns] for each in found]))


@token.command("revoke")
@click.argument("id")
@pass_session
def revoke(session: Session, id: str) -> None:
    """Make a token invalid."""
    from urllib.parse import quote

    gone = session.client.delete(f"/api/v1/tokens/{quote(id, safe='')}")
    session.show(gone, lambda: click.echo(f"{id} of {gone['name']} is revoked"))


@token.command("roles")
@pass_session
def roles(session: Session) -> None:
    """Show the roles and what each may do."""
    found = session.client.get("/api/v1/roles")
    session.show(found, lambda: session.table(("role", "may"), [(name, ", ".join(may)) for name, may in found.items()]))
