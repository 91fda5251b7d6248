"""Judging a candidate by its gates: from numbers to verdicts with a reason each (G1-mv, BR-M5, BR-M6)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bucle.project import Criterion
from bucle.registry.bootstrap import Difference, paired_difference
from bucle.registry.errors import BadGate
from bucle.registry.evaluations import Evaluation, SliceResult
from bucle.registry.gates import Champion, Gate, GateResult, Judgement, JudgeOrder
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
        reason = _no_metric(criterion.metric, evaluation)
        return GateResult(str(criterion), "criterion", False, evidence, reason)
    passed = criterion.holds(value)
    verb = "meets" if passed else "does not meet"
    reason = f"{criterion.metric} is {value:.4g} on {evaluation.rows:,} rows, which {verb} {criterion}."
    return GateResult(str(criterion), "criterion", passed, evidence, reason)


def better_than_production(evaluation: Evaluation, champion: Champion | None, store: "ArtifactStore", seed: int) -> GateResult:
    """Judge whether the mean loss is smaller than that of the version in production, on the same rows, by more than chance."""
    name = "better_than_production"
    if champion is None:
        return GateResult(name, "production", True, {"champion": None}, "Nothing is in production yet.")
    evidence = {"champion": champion.version}
    other = champion.evaluation
    if other is None:
        problem = champion.problem or "it was not evaluated"
        return GateResult(name, "production", False, evidence, f"{champion.version} could not be compared: {problem}.")
    if other.rows_id != evaluation.rows_id:
        reason = f"{champion.version} was evaluated on other rows; a comparison needs the same ones."
        return GateResult(name, "production", False, evidence, reason)
    losses = read_losses(store, other.losses), read_losses(store, evaluation.losses)
    difference = paired_difference(*losses, seed, hours=read_hours(store, evaluation.hours))
    numbers = _numbers(difference) | {"loss": evaluation.mean_loss, "champion_loss": other.mean_loss}
    return GateResult(name, "production", difference.positive, evidence | numbers, _compared(champion.version, difference))


def better_than_baseline(evaluation: Evaluation) -> GateResult:
    """Judge whether the mean loss is smaller than that of always answering the same, by more than chance (BR-M5)."""
    held = evaluation.baseline
    gain = Difference(held.gain, held.gain_low, held.gain_high, evaluation.rows, held.groups, held.unit)
    answer = ", ".join(f"{each:.4g}" for each in held.value)
    evidence = _numbers(gain) | {"answer": list(held.value), "source": held.source, "loss": evaluation.mean_loss}
    name = f"always answering {answer} (from the {held.source})"
    return GateResult("better_than_baseline", "baseline", gain.positive, evidence, _compared(name, gain))


def judge_slices(evaluation: Evaluation, declared: Sequence[str] = ()) -> GateResult:
    """Judge whether any slice does worse than the trivial baseline by more than chance (G1-mv 3, BR-M6).

    Slices with too few rows are said and do not fail. `declared` columns must have been evaluated.
    """
    columns = {each.column for each in evaluation.slices}
    absent = [column for column in declared if column not in columns]
    judged = [each for each in evaluation.slices if each.enough]
    below = [each for each in judged if each.gain_high < 0]
    few = [_named(each) for each in evaluation.slices if not each.enough]
    evidence = {
        "judged": len(judged),
        "below": [_slice_evidence(each) for each in below],
        "insufficient": few,
        "absent": absent,
    }
    if absent:
        reason = f"The evaluation was not sliced by {', '.join(absent)}."
    elif below:
        reason = f"Worse than the trivial baseline where {_list([_named(each) for each in below])}."
    elif judged:
        reason = f"None of {len(judged)} slices is worse than the trivial baseline."
    else:
        reason = "No slice was declared." if not few else "No slice has enough rows to be judged."
    return GateResult("slices", "slices", not absent and not below, evidence, reason + _too_few(few))


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
        reason, passed = f"The evaluation was not sliced by {criterion.by}.", False
    elif not judged:
        reason, passed = f"Insufficient data: no slice by {criterion.by} has enough rows.", False
    elif below:
        worst = _list([f"{_named(each)} ({each.metrics[criterion.metric]:.4g})" for each in below])
        reason, passed = f"{criterion} does not hold where {worst}.", False
    else:
        reason, passed = f"{criterion} holds in each of {len(judged)} slices.", True
    return GateResult(str(criterion), "criterion", passed, evidence, reason + (_too_few(few) if judged else ""))


def _own(gate: Gate, evaluation: Evaluation) -> GateResult:
    name = gate.required_name()
    if gate.criterion is not None:
        found = judge_criterion(gate.criterion, evaluation)
        return GateResult(name, "custom", found.passed, found.evidence, found.reason)
    check = gate.check
    try:
        answer = check(evaluation) if check is not None else None
    except Exception as error:
        error.add_note(f"while the gate {name!r} judged")
        raise
    passed, reason = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, "")
    if type(passed).__name__ not in ("bool", "bool_"):
        raise BadGate(name=name, reason=f"it returned a {type(passed).__name__}, not a bool", where=gate.where)
    said = str(reason) or f"{name} {'passes' if passed else 'does not pass'}."
    return GateResult(name, "custom", bool(passed), {"where": gate.where}, said)


def _compared(other: str, difference: Difference) -> str:
    rows = f"{difference.rows:,} rows" + (f" of {difference.groups:,} {difference.unit}s" if difference.unit != "row" else "")
    bounds = f"loss smaller by {difference.mean:.4g} a row, at least {difference.low:.4g} with 95 % confidence"
    if difference.positive:
        return f"Better than {other}: {bounds}, on {rows}."
    if difference.negative:
        return f"Worse than {other}: loss greater by {-difference.mean:.4g} a row, on {rows}."
    if difference.mean == difference.low == difference.high:
        return f"No better than {other}: the losses are the same."
    return f"Not shown to be better than {other}: {bounds}, on {rows}."


def _numbers(difference: Difference) -> dict[str, object]:
    bounds = {"gain": difference.mean, "gain_low": difference.low, "gain_high": difference.high}
    return bounds | {"rows": difference.rows, "groups": difference.groups, "unit": difference.unit}


def _no_metric(metric: str, evaluation: Evaluation) -> str:
    if metric in evaluation.undefined:
        return f"{metric} is not defined on these {evaluation.rows:,} rows, for instance because all are of one class."
    return f"There is no metric {metric!r} for a {evaluation.task}; there are {', '.join(sorted(evaluation.metrics))}."


def _named(each: SliceResult) -> str:
    return f"{each.column} = {each.value}"


def _slice_evidence(each: SliceResult) -> dict[str, object]:
    return {"slice": _named(each), "rows": each.rows, "gain": each.gain, "gain_high": each.gain_high}


def _too_few(few: Sequence[str]) -> str:
    return f" Insufficient data where {_list(few)}." if few else ""


def _list(texts: Sequence[str]) -> str:
    return ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
