"""Evidence of the feature store: which rules views and training sets had at which commit (K-7, K-F1), who read them (K-13)."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from bucle.features import store
from bucle.features.events import FeatureRulesRecorded, FrameRead
from bucle.features.training import TrainingSetSpec
from bucle.features.views import ViewSpec
from bucle.ledger import Transaction, because, current_context

if TYPE_CHECKING:
    from bucle.project import DefinitionRecord, ProjectDescription


def record_rules(
    transaction: Transaction,
    description: "ProjectDescription",
    commit: str | None,
    because_run: Callable[[], str | None] = lambda: None,
) -> list[int]:
    """Record the rules of each view and training set that differ from the last recorded; return the seqs of their events.

    `because_run` gives the run that the commit's trailer `Bucle-Run:` names, and is asked only for rules that changed. The
    project is that of the context.
    """
    seqs = []
    for record in description.definitions:
        digest = _digest(record)
        seq = _record(transaction, record, digest, commit, because_run) if digest else None
        if seq is not None:
            seqs.append(seq)
    return seqs


def record_read(transaction: Transaction, what: str, rows: int, as_of: datetime, versions: dict[str, str]) -> int:
    """Record that somebody read features offline, outside of a run (K-13); return the event's seq."""
    return transaction.emit(FrameRead(what, rows, as_of, versions, "offline"), what)


def _digest(record: "DefinitionRecord") -> str | None:
    if record.kind == "view":
        return msgspec.convert(record.spec, ViewSpec).digest
    if record.kind == "training_set":
        return msgspec.convert(record.spec, TrainingSetSpec).digest
    return None


def _record(
    transaction: Transaction,
    record: "DefinitionRecord",
    digest: str,
    commit: str | None,
    because_run: Callable[[], str | None],
) -> int | None:
    project = current_context().scope.project
    before = transaction.row(store.SELECT_RULES_BEFORE, (project, record.kind, record.name))
    if before is not None and before[0] == digest:
        return None
    known = transaction.row(store.SELECT_RULES, (project, record.kind, record.name, digest, commit or ""))
    if known is not None:
        return None
    event = FeatureRulesRecorded(
        definition_kind=record.kind,
        name=record.name,
        digest=digest,
        before=before[0] if before else None,
        commit=commit,
        because_run=because_run(),
        where=record.where,
    )
    with because(before[1] if before else None):
        seq = transaction.emit(event, record.name)
    transaction.execute(store.INSERT_RULES, (project, record.kind, record.name, digest, commit or "", seq))
    return seq
