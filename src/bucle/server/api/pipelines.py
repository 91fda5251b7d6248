"""The runs of a house: they go on in the background and are taken up again when the server starts."""

from bucle.pipelines import Runs
from bucle.server.house import House
from bucle.server.routing import Route


def compose(house: House) -> None:
    """Put the runs in."""
    runs = Runs(house.home, house.artifacts, house.runners)
    house.add(runs)
    house.busy_while(runs.activity)
    house.on_start(lambda: _resume(runs))
    house.on_stop(runs.close)


def _resume(runs: Runs) -> None:
    runs.resume_interrupted()


ROUTES: list[Route] = []
