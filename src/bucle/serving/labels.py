"""Labels: what really happened, recorded for the prediction that they judge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bucle.errors import BucleError
from bucle.ledger import Scope, Transaction, current_context, format_instant, from_us, parse_instant, to_us, within
from bucle.serving import store
from bucle.serving.contract import LONGEST_KEY, ClassLabel, Contract, is_key
from bucle.serving.deployments import list_deployments
from bucle.serving.errors import BadLabel, LabelDiffers, LabelFromFuture, NothingDeployed, UnknownPrediction
from bucle.serving.events import LabelCorrected, LabelsRecorded

LARGEST_LABEL_BATCH = 10_000
"""Labels that one request may have."""


class LabelRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An outcome: of a prediction by its id, or of the last prediction for a key before the moment of observation.

    Without `observed_at` it was observed now, by the home's clock. `replace` corrects a label that is there.
    """

    value: float | bool | str
    prediction_id: str | None = None
    key: str | int | None = None
    observed_at: str | None = None
    replace: bool = False


class LabelReceipt(msgspec.Struct, frozen=True):
    """What became of a batch: newly recorded, known already and the same, corrected."""

    service: str
    recorded: int
    repeated: int
    corrected: int


@dataclass(frozen=True, slots=True)
class _Joined:
    """A label with the prediction that it judges; `held` is the value that is there already."""

    prediction: str
    value: float
    observed_us: int
    held: float | None


def record_labels(tx: Transaction, scope: Scope, service: str, labels: Sequence[LabelRow]) -> LabelReceipt:
    """Record a batch of labels, all or none. The prediction log must have been shipped before.

    A label that is there already with the same value counts as repeated; with another value it is an error unless it says
    `replace`. Raises `serving/unknown-prediction`, `serving/label-differs`, `serving/label-from-future`, `serving/bad-label`
    about the first bad label; its text names the others.
    """
    outcomes = _contract(tx, scope, service).outcomes
    joined: list[_Joined] = []
    refused: list[tuple[int, BucleError]] = []
    batch: dict[str, float] = {}
    for number, label in enumerate(labels):
        try:
            found = _join(tx, scope, service, number, label, batch, outcomes)
            batch[found.prediction] = found.value
            joined.append(found)
        except BucleError as error:
            refused.append((number, error))
    if refused:
        raise _with_others(refused)
    if not joined:
        return LabelReceipt(service, 0, 0, 0)
    return _write(tx, scope, service, joined)


def _contract(tx: Transaction, scope: Scope, service: str) -> Contract:
    """Return what the service promised last."""
    newest = list_deployments(tx, scope, service, limit=1)
    if not newest:
        raise NothingDeployed(service=service, environment=scope.environment)
    return newest[0].candidate.contract


def _join(
    tx: Transaction,
    scope: Scope,
    service: str,
    number: int,
    label: LabelRow,
    batch: dict[str, float],
    outcomes: Sequence[ClassLabel],
) -> _Joined:
    value, observed_us = _value(number, label, outcomes), _observed(tx, number, label)
    prediction = _prediction(tx, scope, service, number, label, observed_us)
    row = tx.row(store.SELECT_LABEL, (prediction,))
    held = batch.get(prediction, row["value"] if row else None)
    if held is not None and held != value and not label.replace:
        where = f"labels[{number}].value"
        there = outcomes[int(held)] if outcomes else held
        raise LabelDiffers(row=number, prediction=prediction, held=there, given=label.value, more="", where=where)
    return _Joined(prediction, value, observed_us, held)


