"""What is seen of the two arms of a rollout: rows asked for and failed, seconds taken, and the challenger's shadow answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from bucle.ledger import Reader, Transaction
from bucle.serving import store

Arm = Literal["champion", "challenger"]

_PAGE = 10_000


class Observation(msgspec.Struct, frozen=True, array_like=True):
    """What one arm did with its part of a request: how many rows, how many of them it could not answer and why.

    `seconds` is how long the part took, None where that would not be comparable: in shadow, for more than 32 rows (up to
    there a model takes as long as for one), and of a part that failed.
    """

    rollout: str
    step: int
    arm: Arm
    rows: int
    failed: int
    seconds: float | None
    cause: str
    request: str
    at_us: int
    as_of_us: int


class ShadowRow(msgspec.Struct, frozen=True, array_like=True):
    """What the challenger would have said to an answered prediction; `output` is None where it failed, `cause` says why."""

    prediction: str
    rollout: str
    deployment: str
    output: float | None
    cause: str
    at_us: int
    as_of_us: int


@dataclass(frozen=True, slots=True)
class StoredObservation:
    """An observation in the ledger; `position` is its place in the order in which they came in."""

    position: int
    step: int
    arm: Arm
    rows: int
    failed: int
    seconds: float | None
    cause: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction that both arms made, with its label; it counts once."""

    prediction: str
    champion: float
    challenger: float
    label: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Shadow answers so far: rows, those that the challenger could answer, those with a label that counted.

    `differing` counts other decisions (other answers, of what decides nothing), `distance` is the mean absolute difference of
    the outputs, None without any.
    """

    rows: int = 0
    scored: int = 0
    counted: int = 0
    differing: int = 0
    distance: float | None = None


def observations_after(reader: Reader | Transaction, rollout: str, position: int) -> list[StoredObservation]:
    """Return what was seen of a rollout after a position, in order; call again with the last until none is left."""
    rows = reader.rows(store.SELECT_OBSERVATIONS, (rollout, position, _PAGE))
    names = ("position", "step", "arm", "rows", "failed", "seconds", "cause")
    return [StoredObservation(*(row[name] for name in names)) for row in rows]


def fresh_pairs(tx: Transaction, rollout: str, matures_us: int) -> list[Pair]:
    """Return the labelled pairs that did not count yet and are so old that every label could have come, in that order."""
    ripe_us = tx.clock.now_us() - matures_us
    rows = tx.rows(store.SELECT_PAIRS, (rollout, ripe_us, matures_us, _PAGE))
    return [Pair(row["prediction"], row["champion"], row["challenger"], row["label"]) for row in rows]


def count_pairs(tx: Transaction, rollout: str, pairs: Sequence[Pair]) -> None:
    """Note that pairs counted."""
    tx.execute_many(store.COUNT_PAIR, [(pair.prediction, rollout) for pair in pairs])


def agreement(reader: Reader | Transaction, rollout: str, champion: float | None, challenger: float | None) -> Agreement:
    """Return how far the challenger's shadow answers agree with what was answered, by the thresholds of both; None without."""
    row = reader.row(store.SELECT_AGREEMENT, (champion, challenger, rollout))
    if row is None or not row["rows"]:
        return Agreement()
    decided = champion is not None and challenger is not None
    differing = row["differing"] if decided else row["unequal"]
    return Agreement(row["rows"], row["scored"], row["counted"] or 0, differing or 0, row["distance"])
