"""What every command shares: `--json`, `--home`, `--url`, `--project`, and how results and errors are shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bucle.cli.repeating import Attempt
    from bucle.client import Client


@dataclass(slots=True)
class Session:
    """How this call of the command line was made."""

    json: bool = False
    home_given: str | None = None
    url: str | None = None
    project: str | None = None
    words: Sequence[str] = ()
    _client: Client | None = None
    _began: Attempt | None = None

    @property
    def home(self) -> Path:
        """The home's folder: `--home`, else BUCLE_HOME and its defaults."""
        from bucle.client import default_home

        return Path(self.home_given).absolute() if self.home_given else default_home()

    @property
    def client(self) -> Client:
        """The client of this call; closed when the command ends."""
        if self._client is None:
            from bucle.client import connect

            user = os.environ.get("BUCLE_CLIENT", "bucle-cli")
            self._client = connect(self.url, None, self.project, self.home_given, name=user, keys=self._attempt().keys())
        return self._client

    @property
    def elsewhere(self) -> bool:
        """Whether a server was named by its address: it need not see this machine's disk."""
        return bool(self.url or os.environ.get("BUCLE_URL"))

    @property
    def repeated(self) -> bool:
        """Whether this call repeats one whose answer never came."""
        return self._attempt().repeated

    def ended(self, code: str | None) -> None:
        """Say with which error the command ended, None for none."""
        if self._began is not None:
            self._began.ended(code)

    def _attempt(self) -> Attempt:
        if self._began is None:
            from bucle.cli.repeating import Attempt

            self._began = Attempt(self.home, self.words)
        return self._began

    def close(self) -> None:
        """Close the client if one was made."""
        if self._client is not None:
            client, self._client = self._client, None
            client.close()

    def show(self, document: Any, human: Callable[[], None]) -> None:
        """Print the result: one JSON document with `--json`, else what `human` prints."""
        if self.json:
            self.print_json(document)
        else:
            human()

    def print_json(self, document: Any) -> None:
        """Print one JSON document on stdout."""
        import msgspec

        click.echo(msgspec.json.encode(document, enc_hook=str).decode())

    def say(self, text: str) -> None:
        """Print a line for people; nothing with `--json`."""
        if not self.json:
            click.echo(text)

    def progress(self, text: str) -> None:
        """Show how far long work is, on one line of a terminal; quiet without one and with `--json`."""
        if not self.json and sys.stderr.isatty():
            click.echo(f"\r\x1b[K{text}", nl=False, err=True)

    def progress_done(self) -> None:
        """Clear the line of `progress`."""
        self.progress("")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table for people: drawn on a terminal, tab-separated into a pipe."""
        listed = [["" if cell is None else str(cell) for cell in row] for row in rows]
        if not sys.stdout.isatty():
            for row in ([*columns], *listed):
                click.echo("\t".join(" ".join(cell.split()) for cell in row))
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in listed:
            drawn.add_row(*(Text(cell) for cell in row))
        Console().print(drawn)


pass_session = click.make_pass_decorator(Session)
"""Decorator that hands the `Session` to a command as its first argument."""


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def keep(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value not in (None, False):
            setattr(context.ensure_object(Session), name, value)
        return value

    return keep


def _shared() -> list[click.Parameter]:
    folder = click.Path(file_okay=False)
    return [
        click.Option(["--json"], is_flag=True, expose_value=False, callback=_set("json"), help="One JSON document on stdout."),
        click.Option(["--home"], type=folder, expose_value=False, callback=_set("home_given"), help="The home's folder."),
        click.Option(["--url"], expose_value=False, callback=_set("url"), help="The server's address."),
        click.Option(["--project"], expose_value=False, callback=_set("project"), help="The project that is meant."),
    ]


class Command(click.Command):
    """A command that also takes the options that all share, wherever they stand."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken = {option for parameter in self.params for option in parameter.opts}
        self.params.extend(option for option in _shared() if not taken & set(option.opts))


class Group(click.Group):
    """A group whose commands are of the kind above; it takes the shared options too."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(_shared())


def show_error(code: str, message: str, where: str | None, following: str, as_json: bool) -> None:
    """Print an error on stderr: what happened, where, what to do next; one JSON document with `--json`."""
    if as_json:
        document = {"code": code, "message": message, "where": where, "next": following}
        click.echo(json.dumps(document, ensure_ascii=False), err=True)
        return
    click.echo(f"{click.style(code, fg='red')}: {message}", err=True)
    if where:
        click.echo(f"  where: {where}", err=True)
    if following:
        click.echo(f"  next:  {following}", err=True)
