"""A home, a deployed contract, and predictions put straight into the log."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from bucle.features import FrameColumn
from bucle.ledger import Home, Scope, acting, new_id, parse_instant, to_us
from bucle.serving import Candidate, Contract, Deployment, deploy
from bucle.serving.contract import Value
from bucle.serving.log import LoggedRequest, LoggedRow, PredictionLog

SCOPE = Scope("flights", "production")
NOON = parse_instant("2013-04-01T12:00:00Z")

CONTRACT = Contract(
    service="delay",
    key="flight_id",
    label="late",
    kind="probability",
    classes=(0, 1),
    threshold=0.5,
    time="scheduled_at",
    inputs=(
        FrameColumn("carrier", "category", None, ("AA", "UA")),
        FrameColumn("distance", "float"),
        FrameColumn("hour", "int"),
        FrameColumn("weekend", "bool"),
    ),
    views=(),
)


def candidate_of(version: int = 1, contract: Contract = CONTRACT) -> Candidate:
    return Candidate("delay", "delay", version, f"mv_{version}", "blake3:" + "0" * 64, "", "", "", "", contract)


@pytest.fixture
def candidate() -> Callable[[int], Candidate]:
    return candidate_of


@dataclass(frozen=True, slots=True)
class Bench:
    """What a test of the log and of labels needs."""

    home: Home
    log: PredictionLog
    deployment: Deployment

    def predict(self, key: str | None, as_of: datetime, output: float = 0.5, *, inputs: list[Value] | None = None) -> str:
        """Log one prediction as a service would, and return its id."""
        id = new_id("pred")
        row = LoggedRow(id, key, to_us(as_of), inputs or ["AA", 1.0, 1, False], output)
        self.log.append(logged_request(self.deployment, [row]))
        return id


def logged_request(deployment: Deployment, rows: list[LoggedRow], caller: str = "ana", client: str = "shop/1") -> LoggedRequest:
    return LoggedRequest(
        request=new_id("req"),
        project=deployment.project,
        environment=deployment.environment,
        service=deployment.service,
        deployment=deployment.id,
        model_version=deployment.candidate.model_version,
        event=deployment.event,
        caller=caller,
        client=client,
        store="online",
        at_us=1,
        rows=rows,
    )


@pytest.fixture
def request_of() -> Callable[..., LoggedRequest]:
    return logged_request


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Home.open(tmp_path / "home", replay_from=NOON)
    yield opened
    opened.close()


@pytest.fixture
def bench(home: Home) -> Iterator[Bench]:
    with acting("dev", "devops_engineer"), home.ledger.write() as tx:
        deployment = deploy(tx, SCOPE, candidate_of())
    log = PredictionLog(home.ledger, home.folder("spool"))
    yield Bench(home, log, deployment)
    log.close()
