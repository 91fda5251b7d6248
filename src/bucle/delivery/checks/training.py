"""The checks on a model that was trained on a sample: `training`, `no-nan`, `artifacts`, `gates`."""

from collections.abc import Sequence
from dataclasses import dataclass

from bucle.data import Snapshot, take_snapshot
from bucle.delivery.checks.check import LONGEST, Bench
from bucle.delivery.checks.orders import Judged, JudgeRehearsal, Learning, RehearseAnswer, RehearseOrder
from bucle.delivery.results import Finding, Verdict, failed, passed, skipped
from bucle.pipelines import PipelineSpec
from bucle.project import load_project_file
from bucle.registry import JudgeOrder, LoadOrder, LoadReport, slices_needed

_SCENE = "bucle.delivery.checks.rehearsal"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A pipeline that makes a model, and what its rehearsal showed."""

    spec: PipelineSpec
    answer: RehearseAnswer


def check_training(bench: Bench) -> Verdict:
    """The loss falls below the trivial baseline's, and a few records can be memorised."""
    found = rehearsals(bench)
    if isinstance(found, Verdict):
        return found
    findings = [finding for each in found for finding in each.answer.learning_problems]
    if findings:
        return failed(findings)
    told = [_told(each.spec, each.answer.rows, each.answer.learning) for each in found if each.answer.learning]
    return passed("; ".join(told)) if told else skipped("no-nan says why nothing could be learned")


def check_numbers(bench: Bench) -> Verdict:
    """Predictions and logged metrics are finite numbers."""
    found = rehearsals(bench)
    if isinstance(found, Verdict):
        return found
    findings = [finding for each in found for finding in each.answer.number_problems]
    return failed(findings) if findings else passed("all answers and metrics are finite")


def check_artifacts(bench: Bench) -> Verdict:
    """The model can be packaged, and the package loads in a clean process of the runtime and answers as before."""
    found = rehearsals(bench)
    if isinstance(found, Verdict):
        return found
    findings: list[Finding] = []
    told = []
    reports = load_reports(bench, found)
    for each in found:
        findings += each.answer.package_problems
        if each.answer.package is not None:
            report = reports[each.answer.package]
            told.append(f"{each.spec.model}: {report.reason}")
            if not report.loadable:
                advice = "Return an estimator of a library that skops knows."
                findings.append(Finding(f"{each.spec.model}: {report.reason}", each.answer.where, advice))
    if findings:
        return failed(findings)
    return passed(" ".join(told)) if told else skipped("there is no model to package")


def check_gates(bench: Bench) -> Verdict:
    """Every gate can be computed from what the pipeline leaves; whether a sample passes them is not the question."""
    found = rehearsals(bench)
    if isinstance(found, Verdict):
        return found
    findings: list[Finding] = []
    count = 0
    reports = load_reports(bench, found)
    for each in found:
        evaluation, package = each.answer.evaluation, each.answer.package
        if evaluation is None or package is None:
            continue
        criteria = load_project_file(bench.checkout.root).charter.success
        order = JudgeOrder(
            model=each.spec.model or "",
            evaluation=evaluation,
            load=reports[package],
            criteria=criteria,
            slices=slices_needed(criteria),
        )
        judged = bench.call(f"{_SCENE}:judge_in_child", JudgeRehearsal(order), Judged)
        count += len(judged.gates)
        known = set(evaluation.metrics) | set(evaluation.undefined)
        findings += [
            Finding(
                f"{criterion} cannot be judged: no metric is called {criterion.metric!r}", "bucle.toml", f"Use {_list(known)}."
            )
            for criterion in criteria
            if criterion.metric not in known
        ]
    if findings:
        return failed(findings)
    return passed(f"{count} gates can be computed") if count else skipped("there is nothing to judge")


def snapshot_of(bench: Bench) -> Snapshot:
    """Return what the home's clock shows of the data in test by this commit's rules; the same for all checks of a commit."""
    return bench.once("snapshot", lambda: take_snapshot(bench.home, bench.code, bench.scope))


def rehearsals(bench: Bench) -> list[Rehearsed] | Verdict:
    """Rehearse each pipeline that makes a model, once for all checks; a verdict when there is nothing to rehearse."""
    specs = [spec for spec in bench.code.description.specs("pipeline", PipelineSpec) if spec.model]
    if not specs:
        return skipped("no pipeline makes a model")
    needing = [spec.name for spec in specs if any(parameter.required for parameter in spec.parameters)]
    if len(needing) == len(specs):
        return skipped(f"{needing[0]} has parameters without a default")
    return [Rehearsed(spec, _rehearse(bench, spec)) for spec in specs if spec.name not in needing]


def _rehearse(bench: Bench, spec: PipelineSpec) -> RehearseAnswer:
    project = load_project_file(bench.checkout.root)
    order = RehearseOrder(
        pipeline=spec.name,
        model=spec.model or "",
        snapshot=snapshot_of(bench),
        settings=dict(project.environment(bench.scope.environment).settings),
        task=project.charter.task,
        criteria=project.charter.success,
    )

    def rehearse() -> RehearseAnswer:
        return bench.call(f"{_SCENE}:rehearse_in_child", order, RehearseAnswer)

    return bench.once(f"rehearsal:{spec.name}", rehearse)


def _told(spec: PipelineSpec, rows: int, learning: Learning) -> str:
    return f"{spec.model}: {rows} rows, loss {learning.loss:.3f} against {learning.baseline:.3f} of the baseline"


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


def load_reports(bench: Bench, found: Sequence[Rehearsed]) -> dict[str, LoadReport]:
    """Load the packages in one process that has nothing of the project or of an earlier check in it."""
    packages = [each.answer.package for each in found if each.answer.package is not None]

    def load() -> dict[str, LoadReport]:
        entry = "bucle.registry:check_loadable_in_child"
        with bench.runners.lend(bench.runtime, bench.checkout, fresh=True) as runner:
            return {
                package: runner.call(entry, LoadOrder(package), LoadReport, timeout=LONGEST, log=bench.log)
                for package in packages
            }

    return bench.once("loads", load)
