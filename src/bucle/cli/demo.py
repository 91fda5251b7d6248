"""The demo: the whole loop on real flights."""

from pathlib import Path

import click

from bucle.cli.session import Command, Session


@click.command("demo", cls=Command)
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="Where the pages are.")
@click.option("--keep", is_flag=True, help="Leave the server and its pages up at the end.")
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path), default=Path("bucle-demo"), show_default=True,
              help="Where the project is made; an earlier demo there is removed.")  # fmt: skip
@click.pass_context
def demo(context: click.Context, port: int, keep: bool, directory: Path) -> None:
    """Show the whole loop on real flights, narrated. Exits 1 when a turn of the story did not happen."""
    from bucle.demo import Options, clear, tell

    session = context.ensure_object(Session)
    clear(directory)
    outcome = tell(Options(directory, port, keep), session.say)
    session.show(outcome, lambda: click.echo(f"{outcome.seconds:.0f} s"))
    if not outcome.ok:
        context.exit(1)


COMMANDS = [demo]
