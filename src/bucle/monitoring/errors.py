"""What a user can do wrong with monitors and alerts."""

from bucle.errors import BucleError


class BadMonitor(BucleError, code="monitoring/bad-monitor"):
    """A monitor is declared with a value that makes no sense."""

    message = "The monitor cannot be as declared: {reason}."
    next = "Correct the arguments of `bucle.Monitor`."


class UnknownAlert(BucleError, code="monitoring/unknown-alert", status=404):
    """No alert of this project and environment has the id."""

    message = "There is no alert {alert!r} here."
    next = "`bucle alerts` lists them."


class AlertResolved(BucleError, code="monitoring/alert-resolved", status=409):
    """An alert that is resolved cannot be acknowledged or resolved again."""

    message = "The alert {alert} is resolved already."
    next = "`bucle alerts` lists those that are open."


class NotWatched(BucleError, code="monitoring/not-watched", status=404):
    """Nothing was ever deployed for the service here, so there is nothing to watch."""

    message = "The service {service!r} was never deployed in {environment!r}; there is nothing to watch."
    next = "`bucle promote MODEL@VERSION {environment}` deploys a version."
