"""What a service must bear in an environment, as bucle.toml declares it: the load test's terms."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadTerms:
    """Requests come `rate` times a second; 99 of 100 are to be answered within `p99_ms`, counted from when they were due.

    `growth_kb` is by how much a request may let the model's process grow once it is warm.
    """

    rate: int = 50
    p99_ms: int = 250
    growth_kb: int = 4


USUAL_LOAD = LoadTerms()
"""The terms of an environment that declares none."""

MOST_REQUESTS = 500
"""Requests a second that a load test can send: above, what it measures is the machine that sends."""
