"""Making projects and locking what they need: init, lock."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bucle.cli.session import Command, Session, pass_session

if TYPE_CHECKING:
    from bucle.project import MadeProject, TableRequest

_OLD = timedelta(days=2)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("init", cls=Command)
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--template", help="flights (with a year of data) or blank; flights unless --data is given.")
@click.option("--data", "table", type=_FILE, help="Your own table, Parquet or CSV, instead of a template.")
@click.option("--label", metavar="COLUMN", help="The column of the table to predict.")
@click.option("--time", "moment", metavar="COLUMN", help="The column with the moment of each row.")
@click.option("--key", metavar="COLUMN", help="The column that identifies each row.")
@click.option("--name", help="The project's name, if not the folder's.")
@click.option("--replay-from", metavar="TIME", help="Give the home a replay clock that stands at this instant.")
@pass_session
def init(
    session: Session,
    directory: Path,
    template: str | None,
    table: Path | None,
    label: str | None,
    moment: str | None,
    key: str | None,
    name: str | None,
    replay_from: str | None,
) -> None:
    """Make a working project in DIRECTORY: definitions, tests, a lock with hashes, a first commit.

    With --data and --label the definitions are written for your own table, ready to edit. If its newest row is older than two
    days the home gets a replay clock that stands there; `bucle clock advance` moves it.
    """
    if (table is None) != (label is None):
        raise click.UsageError("--data and --label belong together.")
    if table is None and (moment or key):
        raise click.UsageError("--time and --key describe the table that --data names.")
    if table is not None and template is not None:
        raise click.UsageError("Give --template or --data, not both.")
    from bucle.ledger import parse_instant
    from bucle.project import TableRequest

    directory = directory.absolute()
    home, clock = _home_of(session, directory), parse_instant(replay_from) if replay_from else None
    _refuse_second_clock(home, clock)
    request = None if table is None or label is None else TableRequest(table.absolute(), label, moment, key)
    made = _make(session, directory, home, template or "flights", request, name)
    session.progress_done()
    _register(session, home, made, clock)
    document = {"project": made.file.name, "path": directory, "home": home, "commit": made.commit}
    session.show(document, lambda: _welcome(made, home))


@click.command("lock", cls=Command)
@click.argument("directory", type=click.Path(file_okay=False, exists=True, path_type=Path), required=False)
@pass_session
def lock(session: Session, directory: Path | None) -> None:
    """Pin what requirements.in names, with hashes, in requirements.lock. Versions that are locked stay where they can."""
    from bucle.client import project_root
    from bucle.project import NoProjectFile
    from bucle.runtimes import lock_requirements

    root = directory or project_root()
    if root is None:
        raise NoProjectFile(root=Path.cwd())
    made = lock_requirements(root.absolute(), session.home / "wheels")
    document = {"path": made.path, "digest": made.digest, "python": made.python, "packages": len(made.requirements)}
    session.show(document, lambda: click.echo(f"{made.path}: {len(made.requirements)} packages for Python {made.python}"))


def _make(
    session: Session, directory: Path, home: Path, template: str, request: "TableRequest | None", name: str | None
) -> "MadeProject":
    from bucle.project import create_from_table, create_project
    from bucle.runtimes import lock_requirements

    def pin(folder: Path) -> None:
        session.progress("locking what the project needs")
        inside = home.is_relative_to(directory)
        lock_requirements(folder, (folder / home.relative_to(directory) if inside else home) / "wheels")

    session.progress("writing the project")
    if request is not None:
        return create_from_table(directory, request, lock=pin, name=name)
    return create_project(directory, template, lock=pin, name=name)


def _home_of(session: Session, directory: Path) -> Path:
    named = session.home_given or os.environ.get("BUCLE_HOME")
    return Path(named).absolute() if named else directory / ".bucle"


def _refuse_second_clock(home: Path, clock: datetime | None) -> None:
    from bucle.project import ClockChosen

    if clock is not None and (home / "ledger.db").exists():
        raise ClockChosen(home=home)


def _register(session: Session, home: Path, made: "MadeProject", clock: datetime | None) -> None:
    """Make the home with its clock if it is not there, and let it know the project and where its files are."""
    from bucle.client import connect
    from bucle.ledger import Home

    if clock is None and made.newest is not None and datetime.now(UTC) - made.newest > _OLD:
        clock = made.newest + timedelta(seconds=1)
    if not (home / "ledger.db").exists():
        Home.open(home, replay_from=clock).close()
    with connect(session.url, home=home) as client:
        client.post("/api/v1/projects", {"root": str(made.file.root)})


def _welcome(made: "MadeProject", home: Path) -> None:
    click.echo(f"Made the project {made.file.name} in {made.file.root}, commit {made.commit[:12]}.")
    click.echo(f"Its home is {home}. Next:")
    click.echo(f"  cd {os.path.relpath(made.file.root)}")
    click.echo("  bucle check")
