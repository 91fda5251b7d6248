"""Routes of the house itself: probes, OpenAPI, doctor, garbage, the projects that it holds."""

import os
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bucle.ledger import EventFilter, Subscription
from bucle.server.house import Finding, House
from bucle.server.routing import PUBLIC, Call, Route
from bucle.version import __version__

_STARTED = time.monotonic()
_LITTLE_SPACE = 1 << 30
_REMEMBERED = timedelta(days=7)


def compose(house: House) -> None:
    """Have the doctor look at the home's disk and at events that could not be delivered; forget what is long over."""
    _sweep(house)
    house.check_with(lambda: [_disk(house), _integrity(house), _deliveries(house)])
    house.on_start(lambda: _forget(house))
    house.subscribe(Subscription("server.forget", ("ledger.ticked",), lambda event: _forget(house)))


@dataclass(frozen=True, slots=True)
class Health:
    """That the server answers, and what it is; memory in bytes, uptime in seconds."""

    ok: bool
    version: str
    pid: int
    uptime: float
    memory: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether the server takes work, and what it is at."""

    ok: bool
    home: str
    events: int
    active: str | None


def health(call: Call) -> Health:
    """Return that the process answers."""
    return Health(True, __version__, os.getpid(), time.monotonic() - _STARTED, _resident_bytes())


def ready(call: Call) -> Ready:
    """Return that the ledger answers too."""
    return Ready(True, str(call.house.home.path), call.house.ledger.newest(), call.house.activity())


def doctor(call: Call) -> list[Finding]:
    """Return what every room's check of its own health says."""
    return call.house.examine()


def openapi(call: Call) -> dict[str, Any]:
    """Return the OpenAPI description of the native routes."""
    from bucle.server.app import route_table
    from bucle.server.openapi import describe

    return describe(route_table().routes)


def _sweep(house: House) -> None:
    """Remove the bodies of requests that a killed process left: this one alone holds the home, and has none yet."""
    for body in house.home.folder("tmp").glob("body-*"):
        body.unlink(missing_ok=True)


def _forget(house: House) -> None:
    """Drop the answers of requests that nobody sends again."""
    house.ledger.forget_requests(datetime.now(UTC) - _REMEMBERED)


def _disk(house: House) -> Finding:
    free = shutil.disk_usage(house.home.path).free
    fix = "Free some space: `bucle gc` removes what nothing refers to."
    return Finding("disk", free > _LITTLE_SPACE, f"{free / (1 << 30):.1f} GiB are free", "" if free > _LITTLE_SPACE else fix)


def _integrity(house: House) -> Finding:
    problems = house.ledger.check()
    fix = "Keep a copy of the home, then restore a backup from its folder `backups`."
    return Finding("ledger", not problems, "; ".join(problems) or "the database is whole", fix if problems else "")


def _deliveries(house: House) -> Finding:
    failed = house.ledger.events(EventFilter(kinds=("ledger.delivery_failed",), newest_first=True, limit=1))
    if not failed:
        return Finding("subscriptions", True, "every event was handled")
    detail = f"event {failed[0].data['event']} was not handled by {failed[0].data['subscription']}: {failed[0].data['reason']}"
    return Finding("subscriptions", False, detail, f"`bucle why {failed[0].seq}` shows it; `bucle logs` has the details.")


def _resident_bytes() -> int:
    """Return the process's resident memory; 0 where there is no /proc (only Linux has it)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no pathlib on the probe's path
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


ROUTES = [
    Route("GET", "/health", health, PUBLIC, "The process answers"),
    Route("GET", "/health/ready", ready, PUBLIC, "The ledger answers too"),
    Route("GET", "/api/v1/doctor", doctor, "ledger.read", "What every room says about its health"),
    Route("GET", "/api/v1/openapi.json", openapi, "ledger.read", "This description", reach="any"),
]
