"""Work items: list, open, change, comment, close."""

from typing import Any

import click

from bucle.cli.session import Group, Session, pass_session


@click.group("work", cls=Group, invoke_without_command=True)
@click.pass_context
def work(context: click.Context) -> None:
    """Show what people do about what the machine found."""
    if context.invoked_subcommand is None:
        _list(context.ensure_object(Session), None, None)


@work.command("list")
@click.option("--state", help="Only items in this state; `all` for every one.")
@click.option("--kind", help="Only items of this kind.")
@pass_session
def list_(session: Session, state: str | None, kind: str | None) -> None:
    """Show the items that are not done, the most urgent first."""
    _list(session, state, kind)


@work.command("show")
@click.argument("item")
@pass_session
def show(session: Session, item: str) -> None:
    """Show ITEM with its links and comments."""
    _show(session, session.client.get(session.client.path("work", item)))


@work.command("open")
@click.argument("kind")
@click.argument("title")
@click.option("--description", default="", help="More about it.")
@click.option("--severity", default="minor", show_default=True, help="critical, major, minor or trivial.")
@click.option("--priority", default=3, show_default=True, help="1 comes first, 4 last.")
@click.option("--assignee", help="Who does it.")
@click.option("--due", help="When it must be done; else the severity says.")
@click.option("--environment", "-e", help="The environment that it is about.")
@click.option("--link", "links", multiple=True, metavar="KIND:ID", help="What it is about: run:run_01J..., commit:ab12...")
@pass_session
def open_(session: Session, /, links: tuple[str, ...], environment: str | None, **fields: Any) -> None:
    """Open an item of KIND (bug, experiment, feature, incident)."""
    body = {**fields, "links": [_link(link) for link in links]}
    _show(session, session.client.post(session.client.path("work"), body, {"environment": environment}))


@work.command("change")
@click.argument("item")
@click.option("--title", help="Another title.")
@click.option("--state", help="open or in_progress.")
@click.option("--severity", help="critical, major, minor or trivial.")
@click.option("--priority", type=int, help="1 comes first, 4 last.")
@click.option("--assignee", help="Who does it.")
@click.option("--due", help="When it must be done.")
@click.option("--link", metavar="KIND:ID", help="One more thing that it is about.")
@pass_session
def change(session: Session, /, item: str, link: str | None, **fields: Any) -> None:
    """Change fields of ITEM."""
    body = {name: value for name, value in fields.items() if value is not None}
    if link is not None:
        body["link"] = _link(link)
    _show(session, session.client.patch(session.client.path("work", item), body))


@work.command("comment")
@click.argument("item")
@click.argument("text")
@pass_session
def comment(session: Session, item: str, text: str) -> None:
    """Write TEXT under ITEM."""
    _show(session, session.client.post(session.client.path("work", item, "comments"), {"text": text}))


@work.command("close")
@click.argument("item")
@click.argument("resolution")
@pass_session
def close(session: Session, item: str, resolution: str) -> None:
    """Close ITEM with what became of it."""
    _show(session, session.client.post(session.client.path("work", item, "close"), {"resolution": resolution}))


def _link(text: str) -> dict[str, str]:
    kind, _, target = text.partition(":")
    if not kind or not target:
        raise click.BadParameter(f"{text!r} is not KIND:ID", param_hint="--link")
    return {"kind": kind, "target": target}


def _list(session: Session, state: str | None, kind: str | None) -> None:
    items = session.client.get(session.client.path("work"), {"state": state, "kind": kind})
    columns = ("id", "kind", "severity", "priority", "state", "due", "title")
    rows = [
        (item["id"], item["kind"], item["severity"], item["priority"], item["state"], _due(item), item["title"])
        for item in items
    ]
    session.show(items, lambda: session.table(columns, rows))


def _due(item: dict[str, Any]) -> str:
    return ((item["due"] or "")[:10]) + (" overdue" if item["overdue"] else "")


def _show(session: Session, item: dict[str, Any]) -> None:
    def human() -> None:
        click.echo(f"{item['id']}  {item['kind']}, {item['severity']}, priority {item['priority']}, {item['state']}")
        click.echo(item["title"])
        if item["description"]:
            click.echo(item["description"])
        for link in item["links"]:
            click.echo(f"  {link['kind']}: {link['target']}")
        for each in item["comments"]:
            click.echo(f"  {each['author']}: {each['text']}")
        if item["resolution"]:
            click.echo(f"  closed: {item['resolution']}")

    session.show(item, human)


COMMANDS = [work]
