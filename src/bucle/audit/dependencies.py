"""S-06, undeclared data dependencies: what production reads that no definition names, and what its definitions do not say.

Data that code reads behind bucle's back has no versions, no schema and no owner: nobody is told when it changes, and what a
model depends on cannot be told (Sculley et al., section 3, "static analysis of data dependencies").
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatch

from bucle.audit.debts import DebtFinding, DebtRow, DebtState, unknown
from bucle.audit.live import Live
from bucle.data import DatasetVersion, SourceSpec, get_version
from bucle.features import TrainingSetSpec
from bucle.ledger import Ledger, Reader
from bucle.messages import Phrase
from bucle.pipelines import PipelineRun, StepRead, UnknownRun, get_pipeline_run, list_pipeline_runs, list_reads, list_steps
from bucle.project import DefinitionRecord, ProjectDescription, registered_project
from bucle.registry import UnknownVersion, version_of_id
from bucle.serving import Deployment

ID = "S-06"
LOOKED_AT = timedelta(days=30)
"""How far back a run of the environment counts, by the home's clock; the runs of live model versions count at any age."""

ANNOTATIONS = ("owner", "doc", "schema", "version")
"""What is to be known of a source: who answers for it, what it is, its reviewed schema, the version that was learned from."""

_US = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Used:
    """A source that live model versions learned from or are fed from, with the data version that was learned from."""

    record: DefinitionRecord
    spec: SourceSpec
    version: DatasetVersion | None


def audit_dependencies(ledger: Ledger, live: Live) -> DebtRow:
    """Resolve what live model versions depend on, look at how it is annotated, and at what their steps read besides."""
    if live.description is None or not live.active:
        return unknown(ID, "nothing_live", environment=live.scope.environment)
    with ledger.read() as reader:
        runs = _runs(reader, live)
        steps = {f"{run.id} {step.call}" for run in runs for step in list_steps(reader, run.id) if step.state == "done"}
        reads = [read for run in runs for read in list_reads(reader, run.id)]
        sources, missing = _closure(reader, live, live.description)
        owner = _owner(ledger, reader, live)
    sources_of = {each.spec.name: each.spec.location for each in sources}
    undeclared = list(_undeclared([read for read in reads if read.kind != "unseen"], sources_of))
    unseen = list(_unseen([read for read in reads if read.kind == "unseen"]))
    bare = [finding for each in sources if (finding := _bare(each, owner)) is not None]
    said = sum(len(ANNOTATIONS) - len(_lacking(each, owner)) for each in sources)
    numbers: dict[str, int | float | str] = {
        "sources": len(sources),
        "annotated": round(said / (len(ANNOTATIONS) * len(sources)), 3) if sources else 0.0,
        "unresolved": len(missing),
        "runs": len(runs),
        "steps": len(steps),
        "undeclared": len(undeclared),
        "unseen": len(unseen),
    }
    debts = (*undeclared, *missing, *bare)
    answer = "found" if debts else "no_steps" if not steps else "unseen" if unseen else "clean"
    states: dict[str, DebtState] = {"found": "found", "clean": "clean"}
    state, why, findings = states.get(answer, "insufficient data"), Phrase(f"debt.{ID}.{answer}", numbers), (*debts, *unseen)
    events = tuple(sorted({each.event for each in live.active} | {run.event for run in runs}))
    counts = {name: value for name, value in numbers.items() if not isinstance(value, str)}
    return DebtRow(ID, state, why, counts, findings, () if findings else events)


def _runs(reader: Reader, live: Live) -> list[PipelineRun]:
    """Return the runs that made the live versions, wherever that was, and those of the environment in the last 30 days."""
    made = [run_of(reader, each) for each in live.active]
    since_us = live.now_us - LOOKED_AT // _US
    recent = [run.id for run in list_pipeline_runs(reader, live.scope, 1000) if run.request.as_of_us >= since_us]
    return [get_pipeline_run(reader, id) for id in dict.fromkeys([*made, *recent]) if id]


def run_of(reader: Reader, deployment: Deployment) -> str | None:
    """Return the id of the pipeline run that made a deployed version, None for one from a script or from elsewhere."""
    try:
        run = version_of_id(reader, deployment.candidate.model_version).run
        return get_pipeline_run(reader, run).id if run else None
    except (UnknownVersion, UnknownRun):
        return None


