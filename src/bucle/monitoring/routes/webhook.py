"""Webhooks, signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com): HMAC-SHA256 of id, moment and body."""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

import msgspec

from bucle.monitoring.routes.addresses import NetworkPolicy
from bucle.monitoring.routes.failures import SendFailed
from bucle.monitoring.routes.notices import Notice
from bucle.monitoring.routes.posting import post

_PREFIX = "whsec_"


def send(url: str, secrets: Mapping[str, str], notice: Notice, page: str, policy: NetworkPolicy) -> str:
    """Post the notice as JSON; `secret` signs it, `token` is sent as a bearer token."""
    body = msgspec.json.encode({"type": f"alert.{notice.state}", "timestamp": notice.at, "data": notice, "page": page})
    headers = {"webhook-id": notice.delivery, "Idempotency-Key": notice.delivery}
    if "secret" in secrets:
        moment = str(int(time.time()))
        headers |= {"webhook-timestamp": moment, "webhook-signature": sign(secrets["secret"], notice.delivery, moment, body)}
    if "token" in secrets:
        headers["Authorization"] = f"Bearer {secrets['token']}"
    return post(url, body, headers, policy)


def sign(secret: str, id: str, moment: str, body: bytes) -> str:
    """Return the signature of a message. A secret that begins with `whsec_` is base64, any other is taken as it is."""
    key = secret.encode()
    if secret.startswith(_PREFIX):
        try:
            key = base64.b64decode(secret[len(_PREFIX) :], validate=True)
        except binascii.Error:
            raise SendFailed(f"the secret begins with {_PREFIX} but is not base64") from None
    digest = hmac.new(key, f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
