"""What an engine promises."""

from collections.abc import Collection
from typing import Protocol

from bucle.pipelines.orders import WorkOrder


class Engine(Protocol):
    """Executes orders somewhere and delivers each one's result to the coordinator that it was made for.

    An order may be executed more than once (a worker that was thought dead): the coordinator commits one result.
    """

    name: str

    def submit(self, order: WorkOrder, delay: float = 0.0) -> None:
        """Take an order, to be started after `delay` seconds at the earliest. Returns at once."""

    def cancel(self, steps: Collection[str]) -> None:
        """Stop whatever is done for these step ids; kill what runs."""

    def capacity(self) -> int:
        """How many orders of one core run at once."""

    def close(self) -> None:
        """Stop everything; nothing is delivered any more."""

    def join(self, seconds: float) -> None:
        """Wait until what is being delivered has been, at most so long."""