def _closure(reader: Reader, live: Live, description: ProjectDescription) -> tuple[list[_Used], list[DebtFinding]]:
    """Return the sources behind live versions, and what of the way to them the release does not declare."""
    declared = {record.name: record for record in description.of("source")}
    views = {record.name for record in description.of("view")}
    sets = description.specs("training_set", TrainingSetSpec)
    names: dict[str, DatasetVersion | None] = {}
    missing: list[DebtFinding] = []
    for deployment in live.active:
        candidate = deployment.candidate
        learned = [each for each in sets if each.label.name == candidate.contract.label]
        run = run_of(reader, deployment)
        versions = get_pipeline_run(reader, run).request.versions if run else {}
        wanted = [each.source for each in candidate.contract.views]
        wanted += [source for each in learned for source in (each.spine, *(view.source for view in each.views))]
        for source in dict.fromkeys(wanted):
            if source in declared:
                names[source] = names.get(source) or _version(reader, versions, source)
        gone = [("view", each.name) for each in candidate.contract.views if each.name not in views]
        gone += [("source", each) for each in dict.fromkeys(wanted) if each not in declared]
        model = f"{candidate.model}@{candidate.version}"
        missing += [_unresolved(kind, name, model, deployment.event, deployment.id) for kind, name in gone]
    return [_Used(declared[name], _spec(declared[name]), version) for name, version in names.items()], missing


def _spec(record: DefinitionRecord) -> SourceSpec:
    return ProjectDescription("", [record], "").specs("source", SourceSpec)[0]


def _version(reader: Reader, versions: Mapping[str, str], source: str) -> DatasetVersion | None:
    return get_version(reader, versions[source]) if source in versions else None


def _unresolved(kind: str, name: str, model: str, event: int, deployment: str) -> DebtFinding:
    fields: dict[str, str | int | float] = {"kind": kind, "name": name, "model": model}
    what, following = Phrase(f"debt.{ID}.unresolved", fields), Phrase(f"debt.{ID}.restore", fields)
    return DebtFinding(what, following, None, (event,), (deployment,))


def _owner(ledger: Ledger, reader: Reader, live: Live) -> str:
    """Return the owner that the charter names, who answers for sources that name none."""
    known = registered_project(reader, live.scope.project)
    return str(ledger.event(known.charter_event).data.get("owner", "")) if known and known.charter_event else ""


def _lacking(used: _Used, owner: str) -> list[str]:
    there = {
        "owner": bool(used.spec.owner or owner),
        "doc": bool(used.spec.doc),
        "schema": used.version is not None and used.version.schema is not None,
        "version": used.version is not None,
    }
    return [name for name in ANNOTATIONS if not there[name]]


def _bare(used: _Used, owner: str) -> DebtFinding | None:
    lacking = _lacking(used, owner)
    if not lacking:
        return None
    fields: dict[str, str | int | float] = {"source": used.spec.name, "lacking": ", ".join(lacking)}
    what, following = Phrase(f"debt.{ID}.bare", fields), Phrase(f"debt.{ID}.annotate", fields)
    events = (used.version.event,) if used.version else ()
    return DebtFinding(what, following, used.record.where, events, (used.version.id,) if used.version else ())


def _unseen(reads: Sequence[StepRead]) -> Iterator[DebtFinding]:
    """Yield what steps used that reads without being seen: neither a debt nor its absence, said once for all runs."""
    groups: dict[tuple[str, str], list[StepRead]] = {}
    for read in reads:
        groups.setdefault((_step(read.call), read.name), []).append(read)
    for (step, name), group in groups.items():
        fields: dict[str, str | int | float] = {"step": step, "name": name}
        what, following = Phrase(f"debt.{ID}.hides", fields), Phrase(f"debt.{ID}.show", fields)
        events, runs = tuple(sorted({read.event for read in group})), tuple(dict.fromkeys(read.run for read in group))
        yield DebtFinding(what, following, group[-1].where, events, runs, {"runs": len(runs)})


def _undeclared(reads: Sequence[StepRead], locations: Mapping[str, str]) -> Iterator[DebtFinding]:
    """Yield each thing that a step read, once for all runs in which it did."""
    groups: dict[tuple[str, str, str], list[StepRead]] = {}
    for read in reads:
        groups.setdefault((_step(read.call), read.kind, read.name), []).append(read)
    for (step, kind, name), group in groups.items():
        source = next((each for each, location in locations.items() if fnmatch(name, location)), None)
        newest = max(group, key=lambda read: read.event)
        how = "connects" if kind == "network" else "bypasses" if source else "reads" if newest.opened else "names"
        advice = {"connects": "declare_remote", "bypasses": "use_source"}.get(how, "declare")
        keyed = "_keyed" if how in ("reads", "names") and newest.in_key else ""
        fields: dict[str, str | int | float] = {"step": step, "name": name, "source": source or "", "runs": len(group)}
        yield DebtFinding(
            Phrase(f"debt.{ID}.{how}{keyed}", fields),
            Phrase(f"debt.{ID}.{advice}", fields),
            newest.where,
            tuple(sorted({read.event for read in group})),
            tuple(dict.fromkeys(read.run for read in group)),
            {"runs": len(group)},
        )


def _step(call: str) -> str:
    return call.rpartition("#")[0].rpartition("/")[2] or call
