"""The prediction log as it is read: single predictions, the newest ones, who called."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bucle.ledger import Reader, Row, Scope, from_us
from bucle.serving import store
from bucle.serving.contract import Value

_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """A prediction in the ledger with its label, if one came. `event` is the deployment's seq, `logged` the log entry's.

    `inputs` are the values of the signature's columns in their order; `at` is database time, `as_of` the home's clock.
    """

    id: str
    project: str
    environment: str
    service: str
    deployment: str
    model_version: str
    key: str | None
    request: str
    caller: str
    client: str
    store: str
    at: datetime
    as_of: datetime
    inputs: list[Value]
    output: float
    label: float | None
    observed: datetime | None
    event: int
    logged: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked a service, by which declared client, how often (S-03)."""

    caller: str
    client: str
    predictions: int
    requests: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Use:
    """What somebody did with a service: "asks" for predictions, sends "labels", "reads" stored predictions (S-03).

    `last` is None for asking: the moment is that of `event`, the newest entry in the ledger that shows it.
    """

    use: str
    name: str
    client: str
    predictions: int
    requests: int
    last: datetime | None
    event: int


def uses_since(reader: Reader, scope: Scope, service: str, since_us: int) -> list[Use]:
    """Return who used a service since a moment of the home's clock; what is in the ledger, so flush before."""
    before = reader.row(store.SELECT_LAST_LOGGED, (since_us,))
    where = (scope.project, scope.environment, service)
    rows = reader.rows(store.SELECT_USES, (*where, before[0] if before else 0, *where, since_us, *where, since_us))
    return [
        Use(
            row["use"],
            row["name"],
            row["client"],
            int(row["predictions"]),
            int(row["requests"]),
            None if row["last_us"] is None else from_us(row["last_us"]),
            row["event"],
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """When a key was first answered, when a label for it was first observed if one came, microseconds UTC; the log's event."""

    at_us: int
    observed_us: int | None
    event: int


def count_before(reader: Reader, scope: Scope, service: str, moment_us: int) -> int:
    """Return how many answers a service had given before a moment of the home's clock."""
    row = reader.row(store.COUNT_BEFORE, (scope.project, scope.environment, service, moment_us))
    return int(row[0]) if row else 0


def first_answers(reader: Reader, scope: Scope, service: str, keys: Sequence[str]) -> dict[str, FirstAnswer]:
    """Return for each of `keys` that a service ever answered, with whichever version, when it first did."""
    found: dict[str, FirstAnswer] = {}
    where = (scope.project, scope.environment, service)
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        sql = store.SELECT_FIRST_ANSWERS.format(marks=", ".join("?" * len(some)))
        for row in reader.rows(sql, (*where, *some)):
            found[row["key"]] = FirstAnswer(row["at_us"], row["observed_us"], row["event"])
    return found


def score_spread(reader: Reader, scope: Scope, service: str) -> list[tuple[str, int, float]]:
    """Return for each version that answered, oldest first: its name, how many answers, their standard deviation."""
    rows = reader.rows(store.SELECT_SPREAD, (scope.project, scope.environment, service))
    return [
        (f"{row['model']}@{row['version']}", int(row["answers"]), math.sqrt(max(row["square"] - row["mean"] ** 2, 0.0)))
        for row in rows
    ]


def get_prediction(reader: Reader, id: str) -> LoggedPrediction | None:
    """Return a prediction that has reached the ledger, or None."""
    row = reader.row(store.SELECT_PREDICTION, (id,))
    return _prediction(row) if row else None


def recent_predictions(reader: Reader, scope: Scope, service: str, limit: int = 100) -> list[LoggedPrediction]:
    """Return the newest predictions of a service by the home's clock."""
    rows = reader.rows(store.SELECT_RECENT, (scope.project, scope.environment, service, limit))
    return [_prediction(row) for row in rows]


def callers(reader: Reader, scope: Scope, service: str) -> list[Caller]:
    """Return who has called a service, the most frequent first."""
    rows = reader.rows(store.SELECT_CALLERS, (scope.project, scope.environment, service))
    return [
        Caller(
            row["caller"], row["client"], row["predictions"], row["requests"], from_us(row["first_us"]), from_us(row["last_us"])
        )
        for row in rows
    ]


def _prediction(row: Row) -> LoggedPrediction:
    return LoggedPrediction(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        service=row["service"],
        deployment=row["deployment"],
        model_version=row["model_version"],
        key=row["key"],
        request=row["request"],
        caller=row["caller"],
        client=row["client"],
        store=row["store"],
        at=from_us(row["at_us"]),
        as_of=from_us(row["as_of_us"]),
        inputs=msgspec.json.decode(row["inputs"], type=list[Value]),
        output=row["output"],
        label=row["label_value"],
        observed=from_us(row["label_us"]) if row["label_us"] is not None else None,
        event=row["event"],
        logged=row["logged"],
    )
