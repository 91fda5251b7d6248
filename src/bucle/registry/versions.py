"""Model versions: what was registered, on which evidence, and which of its gates it passed (K-C6, K-23)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import msgspec

from bucle.artifacts import refer
from bucle.ledger import Reader, Row, Transaction, because, current_context, from_us, new_id
from bucle.messages import Phrase
from bucle.registry import store
from bucle.registry.errors import BadReference, RetiredVersion, UnknownModel, UnknownVersion
from bucle.registry.evaluations import Evaluation
from bucle.registry.events import GateJudged, VersionRegistered
from bucle.registry.gates import GateKind, GateResult
from bucle.registry.packages import Package, Signature

Stage = Literal["registered", "staging", "production", "archived"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


class VersionDraft(msgspec.Struct, frozen=True):
    """What a version is made of. Without an evaluation it is registered with a failed gate that says so (K-P6).

    `previous` is the id of the version that it may follow: the one in production, else the newest (G1-md).
    """

    model: str
    package: Package
    run: str | None = None
    evaluation: Evaluation | None = None
    gates: tuple[GateResult, ...] = ()
    previous: str | None = None
    commit: str | None = None
    lock: str | None = None
    as_of_us: int | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A named person's decision to let a version pass a gate that it had failed."""

    actor: str
    role: str
    reason: str
    at: datetime
    event: int


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What a gate found, the event that says so, and the waiver if there is one."""

    name: str
    kind: GateKind
    passed: bool
    evidence: dict[str, object]
    reason: str
    event: int
    waiver: Waiver | None
    said: Phrase | None = None

    def told(self, lang: str) -> "GateRecord":
        """Return the record with its reason in a language; what a project's own function said stays as it is."""
        return replace(self, reason=self.said.text(lang)) if self.said else self

    @property
    def cleared(self) -> bool:
        """Whether the gate passed or was waived."""
        return self.passed or self.waiver is not None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model as the ledger holds it; `event` is the seq of its registration."""

    id: str
    project: str
    environment: str
    model: str
    version: int
    run: str | None
    package: Package
    evaluation: Evaluation | None
    gates: tuple[GateRecord, ...]
    aliases: tuple[str, ...]
    stage: Stage
    previous: str | None
    commit: str | None
    lock: str | None
    as_of: datetime | None
    created: datetime
    actor: str
    event: int
    retired: str | None

    @property
    def name(self) -> str:
        """The name for people: `delay@7`."""
        return f"{self.model}@{self.version}"

    def told(self, lang: str) -> "ModelVersion":
        """Return the version with the reasons of its gates in a language."""
        return replace(self, gates=tuple(gate.told(lang) for gate in self.gates))

    @property
    def signature(self) -> Signature:
        """What the model takes and answers."""
        return self.package.signature

    @property
    def passed(self) -> bool:
        """Whether every gate passed or was waived."""
        return bool(self.gates) and all(gate.cleared for gate in self.gates)

    @property
    def failed(self) -> tuple[GateRecord, ...]:
        """The gates that neither passed nor were waived."""
        return tuple(gate for gate in self.gates if not gate.cleared)

    @property
    def evidence(self) -> tuple[int, ...]:
        """The seqs that a decision about this version rests on: its registration, its gates, their waivers."""
        waived = [gate.waiver.event for gate in self.gates if gate.waiver is not None]
        return (self.event, *(gate.event for gate in self.gates), *waived)


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model's name and how many versions it has; `production` is the number of the one in production."""

    name: str
    versions: int
    newest: int
    production: int | None
    aliases: dict[str, int]


