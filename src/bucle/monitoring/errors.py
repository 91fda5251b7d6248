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


class UnknownRoute(BucleError, code="monitoring/unknown-route", status=404):
    """No route of alerts is in force under the name."""

    message = "No route {route!r} for alerts is in force in {environment!r}."
    next = "{hint} Routes are declared as [alerts.NAME] in bucle.toml."


class RouteFailed(BucleError, code="monitoring/route-failed", status=502):
    """A receiver did not take the test alert."""

    message = "The route {route!r} did not deliver the test alert: {reason}."
    next = "Correct the route in bucle.toml, the server's variables, or the receiver, and test again."
