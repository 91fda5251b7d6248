"""The feature store: list, join, materialize, get."""

from pathlib import Path
from typing import Any

import click

from bucle.cli.session import Group, Session, pass_session

_FILE = click.Path(dir_okay=False, path_type=Path)
_environment = click.option("--environment", "-e", default="dev", show_default=True, help="The environment that is meant.")


@click.group("features", cls=Group)
def features() -> None:
    """The feature store: one definition, joined offline and read online."""


@features.command("list")
@_environment
@pass_session
def list_(session: Session, environment: str) -> None:
    """Show the feature views, what they give and up to when they are readable online."""
    views = session.client.get(session.client.path("features"), {"environment": environment})

    def human() -> None:
        columns = ("view", "entity", "source", "features", "trained on by", "online until")
        session.table(columns, [_line(view) for view in views])

    session.show(views, human)


@features.command("join")
@click.argument("rows", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=_FILE, help="The Parquet file to write.")
@click.option("--timestamp", required=True, help="The column with the moment of each row.")
@click.option("--view", "views", multiple=True, help="Only this view; may be given again.")
@click.option("--as-of", metavar="TIME", help="Use no data later than this instant.")
@_environment
@pass_session
def join(
    session: Session, rows: Path, out: Path, timestamp: str, views: tuple[str, ...], as_of: str | None, environment: str
) -> None:
    """Join features to the rows of a Parquet file, each as of its own moment."""
    query = {"views": ",".join(views) or None, "timestamp": timestamp, "as_of": as_of, "environment": environment}
    session.progress("joining")
    joined: bytes = session.client.post(session.client.path("features", "join"), rows, query)
    session.progress_done()
    out.write_bytes(joined)
    session.show({"file": str(out), "bytes": len(joined)}, lambda: click.echo(f"wrote {out}"))


@features.command("materialize")
@click.option("--until", metavar="TIME", help="The instant up to which; else now.")
@click.option("--view", help="Only this view.")
@_environment
@pass_session
def materialize(session: Session, until: str | None, view: str | None, environment: str) -> None:
    """Make features readable online."""
    session.progress("materializing")
    body = {"until": until, "view": view}
    done = session.client.post(session.client.path("features", "materialize"), body, {"environment": environment})
    session.progress_done()
    columns = ("view", "until", "rows", "written")
    session.show(done, lambda: session.table(columns, [[each[name] for name in columns] for each in done]))


@features.command("get")
@click.argument("views", nargs=-1)
@click.option(
    "--entity", "entities", multiple=True, required=True, metavar="COLUMN=VALUE[,COLUMN=VALUE]", help="May be given again."
)
@click.option("--as-of", metavar="TIME", help="The moment; else now.")
@_environment
@pass_session
def get(session: Session, views: tuple[str, ...], entities: tuple[str, ...], as_of: str | None, environment: str) -> None:
    """Read features online, of all views or of VIEWS. A value that reads as JSON is that: 7 is a number, '"7"' a text."""
    rows = [_entity(text) for text in entities]
    body = {"rows": rows, "views": list(views), "as_of": as_of}
    answer = session.client.post(session.client.path("features", "online"), body, {"environment": environment})

    def human() -> None:
        names = list(answer["rows"][0]) if answer["rows"] else []
        values = zip(entities, answer["rows"], strict=True)
        session.table(("entity", *names), [[text, *(row[name] for name in names)] for text, row in values])

    session.show(answer, human)


def _line(view: dict[str, Any]) -> list[object]:
    return [
        view["name"],
        ", ".join(view["keys"]) or view["entity"],
        view["source"],
        ", ".join(view["features"]),
        ", ".join(view["training_sets"]),
        view["until"] or "never",
    ]


def _entity(text: str) -> dict[str, object]:
    import json

    values: dict[str, object] = {}
    for part in text.split(","):
        column, equals, value = part.partition("=")
        if not equals:
            raise click.BadParameter(f"{part!r} is not COLUMN=VALUE", param_hint="--entity")
        try:
            values[column] = json.loads(value)
        except ValueError:
            values[column] = value
    return values
