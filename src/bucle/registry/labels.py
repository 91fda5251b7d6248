"""What people and delivery write on versions: waivers, aliases with their history, stages, retirement. They route nothing."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from bucle.ledger import Reader, Transaction, because, current_context, from_us
from bucle.registry import store
from bucle.registry.errors import BadAlias, BadWaiver, RetiredVersion, UnknownGate, UnknownVersion
from bucle.registry.events import AliasRemoved, AliasSet, GateWaived, StageChanged, VersionRetired
from bucle.registry.versions import ModelVersion, Stage, version_of_id

_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,59}")
_TAKEN = frozenset({"latest", *get_args(Stage)})
"""What a reference means already: an alias `production` could name another version than the one in production."""
SHORTEST_REASON = 10
"""A reason is a sentence that somebody can read a year later."""


@dataclass(frozen=True, slots=True)
class AliasChange:
    """What an alias has pointed to since `at`; `version` is None where it was removed."""

    alias: str
    version: str | None
    at: datetime
    actor: str
    event: int


def waive_gate(tx: Transaction, version_id: str, gate: str, reason: str) -> ModelVersion:
    """Let a version pass a gate that it failed, in the name of the context's actor; the gate's verdict stays as it was.

    Raises `registry/unknown-gate`, `registry/bad-waiver`.
    """
    version = version_of_id(tx, version_id)
    held = next((each for each in version.gates if each.name == gate), None)
    if held is None:
        raise UnknownGate(version=version.name, name=gate[:60], gates=", ".join(each.name for each in version.gates))
    if held.cleared:
        raise BadWaiver(gate=gate, problem="it passed" if held.passed else "it is waived already")
    must_be_a_word(gate, reason)
    context = current_context()
    with because(held.event, version.event):
        seq = tx.emit(GateWaived(version.model, version.version, gate, reason.strip()), version.id)
    values = (version.id, gate, context.actor, context.role, reason.strip(), tx.clock.now_us(), seq)
    tx.execute(store.INSERT_WAIVER, values)
    return version_of_id(tx, version_id)


def must_be_a_word(gate: str, reason: str) -> None:
    """Raise `registry/bad-waiver` unless a person waives, and says why."""
    context = current_context()
    if context.role == "system" or not context.actor or ":" in context.actor:
        raise BadWaiver(gate=gate, problem="no person is named")
    if len(reason.strip()) < SHORTEST_REASON:
        raise BadWaiver(gate=gate, problem=f"the reason has fewer than {SHORTEST_REASON} characters")


def set_alias(tx: Transaction, version_id: str, alias: str) -> ModelVersion:
    """Let an alias of the model point to a version. Raises `registry/bad-alias`, `registry/retired-version`."""
    if not _ALIAS.fullmatch(alias) or alias in _TAKEN or alias.startswith("mv_"):
        raise BadAlias(alias=alias[:60])
    version = version_of_id(tx, version_id)
    if version.retired is not None:
        raise RetiredVersion(version=version.name)
    previous = _pointed(tx, version.project, version.model, alias)
    if previous != version.id:
        with because(version.event):
            seq = tx.emit(AliasSet(version.model, alias, version.version, previous), version.id)
        _write_alias(tx, version, alias, version.id, seq)
    return version_of_id(tx, version_id)


def remove_alias(tx: Transaction, project: str, model: str, alias: str) -> None:
    """Let an alias point to nothing; its history stays. Raises `registry/unknown-version` when it does not point to any."""
    pointed = _pointed(tx, project, model, alias)
    if pointed is None:
        raise UnknownVersion(reference=f"{model}@{alias[:60]}")
    version = version_of_id(tx, pointed)
    seq = tx.emit(AliasRemoved(model, alias, pointed), pointed)
    _write_alias(tx, version, alias, None, seq)


def alias_history(reader: Reader | Transaction, project: str, model: str, alias: str) -> list[AliasChange]:
    """Return what an alias has pointed to, newest first."""
    rows = store.alias_rows(reader, project, model, alias)
    return [AliasChange(alias, row["model_version"], from_us(row["at_us"]), row["actor"], row["event"]) for row in rows]


def set_stage(tx: Transaction, version_id: str, stage: Stage) -> int | None:
    """Give a version a stage and return the event's seq, None when it has it already.

    A version that enters staging or production sends the one that was there to the archive. Raises `registry/retired-version`.
    """
    version = version_of_id(tx, version_id)
    if version.retired is not None:
        raise RetiredVersion(version=version.name)
    if version.stage == stage:
        return None
    seq = _change_stage(tx, version, stage)
    if stage in ("staging", "production"):
        for row in store.staged(tx, version.project, version.model, stage):
            if row["id"] != version.id:
                with because(seq):
                    _change_stage(tx, version_of_id(tx, row["id"]), "archived")
    return seq


def retire_version(tx: Transaction, version_id: str, reason: str) -> ModelVersion:
    """Say that a version must not be used any more. Raises `registry/retired-version` when it was retired before."""
    version = version_of_id(tx, version_id)
    if version.retired is not None:
        raise RetiredVersion(version=version.name)
    with because(version.event):
        seq = tx.emit(VersionRetired(version.model, version.version, reason), version.id)
    store.set_retired(tx, version.id, reason)
    if version.stage != "archived":
        with because(seq):
            _change_stage(tx, version, "archived")
    return version_of_id(tx, version_id)


def _change_stage(tx: Transaction, version: ModelVersion, stage: Stage) -> int:
    with because(version.event):
        seq = tx.emit(StageChanged(version.model, version.version, version.stage, stage), version.id)
    store.set_stage(tx, version.id, stage)
    return seq


def _pointed(reader: Reader | Transaction, project: str, model: str, alias: str) -> str | None:
    rows = store.alias_rows(reader, project, model, alias)
    return rows[0]["model_version"] if rows else None


def _write_alias(tx: Transaction, version: ModelVersion, alias: str, to: str | None, seq: int) -> None:
    values = (version.project, version.model, alias, to, tx.clock.now_us(), current_context().actor, seq)
    tx.execute(store.INSERT_ALIAS, values)
