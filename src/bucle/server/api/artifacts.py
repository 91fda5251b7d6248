"""Routes of artifacts: removing what nothing refers to. Content goes in and out through the rooms that refer to it."""

from bucle.artifacts import ArtifactStore, GarbageReport, collect_garbage
from bucle.ledger import parse_duration
from bucle.server.house import House
from bucle.server.routing import Body, Call, Route, act_again


def compose(house: House) -> None:
    """Put the home's artifact store in."""
    house.add(ArtifactStore(house.home.folder("artifacts")))


class Collect(Body, frozen=True):
    """How long ago something must have been put to be garbage; younger things may be about to be referred to."""

    grace: str = "24h"


def collect(call: Call) -> GarbageReport:
    """Remove what nothing refers to."""
    return collect_garbage(call.house.home, parse_duration(call.body.grace).total_seconds())


ROUTES = [
    Route(
        "POST", "/api/v1/gc", collect, "artifacts.write", "Remove artifacts that nothing refers to", Collect, recall=act_again
    )
]
