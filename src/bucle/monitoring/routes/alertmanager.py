"""Prometheus Alertmanager, API v2: what fires is told again while it is open, since it keeps alerts in memory only."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from bucle.monitoring.routes.addresses import NetworkPolicy
from bucle.monitoring.routes.notices import Notice
from bucle.monitoring.routes.posting import post

AGAIN_SECONDS = 240.0
"""How often what is open is told again: Alertmanager's own clients must do so within its resolve_timeout (5 minutes)."""

_OPEN_FOR = timedelta(hours=24)
_TEST_FOR = timedelta(minutes=1)


def send(url: str, secrets: Mapping[str, str], notice: Notice, page: str, policy: NetworkPolicy) -> str:
    """Post the alert; one of a test ends by itself after a minute, one that fires after a day without word of it."""
    headers = {"Idempotency-Key": notice.delivery}
    if "token" in secrets:
        headers["Authorization"] = f"Bearer {secrets['token']}"
    now = datetime.fromtimestamp(time.time(), UTC)
    body = msgspec.json.encode([alert(notice, page, now)])
    base, question, query = url.partition("?")
    return post(f"{base.rstrip('/')}/api/v2/alerts{question}{query}", body, headers, policy)


def alert(notice: Notice, page: str, now: datetime) -> dict[str, object]:
    """Return the alert as `postableAlert` of the API's schema. Labels are its identity: they do not change with its state."""
    labels = {
        "alertname": f"bucle_{notice.kind}",
        "project": notice.project,
        "environment": notice.environment,
        "service": notice.service,
        "kind": notice.kind,
        "feature": notice.feature,
        "alert": notice.alert,
    }
    annotations = {"summary": notice.sentence, "state": notice.state, "follow_up": notice.follow_up, "page": page}
    ends = notice.at if notice.state == "resolved" else now + (_TEST_FOR if notice.test else _OPEN_FOR)
    document: dict[str, object] = {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": notice.began,
        "endsAt": max(ends, notice.began),
    }
    return document | ({"generatorURL": page} if page else {})
