"""What can go wrong on the way to a home."""

from bucle.errors import BucleError


class Unreachable(BucleError, code="client/unreachable", status=503):
    """No server answers at the address."""

    message = "No bucle answers at {url}: {reason}."
    next = "Check BUCLE_URL and start it with `bucle up`."


class ConnectionLost(BucleError, code="client/connection-lost", status=503):
    """The server went away in the middle of a request."""

    message = "The connection to {url} was lost before the answer came."
    next = "Start the server again with `bucle up`; `bucle events` shows what took effect."


class NoAnswer(BucleError, code="client/no-answer", status=504):
    """The server took a request and has not answered it for very long."""

    message = "The server at {url} has not answered for {seconds:g} s."
    next = "It may still be at it: `bucle events` shows what took effect, `bucle logs` what it does."


class NotBucle(BucleError, code="client/not-bucle", status=502):
    """Something else than bucle answers at the address."""

    message = "What answers at {url} is not bucle ({answer})."
    next = "Check BUCLE_URL; the port may belong to another program."


class BadURL(BucleError, code="client/bad-url"):
    """An address is not that of a server."""

    message = "{url!r} is not the address of a server."
    next = "Write it as http://127.0.0.1:7070."


class BadPatience(BucleError, code="client/bad-patience"):
    """It is not said in seconds how long a client waits for a server that went away."""

    message = "{value!r} is no time to wait for a server that went away."
    next = "Set BUCLE_PATIENCE to seconds, from 0 to {most}."


class BadValue(BucleError, code="client/bad-value", status=422):
    """Something that was to be sent cannot be said in JSON or in an address."""

    message = "{what} cannot be sent."
    next = "Give a text in Unicode, or a finite number; null where there is no value. Nothing was sent."


class NeedsServer(BucleError, code="client/needs-server", status=409):
    """What was asked for makes sense only while a server is up."""

    message = "No server holds the home {home}."
    next = "Start one with `bucle up --detach`."


class NoProject(BucleError, code="client/no-project"):
    """It is not said which project is meant."""

    message = "It is not clear which project is meant."
    next = "Run this within a project's folder, or name it with --project."


class PushFailed(BucleError, code="client/push-failed", status=502):
    """git could not bring a commit to the server."""

    message = "The commit {commit} could not be pushed to {url}: {reason}."
    next = "Check BUCLE_URL, and that BUCLE_TOKEN may push (delivery.write)."
