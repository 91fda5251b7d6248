"""The command line: finds the command's module, and turns every error into code, message, where, next."""

import contextlib
import difflib
import errno
import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from bucle.cli.commands import COMMANDS
from bucle.cli.session import Group, Session, show_error
from bucle.errors import BucleError, RemoteError
from bucle.version import __version__

_HERE = Path(__file__).parent


class Bucle(Group):
    """The root: knows its commands from the table without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands that exist, in the order of the table."""
        return [name for name, (module, _) in COMMANDS.items() if (_HERE / f"{module}.py").exists()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return it."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"bucle.cli.{COMMANDS[cmd_name][0]}")
        found = (each for each in vars(module).values() if isinstance(each, click.Command) and each.name == cmd_name)
        return next(found, None)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is answered with the nearest."""
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), 1)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return name, command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=Bucle, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bucle")
@click.pass_context
def root(context: click.Context) -> None:
    """From `git push` to a monitored model in production, and back.

    BUCLE_HOME, BUCLE_URL, BUCLE_TOKEN, BUCLE_LANG and BUCLE_PATIENCE say where, who, in which language and how patiently.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 on success, 2 on bad use, 1 on failure."""
    words = sys.argv[1:] if arguments is None else arguments
    session = Session(words=tuple(words))
    try:
        status = _run(words, session)
    except BrokenPipeError:  # the reader of our output had enough
        sys.stderr.close()
        status = 0
    sys.exit(status)


def _run(words: list[str], session: Session) -> int:
    try:
        try:
            result: Any = root.main(words, prog_name="bucle", standalone_mode=False, obj=session)
        finally:
            session.close()
        session.ended(None)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        return _bad_use(error, session.json or "--json" in words)
    except (BucleError, RemoteError) as error:
        session.ended(error.code)
        return _refused(error, session.json)
    except (KeyboardInterrupt, click.Abort):
        from bucle.cli.errors import Interrupted

        return _refused(Interrupted(), session.json)
    except BrokenPipeError:
        raise
    except Exception as error:
        return _unexpected(error, session)


def _bad_use(error: click.UsageError, as_json: bool) -> int:
    from bucle.cli.errors import Usage
    from bucle.messages import translate_error

    command = error.ctx.command_path if error.ctx else "bucle"
    usage = Usage(text=error.format_message(), command=command)
    message, following = translate_error(usage)
    show_error(usage.code, message, command, following, as_json)
    return 2


def _refused(error: BucleError | RemoteError, as_json: bool) -> int:
    if isinstance(error, RemoteError):
        show_error(error.code, error.text, error.where, error.next_step, as_json)
        return 1
    from bucle.messages import translate_error

    message, following = translate_error(error)
    show_error(error.code, message, error.where, following, as_json)
    return 1


def _unexpected(error: Exception, session: Session) -> int:
    """A user never sees a stack trace; whoever repairs bucle finds it in the home's logs."""
    from bucle.cli.errors import Unexpected

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        from bucle.ledger import DiskFull

        return _refused(DiskFull(path=error.filename or session.home), session.json)
    log: Path | str = "(nowhere: it could not be written)"
    with contextlib.suppress(OSError):
        log = _log_file(session)
        with log.open("a", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)) + "\n")
    return _refused(Unexpected(kind=type(error).__name__, log=log), session.json)


def _log_file(session: Session) -> Path:
    import tempfile

    try:
        if session.home.is_dir():
            folder = session.home / "logs"
            folder.mkdir(exist_ok=True)
            log = folder / "cli.log"
            log.open("a").close()
            return log
    except OSError:
        pass
    return Path(tempfile.mkstemp(prefix="bucle-", suffix=".log")[1])
