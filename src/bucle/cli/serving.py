"""Predictions for the rows of a file, and labels from one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bucle.cli.session import Command, Group, Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUEST = 1000
_LABELS = 5000
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_ENVIRONMENT = click.option("--environment", "-e", default="dev", show_default=True, help="Where the service is deployed.")


@click.command("predict", cls=Command)
@click.argument("service")
@click.option("--rows", "file", type=_FILE, required=True, help="CSV, Parquet or JSON lines: a column for each input.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the answers there, by the same suffixes.")
@click.option("--batch", is_flag=True, help="Features from the offline store, as of each row's own moment.")
@_ENVIRONMENT
@pass_session
def predict(session: Session, service: str, file: Path, out: Path | None, batch: bool, environment: str) -> None:
    """Ask SERVICE for predictions; columns that it does not take are left out."""
    from bucle.serving import kind_of

    query = {"environment": environment}
    if batch:
        query["format"] = kind_of(file)
        answer = session.client.post(session.client.path("services", service, "batch"), file, query)
    else:
        answer = _ask(session, service, file, query)
    predictions = answer["predictions"]
    if out is not None:
        _write(out, predictions)
        session.show(_summary(answer, out), lambda: click.echo(f"{len(predictions)} predictions of {_name(answer)} in {out}"))
        return
    columns = ("id", "key", "prediction", "label")
    session.show(answer, lambda: session.table(columns, [[each.get(name) for name in columns] for each in predictions]))


@click.group("labels", cls=Group)
def labels() -> None:
    """What turned out to be true."""


@labels.command("send")
@click.argument("file", type=_FILE)
@click.option("--service", help="Whose predictions they judge; needed when the environment has several services.")
@_ENVIRONMENT
@pass_session
def send(session: Session, file: Path, service: str | None, environment: str) -> None:
    """Send the labels of FILE: prediction_id or key, value, observed_at and, to correct one, replace."""
    from bucle.serving import kind_of, read_records

    client, query = session.client, {"environment": environment}
    name = service or _only_service(session, environment)
    rows = [_label(row) for row in read_records(file, kind_of(file))]
    total = {"service": name, "recorded": 0, "repeated": 0, "corrected": 0}
    for start in range(0, len(rows), _LABELS):
        session.progress(f"{start} of {len(rows)} labels")
        receipt = client.post(client.path("services", name, "labels"), {"labels": rows[start : start + _LABELS]}, query)
        total |= {field: total[field] + receipt[field] for field in ("recorded", "repeated", "corrected")}
    session.progress_done()
    text = f"{total['recorded']} labels recorded, {total['repeated']} were known, {total['corrected']} corrected"
    session.show(total, lambda: click.echo(text))


def _ask(session: Session, service: str, file: Path, query: dict[str, str]) -> dict[str, Any]:
    """Send a file's rows in requests and return the answers as one."""
    from bucle.serving import fitted, kind_of, read_records

    client = session.client
    fields = client.get(client.path("services", service), query)["fields"]
    whole: dict[str, Any] = {}
    rows = [fitted(record, fields) for record in read_records(file, kind_of(file))]
    for start in range(0, max(len(rows), 1), _REQUEST):
        session.progress(f"{start} of {len(rows)} rows")
        answer = client.post(client.path("services", service, "predict"), {"rows": rows[start : start + _REQUEST]}, query)
        whole = whole or answer | {"predictions": []}
        whole["predictions"] += answer["predictions"]
    session.progress_done()
    return whole


def _only_service(session: Session, environment: str) -> str:
    found = [each["name"] for each in session.client.get(session.client.path("services"), {"environment": environment})]
    if len(found) != 1:
        names = ", ".join(found) or "none"
        raise click.UsageError(f"say which service is meant with --service; {environment} has: {names}")
    return str(found[0])


def _label(row: dict[str, Any]) -> dict[str, Any]:
    moment = row.get("observed_at")
    made = {name: row[name] for name in ("prediction_id", "key", "value", "replace") if row.get(name) is not None}
    return made | (
        {"observed_at": moment.isoformat() if hasattr(moment, "isoformat") else str(moment)} if moment is not None else {}
    )


def _write(out: Path, predictions: Sequence[dict[str, Any]]) -> None:
    from bucle.serving import kind_of

    kind = kind_of(out)
    if kind == "jsonl":
        import msgspec

        out.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in predictions))
        return
    import polars as pl

    names = ("id", "key", "prediction", "label")
    table = pl.DataFrame({name: [each.get(name) for each in predictions] for name in names}, strict=False)
    if kind == "csv":
        table.write_csv(out)
    else:
        table.write_parquet(out)


def _summary(answer: dict[str, Any], out: Path) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "predictions"} | {
        "rows": len(answer["predictions"]),
        "out": str(out),
    }


def _name(answer: dict[str, Any]) -> str:
    return f"{answer['model']}@{answer['version']}"


COMMANDS = [predict, labels]
