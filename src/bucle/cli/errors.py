"""What can go wrong in the command line itself."""

from bucle.errors import BucleError


class Usage(BucleError, code="cli/usage"):
    """The command was not called as it can be."""

    message = "{text}"
    next = "`{command} --help` shows how."


class Unexpected(BucleError, code="cli/unexpected", status=500):
    """Something went wrong inside bucle; the traceback is in a file."""

    message = "Something went wrong inside bucle: {kind}."
    next = "{log} has the details; please report them."


class Interrupted(BucleError, code="cli/interrupted"):
    """Ctrl-C ended the command."""

    message = "Interrupted."
    next = "What was done so far stays; `bucle events` shows it."


class DidNotStart(BucleError, code="cli/did-not-start", status=500):
    """The server in the background ended, or did not answer in time."""

    message = "The server did not come up: {reason}"
    next = "{log} has the details."


class DidNotStop(BucleError, code="cli/did-not-stop", status=500):
    """The server was told to stop, and still holds the home."""

    message = "Process {pid} still holds the home."
    next = "Wait for it, or end it with `kill -9 {pid}`: what it acknowledged is safe."


class NoBrowser(BucleError, code="cli/no-browser"):
    """There is no browser that can be opened from here."""

    message = "No browser can be opened here."
    next = "Open {url} yourself."


class ClockStopped(BucleError, code="cli/clock-stopped", status=500):
    """The clock stopped before it was where it was to go."""

    message = "The clock stopped at {now}: {reason}."
    next = "`bucle logs` has the details; `bucle clock advance` goes on from there."


class ChecksFailed(BucleError, code="cli/checks-failed", status=422):
    """The checks of a commit did not all pass."""

    message = "The checks of {commit} failed: {failed}."
    next = "Correct what the lines above name, commit, and check again."