def register_version(tx: Transaction, draft: VersionDraft) -> ModelVersion:
    """Register a version in the scope of the context, with an event for each gate and its lineage.

    `registry.version_registered` is caused by the gates' events. Raises `registry/bad-reference` for a bad model name.
    """
    if not _NAME.fullmatch(draft.model):
        raise BadReference(text=draft.model)
    scope, id = current_context().scope, new_id("mv")
    number = store.next_number(tx, scope.project, draft.model)
    draft = msgspec.structs.replace(
        draft, gates=_with_evaluation_gate(draft), previous=draft.previous or _previous(tx, scope.project, draft.model)
    )
    seqs = [_judged(tx, id, number, draft, gate) for gate in draft.gates]
    event = VersionRegistered(
        model=draft.model,
        number=number,
        run=draft.run,
        package=draft.package.id,
        evaluation=draft.evaluation.id if draft.evaluation else None,
        passed=all(gate.passed for gate in draft.gates),
        failed=tuple(gate.name for gate in draft.gates if not gate.passed),
        previous=draft.previous,
    )
    with because(*seqs):
        seq = tx.emit(event, id)
    actor, where = current_context().actor, (scope.project, scope.environment)
    store.insert_version(tx, id, number, draft, where, tx.clock.now_us(), actor, seq)
    for ordinal, (gate, gate_seq) in enumerate(zip(draft.gates, seqs, strict=True)):
        store.insert_gate(tx, id, ordinal, gate, gate_seq)
    _enter_lineage(tx, id, number, draft, seq)
    return get_version(tx, scope.project, draft.model, number)


def get_version(
    reader: Reader | Transaction, project: str, model: str, reference: int | str = "latest", *, usable: bool = False
) -> ModelVersion:
    """Return a version by number, alias, stage ("production", "staging"), id, or the newest ("latest").

    With `usable` a retired one is refused: `registry/retired-version`. Raises `registry/unknown-model`,
    `registry/unknown-version`.
    """
    row = _find(reader, project, model, reference)
    if row is None:
        if not store.versions(reader, project, model, 1):
            raise UnknownModel(name=model)
        raise UnknownVersion(reference=f"{model}@{reference}")
    found = _as_version(reader, row)
    if usable and found.retired is not None:
        raise RetiredVersion(version=found.name)
    return found


def version_of_id(reader: Reader | Transaction, id: str, project: str | None = None) -> ModelVersion:
    """Return a version by its id. Raises `registry/unknown-version` (also for a version of another project)."""
    row = store.version_by_id(reader, id, project)
    if row is None:
        raise UnknownVersion(reference=id[:60])
    return _as_version(reader, row)


def find_version(reader: Reader | Transaction, project: str, text: str, *, usable: bool = False) -> ModelVersion:
    """Return the version that a text names: `delay@7`, `delay@champion`, `delay`, or an id. Raises as `get_version`."""
    if text.startswith("mv_"):
        found = version_of_id(reader, text, project)
        if usable and found.retired is not None:
            raise RetiredVersion(version=found.name)
        return found
    model, at, reference = text.partition("@")
    if not _NAME.fullmatch(model) or (at and not reference):
        raise BadReference(text=text[:60])
    return get_version(reader, project, model, reference or "latest", usable=usable)


def production_version(reader: Reader | Transaction, project: str, model: str) -> ModelVersion | None:
    """Return the version whose stage is production, or None."""
    rows = store.staged(reader, project, model, "production")
    return _as_version(reader, rows[0]) if rows else None


def list_versions(reader: Reader | Transaction, project: str, model: str | None = None, limit: int = 100) -> list[ModelVersion]:
    """Return the versions of a model, or of all models of the project, newest first."""
    return [_as_version(reader, row) for row in store.versions(reader, project, model, limit)]


def list_models(reader: Reader, project: str) -> list[ModelSummary]:
    """Return the models of a project by name."""
    found = []
    for row in store.models(reader, project):
        production = production_version(reader, project, row["model"])
        aliases = {
            each["alias"]: _number(reader, each["model_version"])
            for each in store.current_aliases(reader, project, row["model"])
        }
        found.append(
            ModelSummary(row["model"], row["versions"], row["newest"], production.version if production else None, aliases)
        )
    return found


