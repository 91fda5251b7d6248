"""The check `pipeline`: each pipeline runs from beginning to end on a small snapshot, and a second time nothing has to run."""

from datetime import datetime

from bucle.data import load_manifest
from bucle.delivery.checks.check import LONGEST, Bench
from bucle.delivery.checks.training import Rehearsed, rehearsals, snapshot_of
from bucle.delivery.results import Finding, Verdict, failed, passed, skipped
from bucle.features import TrainingSetSpec
from bucle.ledger import from_us, parse_duration, to_us
from bucle.pipelines import CHECK, Firing, PipelineRun, PipelineSpec, StepRun, list_steps

_NEVER_CACHED = "the step is never taken from the cache"
_PAST_SHARE = 0.25
_LEAST_PAST = "2d"


def check_pipeline(bench: Bench) -> Verdict:
    """Steps that are declared `cache=False` may run again; any other that does depends on something that it does not name."""
    specs = bench.code.description.specs("pipeline", PipelineSpec)
    runnable = [spec for spec in specs if not any(parameter.required for parameter in spec.parameters)]
    if not runnable:
        return skipped("the project declares no pipeline that runs without parameters")
    found = rehearsals(bench)
    rehearsed = {} if isinstance(found, Verdict) else {each.spec.name: each for each in found}
    findings: list[Finding] = []
    told: list[str] = []
    for spec in runnable:
        where = bench.code.description.get("pipeline", spec.name).where
        first = _run(bench, spec, rehearsed.get(spec.name))
        if first.state != "done":
            findings.append(_failure(spec, first, where))
            continue
        second = _run(bench, spec, rehearsed.get(spec.name))
        with bench.home.ledger.read() as reader:
            again = [step for step in list_steps(reader, second.id) if not step.hit and _NEVER_CACHED not in step.miss]
            steps = list_steps(reader, first.id)
        findings += [_not_hit(spec, step, where) for step in again]
        told.append(f"{spec.name}: {len(steps)} steps, the second time all from the cache")
    return failed(findings) if findings else passed("; ".join(told))


def _run(bench: Bench, spec: PipelineSpec, rehearsed: Rehearsed | None) -> PipelineRun:
    """Run in test, as a check: everything happens but the registration of a model version."""
    moment = small_moment(bench, rehearsed) if rehearsed else None
    as_of = moment or from_us(snapshot_of(bench).as_of_us)  # both runs see the same data, also where the wall clock goes on
    id = bench.runs.start(bench.code, bench.scope, spec.name, engine="inline", as_of=as_of, firing=Firing(CHECK))
    if id is None:
        raise RuntimeError("a check has no event that could have fired before")
    return bench.runs.wait(id, LONGEST)


def small_moment(bench: Bench, rehearsed: Rehearsed) -> datetime | None:
    """Return the earliest moment at which the pipeline's holdout and some past before it are there; None for now."""
    answer = rehearsed.answer
    sets = {each.name: each for each in bench.code.description.specs("training_set", TrainingSetSpec)}
    declared, snapshot = sets.get(answer.training_set), snapshot_of(bench)
    version = snapshot.versions.get(declared.spine) if declared else None
    if declared is None or version is None or "holdout" not in answer.lengths:
        return None
    hours = load_manifest(bench.artifacts, version.manifest).hours
    holdout = parse_duration(answer.lengths["holdout"])
    past = max(holdout * _PAST_SHARE, parse_duration(_LEAST_PAST))
    moment = from_us(hours[0] + declared.label.matures_us) + holdout + past
    return moment if to_us(moment) < snapshot.as_of_us else None


def _failure(spec: PipelineSpec, run: PipelineRun, where: str) -> Finding:
    failure = run.failure
    if failure is None:
        return Finding(f"{spec.name} is {run.state} after {LONGEST:g} s", where, f"Look at `bucle runs` for {run.id}.")
    return Finding(f"{spec.name}: {failure.code}: {failure.reason}", failure.where or where, failure.next)


def _not_hit(spec: PipelineSpec, step: StepRun, where: str) -> Finding:
    why = "; ".join(step.miss) or "its key changed"
    advice = "Take clocks, chance and files out of the step, or declare it with cache=False."
    return Finding(f"{spec.name}: step {step.call} had to run again: {why}", where, advice)
