"""Each kind of route, sent to a real receiver on this machine."""

import base64
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.monitoring.routes import receivers

from bucle.monitoring import LAPTOP
from bucle.monitoring.routes import slack
from bucle.monitoring.routes.failures import SendFailed
from bucle.monitoring.routes.notices import Notice
from bucle.monitoring.routes.sending import missing_variables, send
from bucle.project import AlertRoute, Mail

NOW = datetime.now(UTC).replace(microsecond=0)
NOTICE = Notice(
    delivery="del_1",
    alert="alert_1",
    state="firing",
    kind="drift",
    project="flights",
    environment="production",
    service="delay",
    deployment="dep_1",
    feature="wind",
    sentence="wind has not looked like training for some windows.",
    numbers={"distance": 1.0},
    fired=NOW,
    began=NOW,
    at=NOW,
    actor="system",
    note="",
    event=7,
)
HERE = "http://127.0.0.1:7070"


def test_a_webhook_is_signed_over_id_moment_and_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_KEY", "a secret")
    monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_TOKEN", "t0ken")
    variables = {"secret": "BUCLE_ALERTS_FLIGHTS_KEY", "token": "BUCLE_ALERTS_FLIGHTS_TOKEN"}
    with receivers.web() as receiver:
        route = AlertRoute("oncall", "webhook", f"{receiver.url}/hook?room=1", variables=variables)
        assert send(route, NOTICE, HERE, LAPTOP) == "HTTP 200"
        (got,) = receiver.received
    assert got.path == "/hook?room=1"
    assert got.headers["webhook-id"] == got.headers["Idempotency-Key"] == "del_1"
    assert got.headers["Authorization"] == "Bearer t0ken"
    moment = got.headers["webhook-timestamp"]
    assert abs(int(moment) - time.time()) < 60
    signed = f"del_1.{moment}.".encode() + got.body
    expected = base64.b64encode(hmac.new(b"a secret", signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    assert got.json["type"] == "alert.firing"
    assert got.json["data"]["sentence"] == NOTICE.sentence
    assert got.json["page"] == f"{HERE}/projects/flights/alerts#alert_1"
    assert b"secret" not in got.body and b"t0ken" not in got.body


def test_a_secret_of_standard_webhooks_is_base64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_KEY", "whsec_" + base64.b64encode(b"key").decode())
    route = AlertRoute("oncall", "webhook", "", variables={"secret": "BUCLE_ALERTS_FLIGHTS_KEY"})
    with receivers.web() as receiver:
        send(replace(route, url=receiver.url), NOTICE, "", LAPTOP)
        (got,) = receiver.received
    signed = f"del_1.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = base64.b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"
    monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_KEY", "whsec_!")
    with pytest.raises(SendFailed, match="not base64"):
        send(replace(route, url="http://127.0.0.1:9"), NOTICE, "", LAPTOP)


def test_slack_gets_a_text_and_blocks_in_which_data_cannot_mention_or_link(monkeypatch: pytest.MonkeyPatch) -> None:
    with receivers.web() as receiver:
        monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_SLACK", f"{receiver.url}/services/T0/B0/x")
        route = AlertRoute("chat", "slack", variables={"url": "BUCLE_ALERTS_FLIGHTS_SLACK"})
        noted = msgspec.structs.replace(NOTICE, state="acknowledged", actor="dora", note="<!channel> <http://evil|x> &")
        assert send(route, noted, HERE, LAPTOP) == "HTTP 200"
        (got,) = receiver.received
    assert got.path == "/services/T0/B0/x"
    message = got.json
    assert message["text"] == "[acknowledged] drift of delay in flights/production (wind)"
    text = message["blocks"][0]["text"]
    assert text["type"] == "mrkdwn"
    assert "acknowledged by dora: &lt;!channel&gt; &lt;http://evil|x&gt; &amp;" in text["text"]
    assert text["text"].endswith(f"<{HERE}/projects/flights/alerts#alert_1|the alert>")
    long = msgspec.structs.replace(NOTICE, sentence="x" * 9000)
    assert len(slack.message(long, HERE)["blocks"][0]["text"]["text"]) <= 3000, "Slack's limit"  # type: ignore[index]


def test_a_mail_has_the_delivery_as_its_id_and_hangs_together_with_those_of_its_alert() -> None:
    with receivers.mail() as receiver:
        route = AlertRoute(
            "mail", "email", mail=Mail("127.0.0.1", receiver.port, "none", "bucle@a.org", ("x@a.org", "y@a.org"))
        )
        nasty = msgspec.structs.replace(NOTICE, feature="wind\r\nBcc: z@a.org")
        assert send(route, nasty, HERE, LAPTOP) == "handed over"
    assert receiver.envelopes == [("<bucle@a.org>", ["<x@a.org>", "<y@a.org>"])]
    (got,) = receiver.messages
    assert got["Message-ID"] == "<del_1@bucle>"
    assert got["References"] == "<alert_1@bucle>"
    assert got["Subject"] == "[firing] drift of delay in flights/production (wind Bcc: z@a.org)"
    assert got["Bcc"] is None
    text = got.get_payload()
    assert isinstance(text, str)
    assert NOTICE.sentence in text and f"{HERE}/projects/flights/alerts#alert_1" in text


@pytest.mark.parametrize(
    ("replies", "reason", "lasting"),
    [
        ({"RCPT": "550 no such mailbox"}, r"refused every recipient \(SMTP 550\)", True),
        ({"RCPT": "451 later"}, r"refused every recipient \(SMTP 451\)", False),
        ({"MAIL": "421 busy"}, r"refused it \(SMTP 421\)", False),
        ({"DATA": "554 no"}, r"refused it \(SMTP 554\)", True),
    ],
)
def test_what_a_mail_server_says_decides_whether_it_is_tried_again(replies: dict[str, str], reason: str, lasting: bool) -> None:
    with receivers.mail(**replies) as receiver:
        route = AlertRoute("mail", "email", mail=Mail("127.0.0.1", receiver.port, "none", "bucle@a.org", ("x@a.org",)))
        with pytest.raises(SendFailed, match=reason) as caught:
            send(route, NOTICE, HERE, LAPTOP)
    assert caught.value.lasting is lasting


def test_a_password_is_never_sent_to_a_mail_server_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "PASSWORD"):
        monkeypatch.setenv(f"BUCLE_ALERTS_FLIGHTS_{name}", "x")
    variables = {"user": "BUCLE_ALERTS_FLIGHTS_USER", "password": "BUCLE_ALERTS_FLIGHTS_PASSWORD"}
    with receivers.mail() as receiver:
        mail = Mail("127.0.0.1", receiver.port, "starttls", "bucle@a.org", ("x@a.org",))
        with pytest.raises(SendFailed, match="offers no TLS"):
            send(AlertRoute("mail", "email", mail=mail, variables=variables), NOTICE, HERE, LAPTOP)
    assert "AUTH" not in receiver.verbs and "MAIL" not in receiver.verbs


@pytest.mark.parametrize(
    ("status", "lasting"), [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True), (302, True)]
)
def test_what_a_web_server_answers_decides_whether_it_is_tried_again(status: int, lasting: bool) -> None:
    with receivers.web() as elsewhere, receivers.web(status) as receiver:
        receiver.headers = {"Retry-After": "7", "Location": elsewhere.url}
        with pytest.raises(SendFailed, match=f"HTTP {status}") as caught:
            send(AlertRoute("oncall", "webhook", receiver.url), NOTICE, HERE, LAPTOP)
        assert elsewhere.received == [], "a redirect is not followed"
    assert caught.value.lasting is lasting
    assert caught.value.wait == (None if 300 <= status < 400 else 7)


