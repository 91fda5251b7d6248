"""What can be wrong with a request, or with the way a server is started."""

from bucle.errors import BucleError


class UnknownPath(BucleError, code="server/unknown-path", status=404):
    """No route has this path."""

    message = "There is nothing at {path}."
    next = "/api/v1/openapi.json lists every route."


class MethodNotAllowed(BucleError, code="server/method-not-allowed", status=405):
    """The path exists, but not with this method."""

    message = "{path} does not answer {method}."
    next = "It answers {allowed}."


class BadPath(BucleError, code="server/bad-path"):
    """A part of the path cannot be a name: a separator, a dot segment, a control character, or bytes that are not UTF-8."""

    message = "A part of the path is not a name."
    next = "Give names without separators, dot segments and control characters."


class UnknownParameter(BucleError, code="server/unknown-parameter"):
    """The query has a parameter that the route does not know."""

    message = "There is no parameter {name!r} here."
    next = "The parameters are: {known}."


class BadParameter(BucleError, code="server/bad-parameter"):
    """A parameter of the query has a value that it cannot have."""

    message = "{name} cannot be {value!r}."
    next = "It is {expected}."


class BadJSON(BucleError, code="server/bad-json"):
    """The body is not JSON."""

    message = "The body is not JSON: {reason}."
    next = "Send one JSON document in UTF-8; NaN and Infinity are not JSON."


class BadBody(BucleError, code="server/bad-body", status=422):
    """The body is JSON, but not what the route takes: a field is missing, unknown or of another type."""

    message = "The body does not fit: {reason}."
    next = "/api/v1/openapi.json has the schema of every body."


class UnexpectedBody(BucleError, code="server/unexpected-body"):
    """The route takes no body, and there is one."""

    message = "{method} {path} takes no body."
    next = "Send the request without one."


class BodyTooLarge(BucleError, code="server/body-too-large", status=413):
    """The body is larger than the route takes."""

    message = "The body is larger than {limit} bytes."
    next = "Send it in parts."


class BodyTooSlow(BucleError, code="server/body-too-slow", status=408):
    """A request's body stopped coming, or came by drops."""

    message = "The body did not arrive: {received} bytes in {seconds:.0f} s."
    next = "Send it again, over a faster connection if it lasts; nothing was done."


class WrongContentType(BucleError, code="server/wrong-content-type", status=415):
    """A route that takes JSON was sent something else, for instance a form."""

    message = "This route takes application/json, not {found!r}."
    next = "Set the header `Content-Type: application/json`."


class ForbiddenHost(BucleError, code="server/forbidden-host", status=421):
    """The Host header names no host of this server: perhaps another site's name leads here (DNS rebinding)."""

    message = "This server does not answer to the host {host!r}."
    next = "Use the address that `bucle status` shows, or name the host with `bucle up --allow-host`."


class CrossSite(BucleError, code="server/cross-site", status=403):
    """A page of another origin made the browser send this request."""

    message = "Requests on behalf of other sites are refused."
    next = "Open the page from the server's own address; programs send neither Origin nor Sec-Fetch-Site."


class KeyReused(BucleError, code="server/idempotency-key-reused", status=422):
    """An Idempotency-Key was sent before with another request."""

    message = "The Idempotency-Key {key!r} belongs to another request."
    next = "Make a new key for each new request."


class BadKey(BucleError, code="server/bad-idempotency-key"):
    """An Idempotency-Key is empty or too long."""

    message = "An Idempotency-Key has 1 to 200 printable characters."
    next = "Use a random UUID."


class InProgress(BucleError, code="server/request-in-progress", status=409):
    """The same Idempotency-Key is being handled at this moment."""

    message = "The first request with the Idempotency-Key {key!r} is still being handled."
    next = "Ask again in a moment."


class Internal(BucleError, code="server/internal", status=500):
    """Something went wrong inside bucle; the log has it under the incident's number."""

    message = "Something went wrong inside bucle (incident {incident})."
    next = "The log {log} has the details; please report them."


class ShuttingDown(BucleError, code="server/shutting-down", status=503):
    """The server is on its way down."""

    message = "The server is going down."
    next = "Try again when `bucle up` has started it again."


class PortInUse(BucleError, code="server/port-in-use", status=409):
    """Another program listens on the port."""

    message = "The port {port} of {host} is in use."
    next = "Choose another with --port, or --port 0 for any free one."


class PortNotAllowed(BucleError, code="server/port-not-allowed", status=403):
    """The system gives the port to root only."""

    message = "Only root may listen on port {port} of {host}."
    next = "Choose one from 1024 on with --port; a proxy in front of it can take port {port}."


class BadAddress(BucleError, code="server/bad-address"):
    """The host to listen on is no address of this machine."""

    message = "{host} is not an address that this machine can listen on."
    next = "Use 127.0.0.1, or an address of this machine."


class Unprotected(BucleError, code="server/unprotected", status=403):
    """A server for other machines, or with `--require-token`, needs tokens, and the home has none."""

    message = "A server on {host} would ask for tokens, and this home has none that is valid."
    next = "Make one first: `bucle token create NAME --role owner`."


class ClockBusy(BucleError, code="server/clock-busy", status=409):
    """The clock is on its way already."""

    message = "The clock is on its way to {until}."
    next = "Wait for it: `bucle clock` shows where it stands."


class NothingRuns(BucleError, code="server/nothing-runs", status=404):
    """An environment was asked for that runs no release yet."""

    message = "No release of {project!r} runs in {environment!r} yet."
    next = "`bucle release` makes one, `bucle promote` brings it there; `dev` runs the working tree."


class OnlyAnswers(BucleError, code="server/only-answers", status=409):
    """The server was started with a role that only answers, and was asked to act on its own."""

    message = "This server only answers (--role api); it moves no clock."
    next = "Start it with `bucle up --role all`."
