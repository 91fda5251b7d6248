"""How many requests each route answered, with which status, and how long they took (K-C9: serving and infrastructure)."""

import bisect
import threading
from dataclasses import dataclass

BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of the histogram's bins in seconds; one more bin is for what took longer."""


@dataclass(frozen=True, slots=True)
class RouteStatistics:
    """What a route did since the process began: requests, their seconds in sum and by bins of `BOUNDS`."""

    method: str
    path: str
    status: int
    requests: int
    seconds: float
    bins: tuple[int, ...]


class RequestStatistics:
    """Counts by method, route and status; some microseconds a request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bins: dict[tuple[str, str, int], list[int]] = {}
        self._seconds: dict[tuple[str, str, int], float] = {}

    def count(self, method: str, path: str, status: int, seconds: float) -> None:
        """Add one request; `path` is the route's pattern, so that names of users do not multiply the counts."""
        key = (method if path else "OTHER", path, status)
        with self._lock:
            bins = self._bins.setdefault(key, [0] * (len(BOUNDS) + 1))
            bins[bisect.bisect_left(BOUNDS, seconds)] += 1
            self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def read(self) -> list[RouteStatistics]:
        """Return the counts so far."""
        with self._lock:
            return [
                RouteStatistics(*key, sum(bins), self._seconds[key], tuple(bins)) for key, bins in sorted(self._bins.items())
            ]
