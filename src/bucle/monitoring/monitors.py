"""A monitor: what is watched of a service, and how seldom it may cry wolf."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import msgspec

from bucle.ledger import parse_duration
from bucle.monitoring.errors import BadMonitor
from bucle.project import Definition
from bucle.serving import Service


class MonitorSpec(msgspec.Struct, frozen=True):
    """What a monitor's definition says. Durations are in microseconds."""

    name: str
    service: str
    false_pages_per_month: float = 1.0
    window_us: int = 86_400_000_000
    max_age_us: int = 90 * 86_400_000_000
    slices: tuple[str, ...] = ()


class Monitor(Definition):
    """Watches a service: `bucle.Monitor(delay, false_pages_per_month=1)`.

    `window` is how much of the prediction log is judged at once, from a multiple of it to the next (UTC). `max_age` is the
    age of its training data from which a model counts as stale. `slices` are inputs by whose values performance is shown.
    A service without a monitor is watched with the defaults.
    """

    kind: ClassVar[str] = "monitor"

    def __init__(
        self,
        service: Service | str,
        *,
        false_pages_per_month: float = 1.0,
        window: str = "1d",
        max_age: str = "90d",
        slices: Sequence[str] = (),
        name: str | None = None,
    ) -> None:
        if name:
            self.bind(name)
        if not false_pages_per_month > 0:
            raise BadMonitor(reason="false_pages_per_month must be greater than 0", where=self.where)
        self.service = service
        self.false_pages_per_month = float(false_pages_per_month)
        self.window, self.max_age = parse_duration(window), parse_duration(max_age)
        if not self.window or not self.max_age:
            raise BadMonitor(reason="window and max_age must be longer than nothing", where=self.where)
        self.slices = tuple(slices)

    def spec(self) -> MonitorSpec:
        """Return what the server needs to know of this definition."""
        return MonitorSpec(
            self.required_name(),
            self.service if isinstance(self.service, str) else self.service.required_name(),
            self.false_pages_per_month,
            _microseconds(self.window),
            _microseconds(self.max_age),
            self.slices,
        )


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)