def _find(reader: Reader | Transaction, project: str, model: str, reference: int | str) -> Row | None:
    if isinstance(reference, int) or (reference.isascii() and reference.isdecimal() and len(reference) < 18):
        return store.version_by_number(reader, project, model, int(reference))
    if reference == "latest":
        return store.newest_version(reader, project, model)
    if reference.startswith("mv_"):
        row = store.version_by_id(reader, reference, project)
        return row if row is not None and row["model"] == model else None
    for row in store.current_aliases(reader, project, model):
        if row["alias"] == reference:
            return store.version_by_id(reader, row["model_version"])
    if reference in ("production", "staging"):
        return next(iter(store.staged(reader, project, model, reference)), None)
    return None


def _with_evaluation_gate(draft: VersionDraft) -> tuple[GateResult, ...]:
    if draft.evaluation is not None:
        return draft.gates
    said = Phrase("gate.unevaluated")
    return (GateResult("evaluated", "evaluated", False, {}, str(said), said), *draft.gates)


def _previous(tx: Transaction, project: str, model: str) -> str | None:
    row = next(iter(store.staged(tx, project, model, "production")), None) or store.newest_version(tx, project, model)
    return str(row["id"]) if row is not None else None


def _judged(tx: Transaction, id: str, number: int, draft: VersionDraft, gate: GateResult) -> int:
    event = GateJudged(draft.model, number, draft.run, gate.name, gate.kind, gate.passed, gate.reason, gate.evidence)
    return tx.emit(event, id)


def _enter_lineage(tx: Transaction, id: str, number: int, draft: VersionDraft, seq: int) -> None:
    package = draft.package
    tx.node(id, "artifact", "model_version", f"{draft.model}@{number}", seq)
    kept = {package.id: "package", package.model: "model"} | {each.artifact: each.name for each in package.files}
    if draft.evaluation is not None:
        parts = {draft.evaluation.losses: "losses", draft.evaluation.hours: "hours"}
        kept |= {draft.evaluation.id: "evaluation"} | {artifact: role for artifact, role in parts.items() if artifact}
    for artifact, role in kept.items():
        tx.node(artifact, "artifact", role, f"{draft.model}@{number} {role}", seq)
        tx.edge(artifact, id, role, seq)
        refer(tx, artifact, id, role)
    if draft.run is not None:
        tx.edge(draft.run, id, "registered", seq)
    for kind, value, role in (("commit", draft.commit, "code"), ("lock", draft.lock, "runtime")):
        if value is not None:
            tx.node(f"{kind}:{value}", "artifact", kind, value[:20], seq)
            tx.edge(f"{kind}:{value}", id, role, seq)


def _number(reader: Reader | Transaction, id: str) -> int:
    row = store.version_by_id(reader, id)
    return int(row["version"]) if row is not None else 0


def _as_version(reader: Reader | Transaction, row: Row) -> ModelVersion:
    aliases = store.current_aliases(reader, row["project"], row["model"])
    return ModelVersion(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        model=row["model"],
        version=row["version"],
        run=row["run"],
        package=msgspec.json.decode(row["description"], type=Package),
        evaluation=msgspec.json.decode(row["findings"], type=Evaluation) if row["findings"] else None,
        gates=_gate_records(store.gates(reader, row["id"]), store.waivers(reader, row["id"])),
        aliases=tuple(each["alias"] for each in aliases if each["model_version"] == row["id"]),
        stage=row["stage"],
        previous=row["previous"],
        commit=row["commit_sha"],
        lock=row["lock_digest"],
        as_of=from_us(row["as_of_us"]) if row["as_of_us"] is not None else None,
        created=from_us(row["created_us"]),
        actor=row["actor"],
        event=row["event"],
        retired=row["retired"],
    )


def _gate_records(gates: Sequence[Row], waivers: Sequence[Row]) -> tuple[GateRecord, ...]:
    waived = {
        row["gate"]: Waiver(row["actor"], row["role"], row["reason"], from_us(row["at_us"]), row["event"]) for row in waivers
    }
    return tuple(
        GateRecord(
            row["name"],
            row["kind"],
            bool(row["passed"]),
            store.evidence(row),
            row["reason"],
            row["event"],
            waived.get(row["name"]),
            msgspec.json.decode(row["said"], type=Phrase) if row["said"] else None,
        )
        for row in gates
    )