def test_a_variable_that_the_server_lacks_is_named_and_what_it_holds_never_is(monkeypatch: pytest.MonkeyPatch) -> None:
    route = AlertRoute("chat", "slack", variables={"url": "BUCLE_ALERTS_FLIGHTS_SLACK"})
    assert missing_variables(route) == ["BUCLE_ALERTS_FLIGHTS_SLACK"]
    with pytest.raises(SendFailed, match="lacks BUCLE_ALERTS_FLIGHTS_SLACK") as caught:
        send(route, NOTICE, HERE, LAPTOP)
    assert not caught.value.lasting, "an operator can still give it"
    monkeypatch.setenv("BUCLE_ALERTS_FLIGHTS_SLACK", "not-an-address-but-secret")
    with pytest.raises(SendFailed) as caught:
        send(route, NOTICE, HERE, LAPTOP)
    assert "but-secret" not in caught.value.reason


def alertmanager_program() -> str:
    """Return the real Alertmanager; it is Debian's package prometheus-alertmanager."""
    found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert found, "no Alertmanager here: install the system package prometheus-alertmanager"
    return found


@pytest.mark.slow
def test_a_real_alertmanager_takes_fires_and_resolves_an_alert(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "config.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    words = [alertmanager_program(), f"--config.file={config}", f"--storage.path={tmp_path}", "--cluster.listen-address="]
    with subprocess.Popen(
        [*words, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            _until(lambda: _answers(f"{url}/-/ready"))
            route = AlertRoute("am", "alertmanager", url)
            assert send(route, NOTICE, HERE, LAPTOP) == "HTTP 200"
            assert send(route, NOTICE, HERE, LAPTOP) == "HTTP 200", "told again, it is still the same alert"
            (held,) = json.loads(_read(f"{url}/api/v2/alerts"))
            assert held["status"]["state"] in ("active", "unprocessed")
            assert held["labels"] == {
                "alertname": "bucle_drift",
                "project": "flights",
                "environment": "production",
                "service": "delay",
                "kind": "drift",
                "feature": "wind",
                "alert": "alert_1",
            }
            assert held["annotations"]["summary"] == NOTICE.sentence
            assert held["generatorURL"] == f"{HERE}/projects/flights/alerts#alert_1"
            assert datetime.fromisoformat(held["endsAt"]) > datetime.now(UTC)
            resolved = msgspec.structs.replace(NOTICE, state="resolved", delivery="del_2", at=datetime.now(UTC))
            assert send(route, resolved, HERE, LAPTOP) == "HTTP 200"
            _until(lambda: json.loads(_read(f"{url}/api/v2/alerts")) == [])
        finally:
            process.terminate()


def test_an_alert_for_alertmanager_has_the_form_of_its_schema() -> None:
    """What `postableAlert` of api/v2/openapi.yaml demands: labels and annotations are texts, moments are RFC 3339."""
    with receivers.web() as receiver:
        send(AlertRoute("am", "alertmanager", f"{receiver.url}/am/"), NOTICE, HERE, LAPTOP)
        send(AlertRoute("am", "alertmanager", receiver.url), msgspec.structs.replace(NOTICE, state="resolved"), "", LAPTOP)
        first, second = receiver.received
    assert (first.path, second.path) == ("/am/api/v2/alerts", "/api/v2/alerts")
    (fires,), (resolved,) = first.json, second.json
    assert set(fires) == {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
    assert all(isinstance(value, str) for part in ("labels", "annotations") for value in fires[part].values())
    assert fires["labels"] == resolved["labels"], "labels are the identity: else it would never be resolved"
    began, ends = (datetime.fromisoformat(fires[name]) for name in ("startsAt", "endsAt"))
    assert began == NOW < ends
    assert datetime.fromisoformat(resolved["endsAt"]) == NOW


def test_a_receiver_that_never_ends_its_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte now and then outlasts any timeout of a read; the conversation as a whole has an end."""
    monkeypatch.setattr("bucle.monitoring.routes.posting.TOTAL_SECONDS", 0.5)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not stop.wait(0.05):
                    try:
                        connection.send(b"H")
                    except OSError:
                        return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            with pytest.raises(SendFailed, match="did not answer") as caught:
                send(AlertRoute("x", "webhook", f"http://127.0.0.1:{listener.getsockname()[1]}"), NOTICE, "", LAPTOP)
        finally:
            stop.set()
            dripping.join()
    assert not caught.value.lasting


def _read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: bytes = answer.read()
    return body


def _answers(url: str) -> bool:
    try:
        return bool(_read(url)) or True
    except OSError:
        return False


def _until(condition: object) -> None:
    assert callable(condition)
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass")
