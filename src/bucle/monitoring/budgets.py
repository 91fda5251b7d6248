"""Error budgets of service objectives: how much is left, and how fast it burns (L-09).

Source: "Alerting on SLOs" in Google's The Site Reliability Workbook: several windows, several burn rates.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from bucle.ledger import Reader, Scope, Transaction
from bucle.monitoring import store
from bucle.serving import ObjectiveSpec, Traffic, traffic_rows

Severity = Literal["fast", "slow"]
BudgetState = Literal["ok", "burning", "exhausted", "insufficient data"]

LEAST_BAD = 5
"""Bad requests in the long window below which nobody is alerted, whatever their share: one of ten is no trend."""

_MINUTE_US = 60_000_000
_KEPT_US = 91 * 86_400_000_000


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Alert when this share of the whole window's budget goes within `long`, and `short` says that it still does."""

    severity: Severity
    share: float
    long: timedelta
    short: timedelta

    def limit(self, window_us: int) -> float:
        """Return the burn rate from which it alerts: 14.4, 6 and 1 for 30 days. A rate of 1 spends the budget just in time."""
        return self.share * window_us / _us(self.long)


RULES = (
    BurnRule("fast", 0.02, timedelta(hours=1), timedelta(minutes=5)),
    BurnRule("fast", 0.05, timedelta(hours=6), timedelta(minutes=30)),
    BurnRule("slow", 0.10, timedelta(days=3), timedelta(hours=6)),
)


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast the budget went in a rule's two windows, in multiples of what the objective allows; None without requests.

    `calm` is that it does not burn, and that there were requests to see that by.
    """

    severity: Severity
    long: timedelta
    short: timedelta
    limit: float
    long_rate: float | None
    short_rate: float | None
    bad: int
    burning: bool
    calm: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """An objective, what its window's requests did to it, and what is left: `remaining` 1 is all, below 0 is broken.

    `requests` are those that count, `good` the share that was. Below one bad request's worth of budget nothing can be said:
    `state` is "insufficient data" and `remaining` None. `under` and `counted_under` (a bucket's bound) are in seconds.
    """

    name: str
    indicator: str
    target: float
    under: float | None
    counted_under: float | None
    window: timedelta
    requests: int
    bad: int
    good: float | None
    remaining: float | None
    state: BudgetState
    burns: tuple[Burn, ...]


class Tally:
    """Requests and bad ones of an objective by minute: what was rolled up before, and what came since."""

    def __init__(self, reader: Reader | Transaction, scope: Scope, service: str, objective: ObjectiveSpec, now_us: int) -> None:
        self._reader, self._until_us = reader, now_us + 1
        self._key = (scope.project, scope.environment, service, f"{objective.indicator} {objective.bucket}")
        row = reader.row(store.LAST_SLOT, self._key)
        last_us = now_us - _KEPT_US if row is None or row[0] is None else int(row[0])
        self._since_us = last_us // _MINUTE_US * _MINUTE_US
        self.fresh: dict[int, tuple[int, int]] = {}
        for at_us, traffic in traffic_rows(reader, scope, service, self._since_us, self._until_us):
            slot = at_us // _MINUTE_US * _MINUTE_US
            requests, bad = self.fresh.get(slot, (0, 0))
            more, worse = _counted(objective, traffic)
            self.fresh[slot] = (requests + more, bad + worse)

    def within(self, length_us: int) -> tuple[int, int]:
        """Return the requests and the bad ones of the last `length_us`, to the minute."""
        since_us = (self._until_us - length_us) // _MINUTE_US * _MINUTE_US
        row = self._reader.row(store.SUM_SLOTS, (*self._key, since_us, self._since_us))
        newer = [counts for slot, counts in self.fresh.items() if slot >= since_us]
        requests, bad = (int(row[0] or 0), int(row[1] or 0)) if row is not None else (0, 0)
        return requests + sum(each[0] for each in newer), bad + sum(each[1] for each in newer)

    def roll_up(self, tx: Transaction) -> None:
        """Keep what came, so that nobody has to read it again; forget what no window reaches."""
        tx.execute(store.FORGET_SLOTS, (*self._key, self._since_us, self._until_us - _KEPT_US))
        tx.execute_many(store.INSERT_SLOT, [(*self._key, slot, *counts) for slot, counts in self.fresh.items()])


def budget_of(objective: ObjectiveSpec, tally: Tally) -> Budget:
    """Return what is left of an objective's budget and how fast it goes."""
    requests, bad = tally.within(objective.window_us)
    allowed = round(requests * (1 - objective.target), 9)
    enough = allowed >= 1
    burns = tuple(_burn(rule, objective, tally) for rule in RULES if rule.limit(objective.window_us) >= 1)
    remaining = 1 - bad / allowed if enough else None
    state: BudgetState = "ok"
    if remaining is None:
        state = "insufficient data"
    elif remaining <= 0:
        state = "exhausted"
    elif any(burn.burning for burn in burns):
        state = "burning"
    return Budget(
        name=objective.name,
        indicator=objective.indicator,
        target=objective.target,
        under=objective.under,
        counted_under=objective.counted_under,
        window=timedelta(microseconds=objective.window_us),
        requests=requests,
        bad=bad,
        good=1 - bad / requests if requests else None,
        remaining=remaining,
        state=state,
        burns=burns,
    )


def _burn(rule: BurnRule, objective: ObjectiveSpec, tally: Tally) -> Burn:
    limit = rule.limit(objective.window_us)
    long_requests, long_bad = tally.within(_us(rule.long))
    short_requests, short_bad = tally.within(_us(rule.short))
    long, short = _rate(objective, long_requests, long_bad), _rate(objective, short_requests, short_bad)
    burning = long is not None and short is not None and long >= limit and short >= limit and long_bad >= LEAST_BAD
    calm = (short is not None and short < limit) or (long is not None and long < limit)
    return Burn(rule.severity, rule.long, rule.short, limit, long, short, long_bad, burning, calm)


def _rate(objective: ObjectiveSpec, requests: int, bad: int) -> float | None:
    return bad / requests / (1 - objective.target) if requests else None


def _counted(objective: ObjectiveSpec, traffic: Traffic) -> tuple[int, int]:
    if objective.indicator == "availability":
        return traffic.requests - traffic.refused, traffic.failed
    return sum(traffic.buckets), sum(traffic.buckets[objective.bucket :])


def _us(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
