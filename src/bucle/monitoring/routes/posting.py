"""A POST to a receiver: to a checked address, without following redirects or proxies, within limits of time and size."""

import http.client
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from bucle.monitoring.routes.addresses import NetworkPolicy, connect, untrusted
from bucle.monitoring.routes.deadline import CONNECT_SECONDS, TOTAL_SECONDS, deadline
from bucle.monitoring.routes.failures import SendFailed

_AGAIN = frozenset({408, 425, 429})
_LONGEST_WAIT = 3600


def post(url: str, body: bytes, headers: Mapping[str, str], policy: NetworkPolicy) -> str:
    """Send JSON and return what became of it. What is answered beyond the status is not read. Raises `SendFailed`."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    connection = (_Secure if secure else _Plain)(host, parts.port or (443 if secure else 80), policy)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    everything = {"Content-Type": "application/json", "User-Agent": "bucle", "Connection": "close", **headers}
    try:
        with deadline(lambda: connection.sock, TOTAL_SECONDS):
            connection.request("POST", target, body, everything)
            answer = connection.getresponse()
            answer.close()
    except ssl.SSLCertVerificationError as error:
        raise untrusted(host, error) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SendFailed(f"{host} did not answer: {type(error).__name__}") from None
    finally:
        connection.close()
    return _judged(host, answer.status, answer.headers.get("Retry-After", ""))


def _judged(host: str, status: int, retry_after: str) -> str:
    if 200 <= status < 300:
        return f"HTTP {status}"
    if 300 <= status < 400:
        raise SendFailed(f"{host} answered HTTP {status}; redirects are not followed", lasting=True)
    wait = min(float(retry_after), _LONGEST_WAIT) if retry_after.isascii() and retry_after.isdecimal() else None
    lasting = status < 500 and status not in _AGAIN
    raise SendFailed(f"{host} answered HTTP {status}", lasting=lasting, wait=wait)


class _Plain(http.client.HTTPConnection):
    """A connection that goes to a checked address of its host."""

    def __init__(self, host: str, port: int, policy: NetworkPolicy) -> None:
        super().__init__(host, port, timeout=CONNECT_SECONDS)
        self._policy = policy
        self.sock: socket.socket | None = None

    def connect(self) -> None:
        """Connect to a checked address."""
        self.sock = connect(self.host, self.port, self._policy, CONNECT_SECONDS)


class _Secure(_Plain):
    """The same with TLS; the certificate must be that of the host's name."""

    default_port = 443

    def connect(self) -> None:
        """Connect and shake hands; the socket is known before, so that the deadline can end a slow handshake."""
        super().connect()
        assert self.sock is not None
        wrapped = self._policy.tls().wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = wrapped
        wrapped.do_handshake()
