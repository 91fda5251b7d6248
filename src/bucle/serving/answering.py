"""Answering: rows of a request, the features of a moment, and the model of one deployment."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from bucle.errors import BucleError
from bucle.ledger import Ledger, Scope, from_us
from bucle.serving.contract import Contract, Encoder, Record, Value
from bucle.serving.deployments import Candidate, Deployment
from bucle.serving.errors import ModelFailed, ModelUnavailable, NotANumber
from bucle.serving.pool import INFER_SECONDS, ServicePool


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """A row that a model answered: its key, the moment of its features (microseconds UTC), inputs in signature order."""

    key: Value
    moment_us: int
    inputs: list[Value]
    output: float
    unseen: tuple[str, ...]


Answered = AnsweredRow | BucleError
"""What became of a row: an answer, or why the model has none for it."""


@dataclass(frozen=True, slots=True)
class Live:
    """A deployment with what its first use compiled."""

    deployment: Deployment
    encoder: Encoder

    @property
    def candidate(self) -> Candidate:
        """What is deployed."""
        return self.deployment.candidate


class Answerer:
    """Answers rows with the model of a deployment; logs nothing."""

    def __init__(self, ledger: Ledger, pool: ServicePool) -> None:
        self._ledger, self._pool = ledger, pool

    def answer(
        self, live: Live, rows: Sequence[Record], at_us: int, patience: float = INFER_SECONDS, checked: bool = False
    ) -> list[Answered]:
        """Return what becomes of each row with the features of `at_us`; a child has `patience` seconds for all of them.

        Raises the errors of requests (unless the rows are `checked`) and `serving/model-unavailable`.
        """
        if not checked:
            live.encoder.check(rows)
        contract = live.encoder.contract
        encoded = live.encoder.encode(rows, self._features(live.deployment.scope, contract, rows, at_us))
        outputs = self._pool.infer(live.candidate, encoded.vectors, patience)
        found: list[Answered] = []
        for number, (row, output) in enumerate(zip(rows, outputs, strict=True)):
            if isinstance(output, float | int):
                key = row[contract.key] if contract.key else None
                found.append(AnsweredRow(key, at_us, encoded.values[number], output, encoded.unseen[number]))
            else:
                found.append(_failure(live.candidate, number, output))
        return found

    def answer_each(self, live: Live, rows: Sequence[Record], at_us: int, patience: float) -> list[Answered]:
        """Return what becomes of each row, also of one that the deployment would refuse the whole request for.

        Raises `serving/model-unavailable`.
        """
        found: list[Answered | None] = [_refusal(live.encoder, row) for row in rows]
        good = [place for place, refusal in enumerate(found) if refusal is None]
        try:
            answers: Sequence[Answered] = self.answer(live, [rows[place] for place in good], at_us, patience) if good else []
        except ModelUnavailable:
            raise
        except BucleError as error:
            answers = [error] * len(good)
        for place, answer in zip(good, answers, strict=True):
            found[place] = answer
        return [each for each in found if each is not None]

    def _features(self, scope: Scope, contract: Contract, rows: Sequence[Record], at_us: int) -> list[Record]:
        """Read the features of each distinct entity once, as of `at_us`."""
        from bucle.features import read_online_rows

        if not contract.views:
            return [{}] * len(rows)
        names = sorted({key for view in contract.views for key in view.spine_keys})
        entities = [tuple(row[name] for name in names) for row in rows]
        distinct = list(dict.fromkeys(entities))
        keys = [dict(zip(names, entity, strict=True)) for entity in distinct]
        values = read_online_rows(self._ledger, scope, contract.views, keys, from_us(at_us))
        found = dict(zip(distinct, cast(list[Record], values), strict=True))
        return [found[entity] for entity in entities]


def all_answered(found: Iterable[Answered]) -> list[AnsweredRow]:
    """Return the answers of all rows. Raises the first row's error that has none."""
    rows: list[AnsweredRow] = []
    for each in found:
        if isinstance(each, BucleError):
            raise each
        rows.append(each)
    return rows


def _refusal(encoder: Encoder, row: Record) -> BucleError | None:
    try:
        encoder.check([row])
        encoder.encode([row], [{}])
    except BucleError as error:
        return error
    return None


def _failure(candidate: Candidate, number: int, output: str | None) -> BucleError:
    model, version, service = candidate.model, candidate.version, candidate.service
    if output is None:
        return NotANumber(model=model, version=version, row=number, service=service)
    return ModelFailed(model=model, version=version, row=number, service=service, error=output)
