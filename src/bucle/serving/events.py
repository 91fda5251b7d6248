"""What serving tells the other rooms."""

from dataclasses import dataclass
from datetime import datetime

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class Deployed(Event, kind="serving.deployed", version=1):
    """A model version answers for a service from now on; `replaced` is the deployment that did until now, or empty.

    Strategy: "replace", "rollback" or "rollout" (it came through one); `number` is that of the model version. The subject is
    the deployment.
    """

    deployment: str
    service: str
    model: str
    number: int
    model_version: str
    release: str
    runtime: str
    strategy: str
    replaced: str


@dataclass(frozen=True, slots=True)
class ChallengerDeployed(Event, kind="serving.challenger_deployed", version=1):
    """A model version takes part in a service beside the `champion` that answers it, because of a rollout.

    The subject is the challenger's deployment; `number` is that of its model version.
    """

    deployment: str
    service: str
    model: str
    number: int
    model_version: str
    release: str
    runtime: str
    champion: str
    rollout: str


@dataclass(frozen=True, slots=True)
class ChallengerWithdrawn(Event, kind="serving.challenger_withdrawn", version=1):
    """A challenger takes part no longer; what answered before has all requests. The subject is its deployment."""

    deployment: str
    service: str


@dataclass(frozen=True, slots=True)
class Withdrawn(Event, kind="serving.withdrawn", version=1):
    """A service answers no longer in this environment. The subject is the deployment that did."""

    deployment: str
    service: str


@dataclass(frozen=True, slots=True)
class PredictionsLogged(Event, kind="serving.predictions_logged", version=1):
    """A stretch of the prediction log of one deployment is in the ledger; `store` is where its features came from.

    `first` and `last` are prediction ids, `since` and `until` moments of the home's clock. The subject is the deployment.
    """

    deployment: str
    service: str
    model_version: str
    store: str
    first: str
    last: str
    count: int
    requests: int
    since: datetime
    until: datetime
    callers: tuple[str, ...]
    clients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelsRecorded(Event, kind="serving.labels_recorded", version=1):
    """Outcomes became known for predictions of a service; `repeated` were known already and say the same."""

    service: str
    count: int
    repeated: int
    corrected: int
    first_observed: datetime
    last_observed: datetime


@dataclass(frozen=True, slots=True)
class LabelCorrected(Event, kind="serving.label_corrected", version=1):
    """A label was replaced by another on its sender's explicit word. The subject is the prediction."""

    service: str
    prediction: str
    old: float
    new: float
    observed: datetime


@dataclass(frozen=True, slots=True)
class PredictionsRead(Event, kind="serving.predictions_read", version=1):
    """Somebody read stored predictions of a service for the first time on this day of the home's clock (S-03).

    `reader` is the principal, `client` the name that its program gives itself. The subject is the service.
    """

    service: str
    reader: str
    client: str
    day: datetime
