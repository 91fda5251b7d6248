"""What receivers are told about an alert, whatever the way it goes."""

from datetime import datetime
from urllib.parse import quote

import msgspec

from bucle.monitoring.alerts import AlertState

_LONGEST_NOTE = 1000


class Notice(msgspec.Struct, frozen=True):
    """A change of an alert. `delivery` is the same however often it is sent: receivers know by it what they have already.

    `fired` is of the home's clock; `began` and `at` are moments of the world: when it fired, and when this change happened.
    """

    delivery: str
    alert: str
    state: AlertState
    kind: str
    project: str
    environment: str
    service: str
    deployment: str
    feature: str
    sentence: str
    numbers: dict[str, float]
    fired: datetime
    began: datetime
    at: datetime
    actor: str
    note: str
    event: int
    test: bool = False

    @property
    def title(self) -> str:
        """State and place in a line."""
        mark = "test: " if self.test else ""
        about = f" ({self.feature})" if self.feature else ""
        return one_line(f"{mark}[{self.state}] {self.kind} of {self.service} in {self.project}/{self.environment}{about}")

    @property
    def follow_up(self) -> str:
        """Who acknowledged or resolved it, and what they said; empty for one that fires."""
        if self.state == "firing":
            return ""
        said = f": {self.note[:_LONGEST_NOTE]}" if self.note else ""
        return one_line(f"{self.state} by {self.actor}{said}")

    def page(self, url: str) -> str:
        """Return the address of its page, empty where nothing answers."""
        return f"{url}/projects/{quote(self.project, safe='')}/alerts#{self.alert}" if url else ""


def one_line(text: str) -> str:
    """Return a text without line ends and control characters: it may come from data and goes into headers."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
