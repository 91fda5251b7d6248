"""A notice on its way by a route: its secrets from the server's environment, its form by the kind of the receiver."""

import os

from bucle.monitoring.routes import alertmanager, slack, webhook
from bucle.monitoring.routes.addresses import NetworkPolicy
from bucle.monitoring.routes.failures import SendFailed
from bucle.monitoring.routes.notices import Notice
from bucle.project import AlertRoute, is_web_address


def send(route: AlertRoute, notice: Notice, url: str, policy: NetworkPolicy) -> str:
    """Send a notice and return what became of it; `url` is where the pages answer. Raises `SendFailed`."""
    secrets = _secrets(route)
    page = notice.page(url)
    if route.kind == "email" and route.mail is not None:
        from bucle.monitoring.routes import mail

        return mail.send(route.mail, secrets, notice, page, policy)
    address = route.url or secrets["url"]
    if not is_web_address(address):
        raise SendFailed(f"{route.variables['url']} does not hold an http(s) address", lasting=True)
    if route.kind == "slack":
        return slack.send(address, notice, page, policy)
    if route.kind == "alertmanager":
        return alertmanager.send(address, secrets, notice, page, policy)
    return webhook.send(address, secrets, notice, page, policy)


def missing_variables(route: AlertRoute) -> list[str]:
    """Return the variables that a route needs and that the server's environment lacks."""
    return sorted(name for name in route.variables.values() if not os.environ.get(name))


def _secrets(route: AlertRoute) -> dict[str, str]:
    missing = missing_variables(route)
    if missing:
        raise SendFailed(f"the server's environment lacks {', '.join(missing)}")
    secrets = {what: os.environ[name].strip() for what, name in route.variables.items()}
    if any(not secret.isprintable() or not secret.isascii() for secret in secrets.values()):
        raise SendFailed("a variable of the route holds what cannot be sent", lasting=True)
    return secrets
