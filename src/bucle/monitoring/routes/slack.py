"""Slack's incoming webhooks: a text for notifications, blocks for the channel. Mattermost and others take the text."""

import msgspec

from bucle.monitoring.routes.addresses import NetworkPolicy
from bucle.monitoring.routes.notices import Notice
from bucle.monitoring.routes.posting import post

_LONGEST = 2900


def send(url: str, notice: Notice, page: str, policy: NetworkPolicy) -> str:
    """Post the notice as a message."""
    return post(url, msgspec.json.encode(message(notice, page)), {"Idempotency-Key": notice.delivery}, policy)


def message(notice: Notice, page: str) -> dict[str, object]:
    """Return the message; what comes from data is escaped, so that it neither links nor mentions anybody."""
    lines = [f"*{_plain(notice.title)}*", _plain(notice.sentence), _plain(notice.follow_up)]
    text = "\n".join(line for line in lines if line)[:_LONGEST]
    if page:
        text += f"\n<{page}|the alert>"
    return {"text": _plain(notice.title), "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]}


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
