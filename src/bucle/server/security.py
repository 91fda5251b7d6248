"""Who is let in: the Host allow-list, the checks against other sites' pages, tokens (security.md, classes 7 to 9)."""

import base64
import ipaddress
import socket
from binascii import Error as BadBase64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bucle.errors import BucleError
from bucle.identity import OWNER, BadToken, Principal, TokenMissing, authenticate
from bucle.ledger import Ledger
from bucle.server.errors import CrossSite, ForbiddenHost

if TYPE_CHECKING:
    from starlette.datastructures import Headers

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Guard:
    """What a server demands: which names it answers to, and whether a token is needed."""

    hosts: frozenset[str]
    any_address: bool
    tokens_required: bool

    def check_host(self, headers: "Headers") -> None:
        """Refuse a request whose Host names another site. Raises `server/forbidden-host`.

        An IP address cannot be rebound, so a server for other machines answers to any; names must be listed.
        """
        given = headers.getlist("host")
        name = _host_name(given[0]) if len(given) == 1 else ""
        if name not in self.hosts and not (self.any_address and _is_address(name)):
            raise ForbiddenHost(host=", ".join(given)[:100], where="header.Host")

    def check_origin(self, method: str, headers: "Headers", events: bool) -> None:
        """Refuse what a page of another origin makes a browser send. Raises `server/cross-site`.

        A link from elsewhere to a page is fine (a top-level navigation that changes nothing); all else must come from the
        server's own pages, or from a program, which sends neither header.
        """
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin not in (f"http://{headers['host']}", f"https://{headers['host']}"):
            raise CrossSite(where="header.Origin")
        followed_link = method in _SAFE and not events and headers.get("sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not (followed_link and headers.get("sec-fetch-dest") == "document"):
            raise CrossSite(where="header.Sec-Fetch-Site")

    def principal(self, ledger: Ledger, headers: "Headers") -> Principal:
        """Return who asks. Raises `identity/token-missing`, `identity/bad-token`, `identity/token-expired`."""
        header = headers.get("authorization")
        if header is not None:
            return authenticate(ledger, _token_in(header))
        if self.tokens_required:
            raise TokenMissing(where="header.Authorization")
        return OWNER


def is_known(ledger: Ledger, headers: "Headers") -> bool:
    """Return whether the token of a request that was let in is still good: a stream may outlive it."""
    header = headers.get("authorization")
    try:
        return header is None or authenticate(ledger, _token_in(header)) is not None
    except BucleError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def guard_for(host: str, allowed: tuple[str, ...] = (), require_token: bool = False) -> Guard:
    """Return what a server that listens on `host` demands: on loopback no token unless it is wished, elsewhere one."""
    named = frozenset(name.lower() for name in allowed)
    if is_loopback(host):
        return Guard(_LOOPBACK_NAMES | {host} | named, any_address=False, tokens_required=require_token)
    own = {host.lower(), socket.gethostname().lower()}
    return Guard(_LOOPBACK_NAMES | own | named, any_address=True, tokens_required=True)


def _host_name(header: str) -> str:
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.rpartition(":")[0] if name.count(":") == 1 else name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _token_in(header: str) -> str:
    """Return the token of `Bearer TOKEN`, or of `Basic` with the token as password (git and browsers ask for it so)."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (BadBase64, UnicodeDecodeError):
            pass
    raise BadToken(where="header.Authorization")
