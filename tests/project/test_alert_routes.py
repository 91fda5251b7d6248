"""Routes of alerts in bucle.toml: read strictly, and no secret in the file."""

from pathlib import Path
from typing import get_args

import pytest

from bucle.errors import BucleError
from bucle.monitoring.alerts import AlertKind
from bucle.project import ALERT_KINDS, Mail, is_web_address, load_project_file

WHOLE = """\
[project]
name = "my-flights"

[environments.production]
deploy = "approved"

[alerts.oncall]
kind = "webhook"
url = "https://hooks.example.org/bucle?room=1"
secret_variable = "BUCLE_ALERTS_MY_FLIGHTS_ONCALL"
alerts = ["degradation", "rollout"]
environments = ["production", "dev"]
services = ["delay"]

[alerts.chat]
kind = "slack"
url_variable = "BUCLE_ALERTS_MY_FLIGHTS_SLACK"

[alerts.mail]
kind = "email"
server = "smtp.example.org:587"
sender = "bucle@example.org"
to = ["ops@example.org"]
user_variable = "BUCLE_ALERTS_MY_FLIGHTS_USER"
password_variable = "BUCLE_ALERTS_MY_FLIGHTS_PASSWORD"

[alerts.manager]
kind = "alertmanager"
url = "http://alertmanager:9093"
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "bucle.toml").write_text(text)
    return tmp_path


def test_a_route_of_each_kind_is_read(tmp_path: Path) -> None:
    routes = load_project_file(written(tmp_path, WHOLE)).alerts
    assert [(route.name, route.kind) for route in routes.values()] == [
        ("oncall", "webhook"),
        ("chat", "slack"),
        ("mail", "email"),
        ("manager", "alertmanager"),
    ]
    oncall = routes["oncall"]
    assert oncall.variables == {"secret": "BUCLE_ALERTS_MY_FLIGHTS_ONCALL"}
    assert oncall.takes("degradation", "production", "delay")
    assert not oncall.takes("drift", "production", "delay")
    assert not oncall.takes("degradation", "staging", "delay")
    assert not oncall.takes("degradation", "production", "fare")
    assert routes["chat"].takes("drift", "anywhere", "any")
    assert routes["mail"].mail == Mail("smtp.example.org", 587, "starttls", "bucle@example.org", ("ops@example.org",))


def test_the_kinds_that_a_route_may_choose_are_those_of_monitoring() -> None:
    assert set(ALERT_KINDS) == set(get_args(AlertKind))


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ('kind = "slack"', 'kind = "pager"', "project/bad-value", 16),
        ('kind = "slack"', "", "project/missing-key", 15),
        ("url_variable =", "url_varable =", "project/unknown-key", 17),
        ('url_variable = "BUCLE_ALERTS_MY_FLIGHTS_SLACK"', "", "project/missing-key", 15),
        ("BUCLE_ALERTS_MY_FLIGHTS_SLACK", "AWS_SECRET_ACCESS_KEY", "project/bad-value", 17),
        ("BUCLE_ALERTS_MY_FLIGHTS_SLACK", "BUCLE_ALERTS_OTHER_SLACK", "project/bad-value", 17),
        ('alerts = ["degradation", "rollout"]', 'alerts = ["degradaton"]', "project/bad-value", 11),
        ('environments = ["production", "dev"]', 'environments = ["prod"]', "project/bad-value", 12),
        ('"https://hooks.example.org/bucle?room=1"', '"https://me:pass@hooks.example.org"', "project/bad-value", 9),
        ('"https://hooks.example.org/bucle?room=1"', '"file:///etc/passwd"', "project/bad-value", 9),
        ("smtp.example.org:587", "smtp.example.org", "project/bad-value", 21),
        ("smtp.example.org:587", "smtp.example.org:0", "project/bad-value", 21),
        ('"ops@example.org"', '"ops@example.org\\r\\nRCPT TO:<x@y>"', "project/bad-value", 23),
        ('sender = "bucle@example.org"', "", "project/missing-key", 19),
        ('sender = "bucle@example.org"', 'sender = "bucle@example.org"\nsecurity = "none"', "project/bad-value", 23),
        ('user_variable = "BUCLE_ALERTS_MY_FLIGHTS_USER"', "", "project/missing-key", 19),
        ("[alerts.chat]", '[alerts."no name"]', "project/bad-name", 15),
        ('services = ["delay"]', 'services = ["delay"]\npassword = "x"', "project/unknown-key", 14),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, old: str, new: str, code: str, line: int) -> None:
    assert old in WHOLE
    with pytest.raises(BucleError) as caught:
        load_project_file(written(tmp_path, WHOLE.replace(old, new)))
    assert (caught.value.code, caught.value.where) == (code, f"{tmp_path / 'bucle.toml'}:{line}")


def test_there_are_not_more_routes_than_threads_can_serve(tmp_path: Path) -> None:
    many = "".join(f'[alerts.r{number}]\nkind = "webhook"\nurl = "http://h"\n' for number in range(51))
    with pytest.raises(BucleError, match="51"):
        load_project_file(written(tmp_path, f'[project]\nname = "x"\n{many}'))


@pytest.mark.parametrize("good", ["http://h", "https://h:8443/a?b=c", "http://[::1]:9093"])
def test_web_addresses(good: str) -> None:
    assert is_web_address(good)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "h",
        "ftp://h",
        "http://",
        "http://u@h",
        "http://h:99999",
        "http://h:0",
        "http://h/\r\nX: y",
        "http://h\\@i",
        "http://h#x",
        "http://é",
        "http://h/ x",
        "http://" + "h" * 3000,
        "gopher://h",
        "http:///x",
    ],
)
def test_what_is_no_web_address(bad: str) -> None:
    assert not is_web_address(bad)
