"""Routes of models and their versions: what was registered on which evidence, waivers, aliases, stages, retirement."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bucle.ledger import Reader, Transaction, within
from bucle.registry import (
    AliasChange,
    Evaluation,
    GateRecord,
    ModelSummary,
    ModelVersion,
    Package,
    alias_history,
    find_version,
    get_version,
    list_models,
    list_versions,
    remove_alias,
    retire_version,
    set_alias,
    waive_gate,
)
from bucle.server.routing import Body, Call, Route

if TYPE_CHECKING:
    from starlette.responses import FileResponse

_MODELS = "/api/v1/projects/{project}/models"
_VERSION = f"{_MODELS}/{{model}}/versions/{{version}}"


class WaiveBody(Body, frozen=True):
    """Which gate is waived, and why."""

    gate: str
    reason: str


class AliasBody(Body, frozen=True):
    """The version that an alias shall point to: a number, another alias, or a stage."""

    version: str


class RetireBody(Body, frozen=True):
    """Why a version must not be used any more."""

    reason: str


class VersionRow(msgspec.Struct, frozen=True):
    """A version in a list."""

    id: str
    name: str
    model: str
    version: int
    environment: str
    stage: str
    passed: bool
    failed: tuple[str, ...]
    aliases: tuple[str, ...]
    metrics: dict[str, float]
    run: str | None
    commit: str | None
    created: datetime
    actor: str
    retired: str | None


class VersionView(msgspec.Struct, frozen=True):
    """A version with its package, its evaluation and what its gates found; `evidence` are the seqs of the events."""

    row: VersionRow
    package: Package
    evaluation: Evaluation | None
    gates: tuple[GateRecord, ...]
    previous: str | None
    changed: tuple[str, ...]
    lock: str | None
    as_of: datetime | None
    evidence: tuple[int, ...]


class ModelView(msgspec.Struct, frozen=True):
    """A model with its versions, newest first."""

    name: str
    versions: tuple[VersionRow, ...]


def models(call: Call) -> list[ModelSummary]:
    """List the project's models."""
    with call.house.ledger.read() as reader:
        return list_models(reader, call.scope.project)


def model(call: Call) -> ModelView:
    """List a model's versions."""
    name = call.path["model"]
    with call.house.ledger.read() as reader:
        found = list_versions(reader, call.scope.project, name, call.number("limit", 100, 1, 1000))
        if not found:
            get_version(reader, call.scope.project, name)
    return ModelView(name, tuple(_row(version) for version in found))


def version(call: Call) -> VersionView:
    """Show one version."""
    with call.house.ledger.read() as reader:
        found = _found(reader, call)
        before = find_version(reader, call.scope.project, found.previous) if found.previous else None
    return _view(found, before, call.language)


def download(call: Call) -> "FileResponse":
    """Return the bytes of a version's model, as a download."""
    from starlette.responses import FileResponse

    with call.house.ledger.read() as reader:
        found = _found(reader, call)
    path = call.house.artifacts.path(found.package.model)
    return FileResponse(path, media_type="application/octet-stream", filename=f"{found.model}-{found.version}.skops")


def waive(call: Call) -> VersionView:
    """Waive a gate that a version failed."""
    return _changed(call, "registry.waive", lambda tx, found: waive_gate(tx, found.id, call.body.gate, call.body.reason))


def retire(call: Call) -> VersionView:
    """Retire a version."""
    return _changed(call, "registry.write", lambda tx, found: retire_version(tx, found.id, call.body.reason))


def point_alias(call: Call) -> VersionView:
    """Let an alias point to a version."""
    with call.house.ledger.write() as tx:
        found = get_version(tx, call.scope.project, call.path["model"], call.body.version)
        with within(call.own("registry.write", found.environment)):
            return _view(set_alias(tx, found.id, call.path["alias"]), None, call.language)


def drop_alias(call: Call) -> None:
    """Let an alias point to nothing."""
    with call.house.ledger.write() as tx:
        found = get_version(tx, call.scope.project, call.path["model"], call.path["alias"])
        with within(call.own("registry.write", found.environment)):
            remove_alias(tx, found.project, found.model, call.path["alias"])


def alias(call: Call) -> list[AliasChange]:
    """Show what an alias has pointed to."""
    with call.house.ledger.read() as reader:
        return alias_history(reader, call.scope.project, call.path["model"], call.path["alias"])


def _changed(call: Call, permission: str, change: Callable[[Transaction, ModelVersion], ModelVersion]) -> VersionView:
    with call.house.ledger.write() as tx:
        found = _found(tx, call)
        with within(call.own(permission, found.environment)):
            return _view(change(tx, found), None, call.language)


def _found(reader: Reader | Transaction, call: Call) -> ModelVersion:
    return get_version(reader, call.scope.project, call.path["model"], call.path["version"])


def _view(found: ModelVersion, before: ModelVersion | None, lang: str) -> VersionView:
    return VersionView(
        row=_row(found),
        package=found.package,
        evaluation=found.evaluation,
        gates=found.told(lang).gates,
        previous=found.previous,
        changed=tuple(before.signature.difference(found.signature)) if before is not None else (),
        lock=found.lock,
        as_of=found.as_of,
        evidence=found.evidence,
    )


def _row(found: ModelVersion) -> VersionRow:
    return VersionRow(
        id=found.id,
        name=found.name,
        model=found.model,
        version=found.version,
        environment=found.environment,
        stage=found.stage,
        passed=found.passed,
        failed=tuple(gate.name for gate in found.failed),
        aliases=found.aliases,
        metrics=found.evaluation.metrics if found.evaluation is not None else {},
        run=found.run,
        commit=found.commit,
        created=found.created,
        actor=found.actor,
        retired=found.retired,
    )


ROUTES = [
    Route("GET", _MODELS, models, "registry.read", "List the project's models"),
    Route("GET", f"{_MODELS}/{{model}}", model, "registry.read", "List a model's versions, newest first", query=("limit",)),
    Route("GET", _VERSION, version, "registry.read", "Show a version by number, alias, stage or `latest`"),
    Route("GET", f"{_VERSION}/package", download, "registry.read", "Download the bytes of a version's model"),
    Route(
        "POST", f"{_VERSION}/waivers", waive, "registry.waive", "Waive a gate that a version failed, with a reason", WaiveBody
    ),
    Route("POST", f"{_VERSION}/retirement", retire, "registry.write", "Retire a version, with a reason", RetireBody),
    Route("GET", f"{_MODELS}/{{model}}/aliases/{{alias}}", alias, "registry.read", "Show what an alias has pointed to"),
    Route(
        "PUT",
        f"{_MODELS}/{{model}}/aliases/{{alias}}",
        point_alias,
        "registry.write",
        "Let an alias point to a version",
        AliasBody,
    ),
    Route("DELETE", f"{_MODELS}/{{model}}/aliases/{{alias}}", drop_alias, "registry.write", "Let an alias point to nothing"),
]
