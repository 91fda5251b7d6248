"""Judging a candidate by its gates: from numbers to verdicts with a reason each (G1-mv, BR-M5, BR-M6)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bucle.messages import Phrase, Said, joined
from bucle.project import Criterion
from bucle.registry.bootstrap import Difference, paired_difference
from bucle.registry.errors import BadGate
from bucle.registry.evaluations import Evaluation, SliceResult
from bucle.registry.gates import Champion, Gate, GateKind, GateResult, Judgement, JudgeOrder
from bucle.registry.packages import LoadReport
from bucle.registry.scoring import read_hours, read_losses

if TYPE_CHECKING:
    from bucle.artifacts import ArtifactStore


def run_gates(order: JudgeOrder, store: "ArtifactStore", own: Sequence[Gate] = ()) -> list[GateResult]:
    """Return what every gate finds: the charter's criteria, the four built-in ones, then the project's `own` for the model.

    A criterion that the charter states twice is judged once.
    Raises `registry/bad-gate` when a gate of the project's own fails to judge, or has the name of another.
    """
    evaluation = order.evaluation
    found = [judge_criterion(criterion, evaluation) for criterion in dict.fromkeys(order.criteria)]
    found.append(better_than_production(evaluation, order.champion, store, order.seed))
    found.append(better_than_baseline(evaluation))
    found.append(judge_slices(evaluation, order.slices))
    found.append(loads(order.load))
    for gate in own:
        if gate.model in (None, order.model):
            judged = _own(gate, evaluation)
            if judged.name in {each.name for each in found}:
                raise BadGate(name=judged.name, reason="another gate has its name", where=gate.where)
            found.append(judged)
    return found


def judge(order: JudgeOrder, store: "ArtifactStore", own: Sequence[Gate] = ()) -> Judgement:
    """Return `run_gates` as a struct."""
    return Judgement(tuple(run_gates(order, store, own)))


def judge_criterion(criterion: Criterion, evaluation: Evaluation) -> GateResult:
    """Judge a criterion of the charter, over all rows or in each slice."""
    if criterion.by is not None:
        return _criterion_by(criterion, evaluation)
    value = evaluation.metrics.get(criterion.metric)
    evidence = {"value": value, "threshold": criterion.threshold, "operator": criterion.operator, "rows": evaluation.rows}
    if value is None:
        return _found(str(criterion), "criterion", False, evidence, _no_metric(criterion.metric, evaluation))
    passed = criterion.holds(value)
    fields: dict[str, Said] = {"metric": criterion.metric, "value": value, "rows": evaluation.rows, "criterion": str(criterion)}
    said = Phrase("gate.meets" if passed else "gate.does_not_meet", fields)
    return _found(str(criterion), "criterion", passed, evidence, said)


def better_than_production(evaluation: Evaluation, champion: Champion | None, store: "ArtifactStore", seed: int) -> GateResult:
    """Judge whether the mean loss is smaller than that of the version in production, on the same rows, by more than chance."""
    name = "better_than_production"
    if champion is None:
        return _found(name, "production", True, {"champion": None}, Phrase("gate.first"))
    evidence = {"champion": champion.version}
    other = champion.evaluation
    if other is None:
        fields: dict[str, Said] = {"champion": champion.version, "problem": champion.problem or Phrase("gate.not_evaluated")}
        return _found(name, "production", False, evidence, Phrase("gate.not_compared", fields))
    if other.rows_id != evaluation.rows_id:
        return _found(name, "production", False, evidence, Phrase("gate.other_rows", {"champion": champion.version}))
    losses = read_losses(store, other.losses), read_losses(store, evaluation.losses)
    difference = paired_difference(*losses, seed, hours=read_hours(store, evaluation.hours))
    numbers = _numbers(difference) | {"loss": evaluation.mean_loss, "champion_loss": other.mean_loss}
    return _found(name, "production", difference.positive, evidence | numbers, _compared(champion.version, difference))


def better_than_baseline(evaluation: Evaluation) -> GateResult:
    """Judge whether the mean loss is smaller than that of always answering the same, by more than chance (BR-M5)."""
    held = evaluation.baseline
    gain = Difference(held.gain, held.gain_low, held.gain_high, evaluation.rows, held.groups, held.unit)
    answer = ", ".join(f"{each:.4g}" for each in held.value)
    evidence = _numbers(gain) | {"answer": list(held.value), "source": held.source, "loss": evaluation.mean_loss}
    source = Phrase("gate.from_training" if held.source == "training rows" else "gate.from_evaluated")
    name = Phrase("gate.always", {"answer": answer, "source": source})
    return _found("better_than_baseline", "baseline", gain.positive, evidence, _compared(name, gain))


def judge_slices(evaluation: Evaluation, declared: Sequence[str] = ()) -> GateResult:
    """Judge whether any slice does worse than the trivial baseline by more than chance (G1-mv 3, BR-M6).

    The bounds hold for all judged slices at once, so that many slices are no reason to fail by chance.
    Slices with too few rows are said and do not fail. `declared` columns must have been evaluated.
    """
    columns = {each.column for each in evaluation.slices}
    absent = [column for column in declared if column not in columns]
    judged = [each for each in evaluation.slices if each.enough]
    below = [each for each in judged if each.joint_high is not None and each.joint_high < 0]
    few = [_named(each) for each in evaluation.slices if not each.enough]
    evidence = {
        "judged": len(judged),
        "below": [_slice_evidence(each) for each in below],
        "insufficient": few,
        "absent": absent,
    }
    if absent:
        said = Phrase("gate.not_sliced", {"columns": ", ".join(absent)})
    elif below:
        said = Phrase("gate.slices_worse", {"slices": _list([_named(each) for each in below])})
    elif judged:
        said = Phrase("gate.slices_fine", {"count": len(judged)})
    else:
        said = Phrase("gate.no_slice" if not few else "gate.no_slice_enough")
    return _found("slices", "slices", not absent and not below, evidence, _too_few(said, few))


def loads(report: LoadReport) -> GateResult:
    """Judge whether the package loads in a clean runtime and answers there as it did when it was made (G1-mv 4, K-23)."""
    evidence = {
        "seconds": round(report.seconds, 3),
        "rows": report.rows,
        "largest_difference": report.largest_difference,
        "python": report.python,
    }
    return GateResult("loadable", "loadable", report.loadable, evidence, report.reason)


def _criterion_by(criterion: Criterion, evaluation: Evaluation) -> GateResult:
    slices = evaluation.slices_by(criterion.by or "")
    judged = [each for each in slices if each.enough and criterion.metric in each.metrics]
    few = [_named(each) for each in slices if each not in judged]
    below = [each for each in judged if not criterion.holds(each.metrics[criterion.metric])]
    values = {each.value: each.metrics[criterion.metric] for each in judged}
    evidence = {"threshold": criterion.threshold, "operator": criterion.operator, "values": values, "insufficient": few}
    if not slices:
        said, passed = Phrase("gate.not_sliced", {"columns": criterion.by or ""}), False
    elif not judged:
        said, passed = Phrase("gate.no_slice_by", {"column": criterion.by or ""}), False
    elif below:
        worst = _list([f"{_named(each)} ({each.metrics[criterion.metric]:.4g})" for each in below])
        said, passed = Phrase("gate.not_everywhere", {"criterion": str(criterion), "slices": worst}), False
    else:
        said, passed = Phrase("gate.everywhere", {"criterion": str(criterion), "count": len(judged)}), True
    return _found(str(criterion), "criterion", passed, evidence, _too_few(said, few) if judged else said)


def _own(gate: Gate, evaluation: Evaluation) -> GateResult:
    name = gate.required_name()
    if gate.criterion is not None:
        found = judge_criterion(gate.criterion, evaluation)
        return GateResult(name, "custom", found.passed, found.evidence, found.reason, found.said)
    check = gate.check
    try:
        answer = check(evaluation) if check is not None else None
    except Exception as error:
        error.add_note(f"while the gate {name!r} judged")
        raise
    passed, reason = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, "")
    if type(passed).__name__ not in ("bool", "bool_"):
        raise BadGate(name=name, reason=f"it returned a {type(passed).__name__}, not a bool", where=gate.where)
    if str(reason):
        return GateResult(name, "custom", bool(passed), {"where": gate.where}, str(reason))
    return _found(
        name, "custom", bool(passed), {"where": gate.where}, Phrase("gate.passes" if passed else "gate.fails", {"name": name})
    )


def _found(name: str, kind: GateKind, passed: bool, evidence: Mapping[str, object], said: Phrase) -> GateResult:
    return GateResult(name, kind, passed, dict(evidence), str(said), said)


def _compared(other: str | Phrase, difference: Difference) -> Phrase:
    groups = {"count": difference.rows, "groups": difference.groups}
    rows = Phrase("gate.rows" if difference.unit == "row" else f"gate.rows_of_{difference.unit}s", groups)
    fields: dict[str, Said] = {"other": other, "rows": rows}
    bounds = {"mean": difference.mean, "low": difference.low}
    if difference.positive:
        return Phrase("gate.better", {**fields, **bounds})
    if difference.negative:
        return Phrase("gate.worse", {**fields, "mean": -difference.mean})
    if difference.mean == difference.low == difference.high:
        return Phrase("gate.same", fields)
    return Phrase("gate.not_better", {**fields, **bounds})


def _numbers(difference: Difference) -> dict[str, object]:
    bounds = {"gain": difference.mean, "gain_low": difference.low, "gain_high": difference.high}
    return bounds | {"rows": difference.rows, "groups": difference.groups, "unit": difference.unit}


def _no_metric(metric: str, evaluation: Evaluation) -> Phrase:
    if metric in evaluation.undefined:
        return Phrase("gate.undefined", {"metric": metric, "rows": evaluation.rows})
    known = ", ".join(sorted(evaluation.metrics))
    return Phrase("gate.no_metric", {"metric": metric, "task": evaluation.task, "known": known})


def _named(each: SliceResult) -> str:
    return f"{each.column} = {each.value}"


def _slice_evidence(each: SliceResult) -> dict[str, object]:
    return {"slice": _named(each), "rows": each.rows, "gain": each.gain, "gain_high": each.joint_high}


def _too_few(said: Phrase, few: Sequence[str]) -> Phrase:
    return joined("then", said, Phrase("gate.too_few", {"slices": _list(few)})) if few else said


def _list(texts: Sequence[str]) -> str | Phrase:
    names = ", ".join(texts[:5])
    return Phrase("gate.and_more", {"names": names, "more": len(texts) - 5}) if len(texts) > 5 else names
