"""What can go wrong while the demo plays."""

from bucle.errors import BucleError


class CommandFailed(BucleError, code="demo/command-failed", status=500):
    """A command of the story failed."""

    message = "`{command}` failed: {reason}"
    next = "The home is as it was left; `bucle doctor` and `bucle logs` say more."


class ServerGone(BucleError, code="demo/server-gone", status=503):
    """The demo's server ended and nobody started it again."""

    message = "No server holds the home {home}."
    next = "Start it with `bucle up --home {home}` and run `bucle demo` again."


class DirectoryTaken(BucleError, code="demo/directory-taken", status=409):
    """The demo's directory holds something else."""

    message = "{directory} is not empty."
    next = "Give another one: bucle demo --directory DIR."
