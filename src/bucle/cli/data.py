"""Data: add, list, show, diff, infer, validate, checkout."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from bucle.cli.session import Group, Session, pass_session

_ENVIRONMENT = click.option("--environment", "-e", default="dev", show_default=True, help="Where: dev is the working tree.")


@click.group("data", cls=Group)
def data() -> None:
    """Versions, schemas and validation of data."""


@data.command("add")
@click.argument("source")
@_ENVIRONMENT
@pass_session
def add(session: Session, source: str, environment: str) -> None:
    """Ingest SOURCE now: a new version if its files or cleaning rules changed, else the one that exists."""
    path = session.client.path("data", "sources", source, "versions")
    _show(session, session.client.post(path, None, {"environment": environment}))


@data.command("list")
@click.argument("source", required=False)
@_ENVIRONMENT
@pass_session
def list_(session: Session, source: str | None, environment: str) -> None:
    """List the versions of SOURCE, or of all sources, newest first."""
    versions = session.client.get(session.client.path("data"), {"environment": environment, "source": source})
    columns = ("source", "id", "rows", "first", "last", "outcome", "created")
    session.show(versions, lambda: session.table(columns, ([each[column] for column in columns] for each in versions)))


@data.command("show")
@click.argument("version")
@_ENVIRONMENT
@pass_session
def show(session: Session, version: str, environment: str) -> None:
    """Show VERSION, an id or the name of a source: its columns, labels, validation, files."""
    path = session.client.path("data", "versions", version)
    _show(session, session.client.get(path, {"environment": environment}))


@data.command("diff")
@click.argument("before")
@click.argument("after")
@_ENVIRONMENT
@pass_session
def diff(session: Session, before: str, after: str, environment: str) -> None:
    """Show what differs between two versions: files, rules, rows, columns, distributions."""
    path = session.client.path("data", "diffs", before, after)
    found = session.client.get(path, {"environment": environment})
    session.show(found, lambda: _show_diff(session, found))


@data.command("infer")
@click.argument("source")
@click.option("--force", is_flag=True, help="Replace a schema that is there.")
@pass_session
def infer(session: Session, source: str, force: bool) -> None:
    """Write schemas/SOURCE.toml from what the clock sees now. Review it and commit it: it decides what stops and warns."""
    path = session.client.path("data", "sources", source, "schema")
    written = session.client.post(path, {"force": force}, {"environment": "dev"})
    session.show(written, lambda: click.echo(f"{written['text']}\nwritten to {written['file']}; review it and commit it"))


@data.command("validate")
@click.argument("source")
@_ENVIRONMENT
@click.pass_context
def validate(context: click.Context, source: str, environment: str) -> None:
    """Check what the clock sees of SOURCE against its schema and for leaks. Exits 1 when it stops."""
    session = context.ensure_object(Session)
    path = session.client.path("data", "sources", source, "validations")
    report = session.client.post(path, None, {"environment": environment})
    session.show(report, lambda: _show_report(report))
    if report["outcome"] == "stop":
        context.exit(1)


@data.command("checkout")
@click.argument("version")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_ENVIRONMENT
@pass_session
def checkout(session: Session, version: str, folder: Path, environment: str) -> None:
    """Write all rows of VERSION, an id or the name of a source, as Parquet files into FOLDER, which must be new or empty."""
    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is not empty.")
    path = session.client.path("data", "versions", version)
    files = session.client.get(path, {"environment": environment})["files"]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        session.progress(file["name"])
        content = session.client.get(f"{path}/files/{quote(file['name'], safe='')}", {"environment": environment})
        (folder / Path(file["name"]).name).write_bytes(content)
    session.progress_done()
    written = {"folder": str(folder), "files": [file["name"] for file in files], "rows": sum(file["rows"] for file in files)}
    session.show(written, lambda: click.echo(f"{written['rows']} rows in {len(files)} files in {folder}"))


def _show(session: Session, view: dict[str, Any]) -> None:
    def human() -> None:
        version = view["version"]
        click.echo(f"{version['source']} {version['id']} in {version['environment']}: {version['rows']} rows")
        click.echo(f"from {version['first']} to {version['last']}; {view['visible']} visible now")
        columns = ("name", "type", "nulls", "mean", "least", "most")
        session.table(columns, ([_short(column[name]) for name in columns] for column in view["columns"]))
        for label in view["labels"]:
            counts = f"{label['labelled']} of {label['rows']} rows, {label['pending']} pending, {label['never']} never"
            click.echo(f"label {label['label']}: {counts}")
        _show_report(view["validation"])

    session.show(view, human)


def _show_report(report: dict[str, Any]) -> None:
    color = {"pass": "green", "warn": "yellow", "stop": "red"}[report["outcome"]]
    schema = "" if report["schema"] else " (no reviewed schema: `bucle data infer SOURCE` writes one)"
    click.echo(f"validation: {click.style(report['outcome'], fg=color)} of {report['checks']} checks{schema}")
    for finding in report["findings"]:
        place = f"{finding['where']}: " if finding["where"] else ""
        click.echo(f"  {place}{finding['message']}")
    if report["vetoed"]:
        click.echo(f"  not to be trained on: {', '.join(report['vetoed'])}")


def _show_diff(session: Session, found: dict[str, Any]) -> None:
    click.echo(f"rows {found['rows_before']} -> {found['rows_after']}: ", nl=False)
    click.echo(f"{found['added']} added, {found['removed']} removed, {found['changed']} changed")
    if found["rules_changed"]:
        click.echo("the cleaning rules differ")
    for name in ("files_added", "files_removed", "files_changed"):
        if found[name]:
            click.echo(f"{name.replace('_', ' ')}: {', '.join(found[name])}")
    columns = ("name", "before", "after", "psi", "null_share_before", "null_share_after")
    if found["columns"]:
        session.table(columns, ([_short(column[name]) for name in columns] for column in found["columns"]))


def _short(value: object) -> object:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else value


COMMANDS = [data]
