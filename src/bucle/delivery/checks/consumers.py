"""The check `consumers`: nothing is taken away that a live model version, or another definition, still consumes (S-06).

A view whose code is gone is materialized no more, and the version that is fed from it would answer from values that grow old,
or from nothing. Taking a column out of a training set is no deletion: it is how a next version stops consuming it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bucle.delivery.checks.check import Bench
from bucle.delivery.checks.training import snapshot_of
from bucle.delivery.errors import ConsumedColumn, ConsumedFeature
from bucle.delivery.results import Finding, Verdict, failed, passed
from bucle.errors import BucleError
from bucle.features import ColumnsAnswer, ColumnsRequest, TrainingSetSpec, ViewSpec
from bucle.project import DEV, ProjectDescription
from bucle.runtimes import described_commit
from bucle.serving import Deployment, active_deployments


@dataclass(slots=True)
class _Gone:
    """Something that the commit does not give: who consumes it, and where it stands, or stood."""

    what: str
    where: str | None
    consumers: list[str] = field(default_factory=list)


def check_consumers(bench: Bench) -> Verdict:
    """Compare what live model versions and the commit's definitions consume with what the commit gives."""
    description = bench.code.description
    given = bench.call("bucle.features:columns_in_child", ColumnsRequest(snapshot_of(bench)), ColumnsAnswer)
    with bench.home.ledger.read() as reader:
        mine = [each for each in active_deployments(reader) if each.project == bench.scope.project]
        live = [each for each in mine if each.environment != DEV]  # dev runs the working tree, whatever is released
        commits = {each.candidate.commit for each in live if each.candidate.commit}
        before = {commit: described_commit(reader, bench.scope.project, commit) for commit in commits}
    gone: dict[str, _Gone] = {}
    for deployment in live:
        for what, where in _missing(deployment, description, before.get(deployment.candidate.commit), given):
            entry = gone.setdefault(what, _Gone(what, where))
            entry.consumers.append(_name(deployment))
    findings = [
        _finding(ConsumedFeature(what=each.what, consumers=_list(each.consumers), where=each.where)) for each in gone.values()
    ]
    findings += [_finding(error) for error in _unfed(description, given)]
    if findings:
        return failed(findings)
    if not live:
        return passed("no model version is live yet; all columns that definitions name are given")
    consumed = sum(len(each.candidate.contract.inputs) for each in live)
    return passed(f"{len(live)} live model versions consume {consumed} inputs, all of which are given")


def _missing(
    deployment: Deployment, now: ProjectDescription, before: ProjectDescription | None, given: ColumnsAnswer
) -> Iterator[tuple[str, str | None]]:
    """Yield what a live version consumes and the commit lacks: sources, views, features, columns of its spine."""
    contract = deployment.candidate.contract
    sources, views = ({record.name: record for record in now.of(kind)} for kind in ("source", "view"))
    for view in contract.views:
        if view.source not in sources:
            yield f"the source {view.source}", _stood(before, "source", view.source)
        if view.name not in views:
            yield f"the feature view {view.name}", _stood(before, "view", view.name)
        elif view.name in given.views:
            features = {
                f"{each.prefix}{name}" for each in contract.views if each.name == view.name for name in given.views[view.name]
            }
            for column in contract.inputs:
                if column.view == view.name and column.name not in features:
                    yield f"the feature {column.name} of {view.name}", views[view.name].where
    for spine in _spines(before, contract.label):
        if spine not in sources:
            yield f"the source {spine}", _stood(before, "source", spine)
        for column in contract.inputs if spine in given.sources else ():
            if column.view is None and column.name not in given.sources[spine]:
                yield f"the column {column.name} of {spine}", sources[spine].where


def _spines(before: ProjectDescription | None, label: str) -> list[str]:
    """Return the sources whose rows a label was learned from, by the code that its version came to serve with."""
    sets = before.specs("training_set", TrainingSetSpec) if before else []
    return list(dict.fromkeys(each.spine for each in sets if each.label.name == label))


def _stood(before: ProjectDescription | None, kind: str, name: str) -> str | None:
    """Return where a definition stood in the code that still serves."""
    return next((record.where for record in before.of(kind) if record.name == name), None) if before else None


def _unfed(now: ProjectDescription, given: ColumnsAnswer) -> Iterator[BucleError]:
    """Yield columns of sources that the commit's own definitions consume and that no source gives."""
    needs: dict[tuple[str, str], list[str]] = {}
    for view in now.specs("view", ViewSpec):
        wanted = [*view.keys, view.at, *(each.column for each in view.aggregates)] if view.aggregates else []
        _need(needs, view.source, [column for column in wanted if column], f"the view {view.name}")
    for each in now.specs("training_set", TrainingSetSpec):
        _need(needs, each.spine, [*each.columns, *each.label.columns], f"the training set {each.name}")
    places = {record.name: record.where for record in now.of("source")}
    for (source, column), consumers in needs.items():
        if source not in places:
            yield ConsumedColumn(what=f"the source {source}", consumers=_list(consumers), where=None)
        elif source in given.sources and column not in given.sources[source]:
            yield ConsumedColumn(what=f"the column {column} of {source}", consumers=_list(consumers), where=places[source])


def _need(needs: dict[tuple[str, str], list[str]], source: str, columns: Sequence[str], consumer: str) -> None:
    for column in dict.fromkeys(columns):
        needs.setdefault((source, column), []).append(consumer)


def _name(deployment: Deployment) -> str:
    candidate = deployment.candidate
    return f"{candidate.model}@{candidate.version} ({deployment.state} of {deployment.service} in {deployment.environment})"


def _list(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _finding(error: BucleError) -> Finding:
    return Finding(f"{error.code}: {error.text}", error.where, error.next_step)
