"""Routes over TLS, to real receivers with a certificate of an authority of our own: HTTPS, STARTTLS with a login, SMTPS."""

import ssl
from pathlib import Path

import pytest
from tests import live
from tests.monitoring.routes import receivers
from tests.monitoring.routes.receivers import Authority
from tests.monitoring.routes.test_courier import declared
from tests.monitoring.routes.test_receivers import HERE, NOTICE

from bucle.monitoring import LAPTOP, NetworkPolicy
from bucle.monitoring.routes.failures import SendFailed
from bucle.monitoring.routes.sending import send
from bucle.project import AlertRoute, Mail


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return receivers.authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def trusting(ours: Authority) -> NetworkPolicy:
    return NetworkPolicy(loopback=True, authorities=ours.pem)


def test_a_webhook_goes_over_https_to_whom_an_authority_of_the_operator_vouches_for(
    ours: Authority, trusting: NetworkPolicy
) -> None:
    with receivers.web(tls=ours.server) as receiver:
        route = AlertRoute("oncall", "webhook", f"{receiver.url}/hook")
        assert route.url.startswith("https://")
        with pytest.raises(SendFailed, match=r"certificate of 127\.0\.0\.1 is not trusted: .*--route-ca") as refused:
            send(route, NOTICE, HERE, LAPTOP)
        assert not refused.value.lasting and receiver.received == []
        assert send(route, NOTICE, HERE, trusting) == "HTTP 200"
    (got,) = receiver.received
    assert got.json["data"]["alert"] == NOTICE.alert


def test_a_certificate_of_another_name_is_refused_though_its_authority_is_trusted(tmp_path: Path) -> None:
    other = receivers.authority(tmp_path, "DNS:elsewhere.example.org")
    with receivers.web(tls=other.server) as receiver, pytest.raises(SendFailed, match="is not trusted: IP address mismatch"):
        send(AlertRoute("oncall", "webhook", receiver.url), NOTICE, HERE, NetworkPolicy(True, authorities=other.pem))
    assert receiver.received == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_is_handed_over_after_tls_and_a_login(
    ours: Authority, trusting: NetworkPolicy, security: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_USER", "bucle")
    monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_PASSWORD", "s3cret word")
    variables = {"user": "BUCLE_ALERTS_FLIGHTS_USER", "password": "BUCLE_ALERTS_FLIGHTS_PASSWORD"}
    with receivers.mail(ours.server, at_once=security == "tls") as receiver:
        mail = Mail("127.0.0.1", receiver.port, security, "bucle@a.org", ("x@a.org",))  # type: ignore[arg-type]
        route = AlertRoute("mail", "email", mail=mail, variables=variables)
        with pytest.raises(SendFailed, match="is not trusted"):
            send(route, NOTICE, HERE, LAPTOP)
        assert receiver.logins == [] and receiver.messages == []
        assert send(route, NOTICE, HERE, trusting) == "handed over"
    assert receiver.logins == [("bucle", "s3cret word")]
    assert receiver.messages[0]["Message-ID"] == "<del_1@bucle>"
    assert receiver.verbs.index("AUTH") < receiver.verbs.index("MAIL")
    assert ("STARTTLS" in receiver.verbs) is (security == "starttls")


def test_a_wrong_login_is_no_reason_to_try_again(
    ours: Authority, trusting: NetworkPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("USER", "PASSWORD"):
        monkeypatch.setenv(f"BUCLE_ALERTS_FLIGHTS_{name}", "x")
    variables = {"user": "BUCLE_ALERTS_FLIGHTS_USER", "password": "BUCLE_ALERTS_FLIGHTS_PASSWORD"}
    with receivers.mail(ours.server, AUTH="535 who are you") as receiver:
        mail = Mail("127.0.0.1", receiver.port, "starttls", "bucle@a.org", ("x@a.org",))
        with pytest.raises(SendFailed, match=r"refused it \(SMTP 535\)") as refused:
            send(AlertRoute("mail", "email", mail=mail, variables=variables), NOTICE, HERE, trusting)
    assert refused.value.lasting and receiver.messages == []


def test_a_server_sends_with_the_authority_and_the_address_that_its_operator_names(ours: Authority, tmp_path: Path) -> None:
    with receivers.web(tls=ours.server) as receiver:
        home = declared(tmp_path / "flights", receiver)
        home.close()
        words = ("alerts", "test", "oncall", "--home", home.path, "--project", "flights")
        with live.up(home.path):
            assert "is not trusted" in live.bucle(*words).stderr
        with live.up(home.path, "--route-ca", ours.file, "--public-url", "https://loop.example.org/"):
            done = live.bucle(*words)
            assert (done.returncode, done.stdout) == (0, "oncall took the test alert (HTTP 200)\n"), done.stderr
    assert receiver.received[0].json["page"].startswith("https://loop.example.org/projects/flights/alerts#")


@pytest.mark.parametrize(
    "words", [("--public-url", "loop.example.org"), ("--public-url", "http://x/?y"), ("--route-ca", __file__)]
)
def test_what_is_no_address_and_no_certificate_is_refused_at_once(words: tuple[str, str], tmp_path: Path) -> None:
    said = live.bucle("up", "--home", tmp_path / "home", *words)
    assert said.returncode == 2 and words[0] in said.stderr and not (tmp_path / "home").exists()


def test_without_an_authority_of_the_operator_only_the_systems_are_trusted() -> None:
    context = LAPTOP.tls()
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
