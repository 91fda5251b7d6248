"""How a model version comes to answer in an environment, as bucle.toml declares it: at once, or tried beside the one before."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Strategy = Literal["all at once", "shadow", "canary", "shadow, canary"]
Mode = Literal["shadow", "canary"]

STRATEGIES: tuple[Strategy, ...] = ("all at once", "shadow", "canary", "shadow, canary")


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of a rollout: the new version answers for `share` percent of the keys, in shadow for none."""

    mode: Mode
    share: int


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """What a new version must show beside the one before, step by step, until all traffic is its own.

    `steps` are percents of the keys and end with 100. A step needs `requests` answers of the new version and lasts at least
    `hold`; shadow needs `labels` labelled pairs as well. A step that has not got there `within` its time ends the rollout:
    the version before keeps the traffic. Times are of the home's clock.
    """

    strategy: Strategy = "all at once"
    steps: tuple[int, ...] = (10, 50, 100)
    requests: int = 600
    labels: int = 300
    hold: timedelta = timedelta(0)
    within: timedelta = timedelta(days=14)

    @property
    def stages(self) -> tuple[Step, ...]:
        """The steps before all traffic, in their order; none when everything moves at once."""
        shadow = (Step("shadow", 0),) if self.strategy in ("shadow", "shadow, canary") else ()
        shares = self.steps if self.strategy in ("canary", "shadow, canary") else ()
        return (*shadow, *(Step("canary", share) for share in shares if share < 100))


ALL_AT_ONCE = RolloutPolicy()
"""The policy of an environment that declares none."""
