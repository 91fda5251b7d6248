"""Where alerts go, as bucle.toml declares it: `[alerts.NAME]`. Secrets are never in the file, only names of variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from bucle.project.errors import BadName, BadValue, MissingKey
from bucle.project.toml_tables import TomlTable

RouteKind = Literal["webhook", "slack", "email", "alertmanager"]
MailSecurity = Literal["starttls", "tls", "none"]

ROUTE_KINDS: tuple[RouteKind, ...] = ("webhook", "slack", "email", "alertmanager")
ALERT_KINDS = ("degradation", "drift", "data_quality", "staleness", "rollout", "objective")
"""What alerts may be about; monitoring says when each fires."""

MOST_ROUTES = 50
_FILTER = ("kind", "alerts", "environments", "services")
_KEYS: dict[RouteKind, tuple[str, ...]] = {
    "webhook": ("url", "url_variable", "secret_variable", "token_variable"),
    "slack": ("url_variable",),
    "email": ("server", "security", "sender", "to", "user_variable", "password_variable"),
    "alertmanager": ("url", "url_variable", "token_variable"),
}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_SERVER = re.compile(r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Mail:
    """Where and how an e-mail route hands its messages over."""

    host: str
    port: int
    security: MailSecurity
    sender: str
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlertRoute:
    """A receiver of alerts. `variables` are the environment variables of the server by what they hold: url, secret, token...

    `url` is empty where a variable holds it; `mail` is there for e-mail only. Empty filters let everything through.
    """

    name: str
    kind: RouteKind
    url: str = ""
    mail: Mail | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def takes(self, alert_kind: str, environment: str, service: str) -> bool:
        """Whether the route wants to hear of an alert of this kind, about this service, there."""
        wanted = ((self.alerts, alert_kind), (self.environments, environment), (self.services, service))
        return all(not allowed or value in allowed for allowed, value in wanted)


def variable_prefix(project: str) -> str:
    """Return how the variables begin that routes of a project may name: who pushes must not reach the server's others."""
    return f"BUCLE_ALERTS_{project.upper().replace('-', '_')}_"


def read_alert_routes(table: TomlTable, project: str, environments: tuple[str, ...]) -> dict[str, AlertRoute]:
    """Read all `[alerts.NAME]`. Raises the errors of a project file, with the line."""
    if len(table.values) > MOST_ROUTES:
        allowed = f"at most {MOST_ROUTES} routes"
        raise BadValue(key="alerts", value=len(table.values), allowed=allowed, where=table.where())
    return {name: _route(name, each, project, environments) for name, each in table.tables()}


def _route(name: str, table: TomlTable, project: str, environments: tuple[str, ...]) -> AlertRoute:
    if not _NAME.fullmatch(name):
        raise BadName(name=name, where=table.where())
    if "kind" not in table.values:
        raise MissingKey(key=table.name("kind"), example='kind = "webhook"', where=table.where())
    kind: RouteKind = table.choice("kind", table.text("kind"), ROUTE_KINDS)
    table.only(*_FILTER, *_KEYS[kind])
    return AlertRoute(
        name=name,
        kind=kind,
        url=_url(table) if "url" in table.values else "",
        mail=_mail(table) if kind == "email" else None,
        variables=_variables(table, project, needed=kind != "email" and "url" not in table.values),
        alerts=_chosen(table, "alerts", ALERT_KINDS),
        environments=_chosen(table, "environments", environments),
        services=table.texts("services"),
    )


def _chosen(table: TomlTable, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(table.choice(key, value, allowed) for value in table.texts(key))


def _url(table: TomlTable) -> str:
    text = table.text("url")
    if "url_variable" in table.values or not is_web_address(text):
        allowed = "http://HOST/... or https://HOST/... without user, password or fragment; or url_variable instead of it"
        raise BadValue(key=table.name("url"), value=text, allowed=allowed, where=table.where("url"))
    return text


def is_web_address(text: str) -> bool:
    """Whether a text is an http(s) address that a route may have: a host, no user or password, nothing that is not ASCII."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text and "\\" not in text and len(text) <= 2048
    return (
        plain
        and parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and (port != 0 and not parts.fragment and "#" not in text)
    )


def _variables(table: TomlTable, project: str, *, needed: bool) -> dict[str, str]:
    prefix = variable_prefix(project)
    if needed and "url_variable" not in table.values:
        raise MissingKey(key=table.name("url_variable"), example=f'url_variable = "{prefix}URL"', where=table.where())
    found = {}
    for key in (key for key in table.values if key.endswith("_variable")):
        name = table.text(key)
        if not re.fullmatch(rf"{prefix}[A-Z0-9_]+", name):
            allowed = f"the name of an environment variable of the server that begins with {prefix}"
            raise BadValue(key=table.name(key), value=name, allowed=allowed, where=table.where(key))
        found[key.removesuffix("_variable")] = name
    if ("user" in found) != ("password" in found):
        lacking = "password_variable" if "user" in found else "user_variable"
        raise MissingKey(key=table.name(lacking), example=f'{lacking} = "{prefix}..."', where=table.where())
    return found


def _mail(table: TomlTable) -> Mail:
    for key, example in (
        ("server", '"smtp.example.org:587"'),
        ("sender", '"bucle@example.org"'),
        ("to", '["ops@example.org"]'),
    ):
        if not table.values.get(key):
            raise MissingKey(key=table.name(key), example=f"{key} = {example}", where=table.where())
    security: MailSecurity = table.choice("security", table.text("security", "starttls"), ("starttls", "tls", "none"))
    if security == "none" and "password_variable" in table.values:
        allowed = "starttls, tls: a password is not sent in the clear"
        raise BadValue(key=table.name("security"), value="none", allowed=allowed, where=table.where("security"))
    server = _SERVER.fullmatch(table.text("server"))
    if server is None or not 0 < int(server["port"]) < 65536:
        allowed = 'a host and a port, such as "smtp.example.org:587"'
        raise BadValue(key=table.name("server"), value=table.text("server"), allowed=allowed, where=table.where("server"))
    to = tuple(_mailbox(table, "to", address) for address in table.texts("to"))
    sender = _mailbox(table, "sender", table.text("sender"))
    return Mail(server["host"].strip("[]"), int(server["port"]), security, sender, to)


def _mailbox(table: TomlTable, key: str, address: str) -> str:
    if not _ADDRESS.fullmatch(address) or len(address) > 254:
        raise BadValue(key=table.name(key), value=address, allowed="a plain address: name@host", where=table.where(key))
    return address
