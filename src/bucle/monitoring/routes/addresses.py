"""The way out: a connection to a receiver that was declared by whoever may push, so its address is not trusted (CVE-2023-6974).

The name is resolved once, every address that it has is checked, and the connection goes to a checked address itself: a name
that resolves to another address a moment later (rebinding) changes nothing.
"""

import ipaddress
import socket
import ssl
from dataclasses import dataclass

from bucle.monitoring.routes.failures import SendFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """Which addresses routes may reach besides those of the public internet: the server's own word, never the project's.

    `authorities` are certificates (PEM) that are trusted besides the system's.
    """

    loopback: bool = False
    networks: tuple[Network, ...] = ()
    authorities: str = ""

    def tls(self) -> ssl.SSLContext:
        """Return how connections are secured: the certificate must be that of the host's name, by a trusted authority."""
        context = ssl.create_default_context()
        if self.authorities:
            context.load_verify_locations(cadata=self.authorities)
        return context

    def allows(self, address: Address) -> bool:
        """Whether a connection to the address may be made."""
        meant = _meant(address)
        if any(each in allowed for each in (address, meant) for allowed in self.networks if each.version == allowed.version):
            return True
        if meant.is_loopback:
            return self.loopback
        return meant.is_global and not (meant.is_multicast or meant.is_reserved or meant.is_link_local)


LAPTOP = NetworkPolicy(loopback=True)
"""A server that only its own machine reaches, without tokens: who declares routes there is who sits before it."""


def network(text: str) -> Network:
    """Return the network that an operator names: `10.1.0.0/16`, `192.168.1.7`. Raises ValueError."""
    return ipaddress.ip_network(text.strip("[]"))


def untrusted(host: str, error: ssl.SSLCertVerificationError) -> SendFailed:
    """Return that a receiver's certificate is not trusted, and what an operator can do."""
    advice = "`bucle up --route-ca FILE` trusts an authority of your own"
    return SendFailed(f"the certificate of {host} is not trusted: {error.verify_message}; {advice}")


def connect(host: str, port: int, policy: NetworkPolicy, seconds: float) -> socket.socket:
    """Return a connection to a receiver. Raises `SendFailed` where it has an address that is not allowed, or none answers."""
    failure = "it has no address"
    for family, kind, protocol, _, where in _checked(host, port, policy):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(seconds)
            connection.connect(where)
        except OSError as error:
            connection.close()
            failure = error.strerror or str(error)
            continue
        return connection
    raise SendFailed(f"no connection to {host}:{port}: {failure}")


def _checked(host: str, port: int, policy: NetworkPolicy) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise SendFailed(f"the name {host!r} cannot be resolved: {error}") from None
    for *_, where in found:
        address = ipaddress.ip_address(str(where[0]))
        if not policy.allows(address):
            reason = f"{host} is {address}, which is not on the public internet; `bucle up --allow-route {address}` lets routes"
            raise SendFailed(f"{reason} reach it", lasting=True)
    return [(int(family), int(kind), protocol, name, where) for family, kind, protocol, name, where in found]


def _meant(address: Address) -> Address:
    """Return the address that is reached in the end: IPv6 has several ways to write an IPv4 address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
