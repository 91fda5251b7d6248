"""Where routes may lead (security.md, class 6): the address that a name has is checked, and that address is connected to."""

import ipaddress
import socket

import pytest
from tests.monitoring.routes import receivers
from tests.monitoring.routes.test_receivers import NOTICE

from bucle.monitoring import LAPTOP, NetworkPolicy, network
from bucle.monitoring.routes.failures import SendFailed
from bucle.monitoring.routes.sending import send
from bucle.project import AlertRoute, Mail

SERVER = NetworkPolicy()
INSIDE = [
    "127.0.0.1",
    "127.8.9.1",
    "10.0.0.7",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "::127.0.0.1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_not_on_the_public_internet_is_refused(address: str) -> None:
    assert not SERVER.allows(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_the_public_internet_is_allowed(address: str) -> None:
    assert SERVER.allows(ipaddress.ip_address(address))


def test_a_laptop_reaches_itself_and_nothing_else_inside() -> None:
    allowed = {address for address in INSIDE if LAPTOP.allows(ipaddress.ip_address(address))}
    assert allowed == {"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"}


def test_an_operator_allows_single_networks() -> None:
    policy = NetworkPolicy(networks=(network("10.1.0.0/16"), network("fd00::5")))
    allowed = ("10.1.2.3", "::ffff:10.1.2.3", "fd00::5")
    assert all(policy.allows(ipaddress.ip_address(each)) for each in allowed)
    assert not any(policy.allows(ipaddress.ip_address(each)) for each in ("10.2.0.1", "fd00::6", "127.0.0.1"))
    with pytest.raises(ValueError):
        network("somewhere")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_no_way_of_writing_loopback_gets_through(host: str) -> None:
    with receivers.web() as receiver:
        with pytest.raises(SendFailed) as caught:
            send(AlertRoute("x", "webhook", f"http://{host}:{receiver.port}"), NOTICE, "", SERVER)
        assert receiver.received == []
    assert "not on the public internet" in caught.value.reason or "cannot be resolved" in caught.value.reason


def test_mail_servers_are_checked_too() -> None:
    with receivers.mail() as receiver:
        route = AlertRoute("x", "email", mail=Mail("localhost", receiver.port, "none", "a@b.org", ("c@d.org",)))
        with pytest.raises(SendFailed, match="not on the public internet") as caught:
            send(route, NOTICE, "", SERVER)
    assert caught.value.lasting
    assert receiver.verbs == []


def test_a_name_is_resolved_once_and_that_answer_is_both_checked_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers with a public address first and with loopback when it is asked again (rebinding) gains nothing."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, *rest: object, **more: object) -> object:
        asked.append(host)
        return real("127.0.0.1" if len(asked) > 1 else "127.0.0.9", port, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    only_first = NetworkPolicy(networks=(network("127.0.0.9"),))
    with receivers.web() as receiver:
        with pytest.raises(SendFailed, match="no connection"):  # the receiver listens on 127.0.0.1, which was never asked for
            send(AlertRoute("x", "webhook", f"http://rebind.test:{receiver.port}"), NOTICE, "", only_first)
        assert receiver.received == []
    assert asked == ["rebind.test"]


def test_a_name_with_one_address_inside_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    mixed = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: mixed)
    with pytest.raises(SendFailed, match=r"10\.0\.0\.1") as caught:
        send(AlertRoute("x", "webhook", "http://mixed.test"), NOTICE, "", SERVER)
    assert caught.value.lasting


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receivers.web() as proxy, receivers.web() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        send(AlertRoute("x", "webhook", receiver.url), NOTICE, "", LAPTOP)
        assert (len(receiver.received), proxy.received) == (1, [])
