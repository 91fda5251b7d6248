"""Service objectives: which share of the requests must be answered, or answered in time, over a rolling window (L-09)."""

import bisect
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from bucle.ledger import parse_duration
from bucle.project import declared_here
from bucle.serving.errors import BadObjective
from bucle.serving.traffic import BOUNDS

Indicator = Literal["availability", "latency"]

_SHORTEST, _LONGEST = timedelta(days=7), timedelta(days=90)


class ObjectiveSpec(msgspec.Struct, frozen=True):
    """What an objective says. `under` is in seconds; `bucket` is the first latency bucket that is too slow."""

    name: str
    indicator: Indicator
    target: float
    window_us: int
    under: float | None = None

    @property
    def bucket(self) -> int:
        """How many of the latency buckets certainly count as in time."""
        return 0 if self.under is None else bisect.bisect_right(BOUNDS, self.under)

    @property
    def counted_under(self) -> float | None:
        """The bound of the last bucket that is in time, in seconds: at most `under`, so that nothing slow counts as fast."""
        return None if self.under is None else BOUNDS[self.bucket - 1]


class Objective:
    """What a service promises: `bucle.Objective("availability", target=0.999)`, `("latency", target=0.99, under="50ms")`.

    `target` is the share of good requests, between 0 and 1. Availability: of the requests that were not refused by their own
    fault, those that were answered. Latency: of those that were answered, those within `under`. `window` (7 to 90 days) is the
    rolling time over which the error budget, `1 - target` of the requests, may be spent.
    """

    def __init__(
        self, indicator: Indicator, *, target: float, under: str | None = None, window: str = "30d", name: str | None = None
    ) -> None:
        file, line = declared_here()
        where = f"{file}:{line}"
        if indicator not in ("availability", "latency"):
            raise BadObjective(reason=f"there is no indicator {indicator!r}; there are availability and latency", where=where)
        if not 0 < target < 1:
            raise BadObjective(reason=f"target is a share between 0 and 1 (99.9 % is 0.999), not {target:g}", where=where)
        if (under is not None) != (indicator == "latency"):
            raise BadObjective(reason='latency, and only latency, needs under, such as under="50ms"', where=where)
        self.under = None if under is None else parse_duration(under)
        if self.under is not None and not BOUNDS[0] <= self.under.total_seconds() <= BOUNDS[-1]:
            raise BadObjective(reason=f"under lies between {BOUNDS[0] * 1000:g} ms and {BOUNDS[-1]:.0f} s", where=where)
        self.window = parse_duration(window)
        if not _SHORTEST <= self.window <= _LONGEST:
            raise BadObjective(reason="window lies between 7d and 90d", where=where)
        self.indicator, self.target = indicator, float(target)
        self.name = name or (indicator if under is None else f"{indicator} {under}")

    def spec(self) -> ObjectiveSpec:
        """Return what the server needs to know of it."""
        under = None if self.under is None else self.under.total_seconds()
        return ObjectiveSpec(self.name, self.indicator, self.target, self.window // timedelta(microseconds=1), under)


def objective_specs(objectives: Sequence[Objective], where: str) -> tuple[ObjectiveSpec, ...]:
    """Return the specs of a service's objectives. Raises `serving/bad-objective` where two have one name."""
    specs = tuple(each.spec() for each in objectives)
    if len({spec.name for spec in specs}) < len(specs):
        raise BadObjective(reason="two objectives of a service have one name", where=where)
    return specs
