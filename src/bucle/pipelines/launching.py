"""Beginning a run: what is asked for, checked and entered into the ledger before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from bucle.artifacts import ArtifactStore, refer
from bucle.data import current_versions, ingest, take_snapshot
from bucle.features import record_rules_of
from bucle.ledger import Home, Scope, Transaction, because, content_id, current_context, from_us, new_id, to_us, within
from bucle.pipelines import store
from bucle.pipelines.declared import PipelineSpec, bind_parameters
from bucle.pipelines.errors import UnknownEngine
from bucle.pipelines.events import RunStarted
from bucle.pipelines.journal import LEASE_US, now_us
from bucle.pipelines.runs import PipelineRun, RunRequest, as_run
from bucle.project import DEV, current_release, load_project_file
from bucle.runtimes import Code, RunnerPool
from bucle.tracking import DataUse, RunStart, begin_run

ENGINES = ("inline", "processes")
CHECK = "check"
"""The firing of a run that checks a commit: it does everything but register a model version."""


@dataclass(frozen=True, slots=True)
class Firing:
    """The trigger behind a run: its kind and the event that it reacted to, which fires it once."""

    kind: str = "demand"
    event: int | None = None


def prepare(
    home: Home,
    artifacts: ArtifactStore,
    runners: RunnerPool,
    code: Code,
    scope: Scope,
    spec: PipelineSpec,
    parameters: Mapping[str, Any],
    *,
    engine: str,
    seed: int,
    as_of: datetime | None,
    where: str,
    remote: bool = False,
) -> RunRequest:
    """Return a checked request: parameters bound, data as of a moment, settings of the environment.

    Raises `pipelines/unknown-parameter`, `pipelines/missing-argument`, `pipelines/bad-parameter`, `pipelines/unknown-engine`,
    `project/unknown-environment`.
    """
    if engine not in ENGINES:
        raise UnknownEngine(name=engine)
    bound = bind_parameters(spec, parameters, where)
    environment = load_project_file(code.checkout.root).environment(scope.environment)
    moment = to_us(as_of) if as_of else home.ledger.clock.now_us()
    snapshot, versions = _snapshot(home, artifacts, runners, code, scope, as_of)
    return RunRequest(
        pipeline=spec.name,
        parameters=bound,
        engine=engine,
        seed=seed,
        as_of_us=moment,
        root=str(code.checkout.root),
        commit=code.checkout.commit,
        dirty=code.checkout.dirty,
        lock=code.runtime.digest,
        runtime=code.runtime.digest,
        model=spec.model,
        versions=versions,
        snapshot=snapshot,
        settings=dict(environment.settings),
        remote=remote,
    )


def enter(home: Home, scope: Scope, spec: PipelineSpec, request: RunRequest, firing: Firing) -> PipelineRun | None:
    """Enter a run with its event and tracking record; None when the trigger's event had begun one before."""
    run_id, configuration = new_id("run"), configuration_of(spec, request)
    with within(scope), home.ledger.write() as tx:
        if firing.event is not None and not _claim(tx, scope, spec.name, firing, run_id):
            return None
        same = store.text(tx, store.SAME_CONFIGURATION, scope.project, spec.name, configuration)
        with because(*_grounds(tx, scope, request)):
            seq = tx.emit(_started(spec, request, firing, configuration, same), run_id)
        context, moment = current_context(), now_us()
        tx.execute(
            store.INSERT_RUN,
            (
                run_id, scope.project, scope.environment, spec.name, firing.kind, request.engine,
                msgspec.json.encode(request).decode(), spec.code, configuration, moment + LEASE_US,
                context.actor, context.role, moment, seq,
            ),
        )  # fmt: skip
        begin_run(tx, _tracked(run_id, spec, request, same))
        if request.snapshot is not None:
            refer(tx, request.snapshot, run_id, "snapshot")
        row = store.one(tx, store.SELECT_RUN, run_id)
    return as_run(row) if row else None


def _grounds(tx: Transaction, scope: Scope, request: RunRequest) -> list[int]:
    """Return what a run rests on: the release that the environment was pointed to, and the versions of its data."""
    pointer = current_release(tx, scope)
    released = [pointer.event] if pointer is not None and pointer.commit == request.commit else []
    held = current_versions(tx, scope)
    return released + [version.event for name, version in held.items() if request.versions.get(name) == version.id]


def configuration_of(spec: PipelineSpec, request: RunRequest) -> str:
    """Return the digest of what K-20 compares: algorithm (all code reached), parameters, seed and locked packages."""
    entries = [spec.name, spec.code, request.parameters, request.seed, request.lock]
    return content_id(msgspec.json.encode(["bucle.configuration/1", *entries], order="sorted"))


def _started(spec: PipelineSpec, request: RunRequest, firing: Firing, configuration: str, same: str | None) -> RunStarted:
    return RunStarted(
        pipeline=spec.name,
        trigger=firing.kind,
        engine=request.engine,
        commit=request.commit,
        dirty=request.dirty,
        lock=request.lock,
        code=spec.code,
        parameters=request.parameters,
        configuration=configuration,
        same_configuration_as=same,
        as_of=from_us(request.as_of_us),
        seed=request.seed,
    )


def _tracked(run_id: str, spec: PipelineSpec, request: RunRequest, same: str | None) -> RunStart:
    tags = {"pipeline": spec.target, "code": spec.code} | ({"same_configuration_as": same} if same else {})
    return RunStart(
        name=spec.name,
        kind="pipeline",
        experiment=spec.name,
        commit=request.commit,
        dirty=request.dirty,
        lock=request.lock,
        as_of_us=request.as_of_us,
        data=tuple(DataUse(source, version) for source, version in sorted(request.versions.items())),
        params=request.parameters,
        tags=tags,
        seed=request.seed,
        engine=request.engine,
        id=run_id,
    )


def _claim(tx: Transaction, scope: Scope, pipeline: str, firing: Firing, run_id: str) -> bool:
    values = (firing.event, scope.project, scope.environment, pipeline, firing.kind, run_id)
    return tx.execute(store.INSERT_FIRING, values) == 1


def _snapshot(
    home: Home, artifacts: ArtifactStore, runners: RunnerPool, code: Code, scope: Scope, as_of: datetime | None
) -> tuple[str | None, dict[str, str]]:
    """Fix which data the run sees: versions of all sources, as of one moment.

    Taken in first are changed files in `dev`, and elsewhere sources that a release that has just come still waits for.
    """
    sources = [each.name for each in code.description.of("source")]
    if not sources:
        return None, {}
    with home.ledger.read() as reader:
        held = {} if scope.environment == DEV else current_versions(reader, scope)
    for name in sources:
        if name not in held:
            ingest(home, artifacts, runners, code, scope, name)
    if not code.checkout.dirty:  # a rule that is still being edited is no rule yet: its commit may say why it changed (K-F1)
        record_rules_of(home, code, scope)
    snapshot = take_snapshot(home, code, scope, as_of)
    return artifacts.put_json(snapshot), snapshot.ids()
