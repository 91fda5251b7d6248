"""What a rollout costs a request: CPU of the server's own part of a one-row prediction, without one, in canary and in shadow.

The model's child is left out (a stub answers at once), so that the server's part is seen. One thread asks, in this process.
"""

import dataclasses
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from bucle.features import FrameColumn
from bucle.ledger import Home, Scope, acting
from bucle.serving import Candidate, Contract, InferOrder, Inferred, Services, challenge, deploy, move_split

SCOPE = Scope("air", "production")
INPUTS = (FrameColumn("carrier", "category", None, ("AA", "UA")), FrameColumn("distance", "float"), FrameColumn("hour", "int"))
CONTRACT = Contract("delay", "flight_id", "late", "probability", (0, 1), 0.5, None, INPUTS, ())
CHAMPION = Candidate("delay", "delay", 1, "mv_1", "blake3:" + "0" * 64, "", "", "", "", CONTRACT)
CHALLENGER = dataclasses.replace(CHAMPION, version=2, model_version="mv_2", package="blake3:" + "1" * 64)


class Child:
    """Answers one half to everything."""

    pid = 1

    def call(self, entry: str, order: object, returns: type, *, timeout: float) -> Any:
        """Answer."""
        return Inferred([0.5] * len(order.vectors)) if isinstance(order, InferOrder) else None

    def kill(self) -> None:
        """End."""

    close = kill


def measure(what: str, services: Services, rounds: int = 9, requests: int = 2000) -> None:
    """Print the least and the median CPU of the asking thread."""
    spent = []
    for _ in range(rounds):
        began = time.thread_time()
        for number in range(requests):
            row = {"flight_id": f"f{number}", "carrier": "AA", "distance": 1.0, "hour": 1}
            services.predict(SCOPE, "delay", [row])
        spent.append((time.thread_time() - began) / requests * 1e6)
    print(f"{what:12} {min(spent):6.0f} us CPU at best, {sorted(spent)[rounds // 2]:6.0f} us in the median")


def main() -> None:
    """Measure without a rollout, in canary, in shadow."""
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(Path(folder) / "home")
        services = Services(home.ledger, Path(folder) / "spool", lambda candidate: Child(), spool_limit=1 << 30)  # type: ignore[return-value,arg-type]
        with acting("bench", "owner"), home.ledger.write() as tx:
            deploy(tx, SCOPE, CHAMPION)
        measure("no rollout", services)
        with acting("bench", "owner"), home.ledger.write() as tx:
            challenge(tx, SCOPE, CHALLENGER, "roll_1", "canary", 50)
        services.pool.warm(CHALLENGER)
        measure("canary 50 %", services)
        with home.ledger.write() as tx:
            move_split(tx, SCOPE, "delay", 1, "shadow", 0)
        measure("shadow", services)
        services.close()
        home.close()


if __name__ == "__main__":
    main()