def _value(number: int, label: LabelRow, outcomes: Sequence[ClassLabel]) -> float:
    """Return the number that stands for a label: the place of its class, or its value."""
    place = next((place for place, each in enumerate(outcomes) if each == label.value), None)
    if outcomes and place is None:
        reason = f"its value must be one of {', '.join(map(repr, outcomes))}, not {label.value!r}"
        raise BadLabel(row=number, reason=reason, more="", where=f"labels[{number}].value")
    if not outcomes and (isinstance(label.value, bool | str) or not math.isfinite(label.value)):
        reason = f"its value must be a finite number, not {label.value!r}"
        raise BadLabel(row=number, reason=reason, more="", where=f"labels[{number}].value")
    value = float(label.value) if place is None else float(place)
    if (label.prediction_id is None) == (label.key is None):
        reason = "it must name either a prediction_id or a key"
        raise BadLabel(row=number, reason=reason, more="", where=f"labels[{number}]")
    for name, key in (("key", label.key), ("prediction_id", label.prediction_id)):
        if key is not None and not is_key(key):
            reason = f"its {name} is no key: at most 64 bits, or {LONGEST_KEY} characters of Unicode"
            raise BadLabel(row=number, reason=reason, more="", where=f"labels[{number}].{name}")
    return value


def _observed(tx: Transaction, number: int, label: LabelRow) -> int:
    now_us = tx.clock.now_us()
    try:
        observed = from_us(now_us) if label.observed_at is None else parse_instant(label.observed_at)
    except BucleError as error:
        raise BadLabel(row=number, reason=error.text.rstrip("."), more="", where=f"labels[{number}].observed_at") from None
    if to_us(observed) > now_us:
        moments = {"observed": format_instant(observed), "now": format_instant(from_us(now_us))}
        raise LabelFromFuture(row=number, more="", where=f"labels[{number}].observed_at", **moments)
    return to_us(observed)


def _prediction(tx: Transaction, scope: Scope, service: str, number: int, label: LabelRow, observed_us: int) -> str:
    if label.prediction_id is not None:
        row = tx.row(store.SELECT_MOMENT, (label.prediction_id, scope.project, scope.environment, service))
        if row is not None:
            return label.prediction_id
        name, where = f"id {label.prediction_id!r}", f"labels[{number}].prediction_id"
        raise UnknownPrediction(row=number, name=name, more="", where=where)
    found = store.last_before(tx, scope, service, str(label.key), observed_us)
    if found is None:
        name, where = f"key {label.key!r} at or before that moment", f"labels[{number}].key"
        raise UnknownPrediction(row=number, name=name, more="", where=where)
    return found


def _write(tx: Transaction, scope: Scope, service: str, joined: Sequence[_Joined]) -> LabelReceipt:
    new = [label for label in joined if label.held is None]
    corrected = [label for label in joined if label.held is not None and label.held != label.value]
    receipt = LabelReceipt(service, len(new), len(joined) - len(new) - len(corrected), len(corrected))
    if not new and not corrected:
        return receipt
    moments = [label.observed_us for label in (*new, *corrected)]
    now, caller = tx.clock.now_us(), current_context().actor
    with within(scope):
        counts = (receipt.recorded, receipt.repeated, receipt.corrected)
        event = tx.emit(LabelsRecorded(service, *counts, from_us(min(moments)), from_us(max(moments))), f"service:{service}")
        head = (scope.project, scope.environment, service)
        tx.execute_many(
            store.INSERT_LABEL,
            [(label.prediction, *head, label.value, label.observed_us, now, caller, event) for label in new],
        )
        for label in corrected:
            moment = from_us(label.observed_us)
            seq = tx.emit(LabelCorrected(service, label.prediction, label.held or 0.0, label.value, moment), label.prediction)
            tx.execute(store.CORRECT_LABEL, (label.value, label.observed_us, caller, seq, label.prediction))
    return receipt


def _with_others(refused: Sequence[tuple[int, BucleError]]) -> BucleError:
    """Return the first error, naming the other bad labels in its text."""
    (_, first), others = refused[0], refused[1:]
    if not others:
        return first
    named = ", ".join(f"{number} ({error.code})" for number, error in others[:100])
    more = f" {len(others)} more are refused: labels {named}{' …' if len(others) > 100 else ''}."
    return type(first)(where=first.where, **(first.fields | {"more": more}))
