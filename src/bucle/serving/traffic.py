"""What passes through a service: requests, refusals, latencies in fixed logarithmic buckets (L-21), for /metrics and pages."""

import bisect
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from bucle.ledger import Ledger, Reader, Scope, Transaction
from bucle.serving import store

BOUNDS: tuple[float, ...] = tuple(round(0.0001 * 2 ** (step / 4), 9) for step in range(73))
"""Upper bounds of the latency buckets in seconds: four for each doubling, from 0.1 ms to 26 s; a last bucket has no bound."""


@dataclass(slots=True)
class Traffic:
    """Counts of a service's requests; `buckets` counts answered requests by latency, `BOUNDS` says where buckets end.

    Refused: by a coded error of the request (4xx). Failed: for any other reason. Nonfinite: answers that were NaN or
    infinite. Unseen: values of a category that training never saw.
    """

    requests: int = 0
    predictions: int = 0
    refused: int = 0
    failed: int = 0
    nonfinite: int = 0
    unseen: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))

    def add(self, other: "Traffic") -> None:
        """Add the counts of another stretch."""
        self.requests += other.requests
        self.predictions += other.predictions
        self.refused += other.refused
        self.failed += other.failed
        self.nonfinite += other.nonfinite
        self.unseen += other.unseen
        self.seconds += other.seconds
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]

    def quantile(self, share: float) -> float | None:
        """Return the upper bound in seconds of the bucket that holds this share of the latencies, None without any."""
        total = sum(self.buckets)
        if not total:
            return None
        reached = 0
        for bound, count in zip(BOUNDS, self.buckets, strict=False):
            reached += count
            if reached >= share * total:
                return bound
        return float("inf")


class Meter:
    """Counts in memory since the process began, and what of that is not in the ledger yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since_start: dict[tuple[Scope, str], Traffic] = {}
        self._unsaved: dict[tuple[Scope, str], Traffic] = {}

    def answered(self, scope: Scope, service: str, rows: int, unseen: int, seconds: float) -> None:
        """Count a request that was answered."""
        bucket = bisect.bisect_left(BOUNDS, seconds)
        with self._lock:
            for traffic in self._of(scope, service):
                traffic.requests += 1
                traffic.predictions += rows
                traffic.unseen += unseen
                traffic.seconds += seconds
                traffic.buckets[bucket] += 1

    def refused(self, scope: Scope, service: str, *, by_request: bool, nonfinite: int = 0) -> None:
        """Count a request that got no prediction: by its own fault, or by another."""
        with self._lock:
            for traffic in self._of(scope, service):
                traffic.requests += 1
                traffic.refused += by_request
                traffic.failed += not by_request
                traffic.nonfinite += nonfinite

    def since_start(self) -> dict[tuple[Scope, str], Traffic]:
        """Return the counts of each service since the process began."""
        with self._lock:
            return {key: _copy(traffic) for key, traffic in self._since_start.items()}

    def save(self, ledger: Ledger, at_us: int) -> None:
        """Append what was counted since the last call to the ledger."""
        with self._lock:
            unsaved, self._unsaved = self._unsaved, {}
        if not unsaved:
            return
        with ledger.write() as tx:
            now = tx.clock.now_us()
            tx.execute_many(store.INSERT_TRAFFIC, [_row(*key, traffic, at_us, now) for key, traffic in unsaved.items()])

    def _of(self, scope: Scope, service: str) -> tuple[Traffic, Traffic]:
        key = (scope, service)
        return self._since_start.setdefault(key, Traffic()), self._unsaved.setdefault(key, Traffic())


def labels_between(reader: Reader | Transaction, scope: Scope, service: str, since_us: int, until_us: int) -> int:
    """Return how many labels came for a service from `since_us` on and before `until_us` of the home's clock."""
    row = reader.row(store.COUNT_LABELS, (scope.project, scope.environment, service, since_us, until_us))
    return int(row[0]) if row else 0


def traffic_between(reader: Reader | Transaction, scope: Scope, service: str, since_us: int, until_us: int) -> Traffic:
    """Return the counts of a service's requests from `since_us` on and before `until_us` of the home's clock."""
    total = Traffic()
    for _, traffic in traffic_rows(reader, scope, service, since_us, until_us):
        total.add(traffic)
    return total


def traffic_rows(
    reader: Reader | Transaction, scope: Scope, service: str, since_us: int, until_us: int
) -> Iterator[tuple[int, Traffic]]:
    """Yield what was counted of a service's requests, each with its moment on the home's clock (microseconds)."""
    for row in store.traffic_rows(reader, scope, service, since_us, until_us):
        seconds, buckets = msgspec.json.decode(row["buckets"], type=tuple[float, dict[int, int]])
        counts = [buckets.get(index, 0) for index in range(len(BOUNDS) + 1)]
        yield (
            row["as_of_us"],
            Traffic(
                row["requests"],
                row["predictions"],
                row["refused"],
                row["failed"],
                row["nonfinite"],
                row["unseen"],
                seconds,
                counts,
            ),
        )


def _copy(traffic: Traffic) -> Traffic:
    copy = Traffic()
    copy.add(traffic)
    return copy


def _row(scope: Scope, service: str, traffic: Traffic, at_us: int, now_us: int) -> Sequence[object]:
    filled = {index: count for index, count in enumerate(traffic.buckets) if count}
    return (
        scope.project,
        scope.environment,
        service,
        at_us,
        now_us,
        traffic.requests,
        traffic.predictions,
        traffic.refused,
        traffic.failed,
        traffic.nonfinite,
        traffic.unseen,
        msgspec.json.encode((traffic.seconds, filled)).decode(),
    )
