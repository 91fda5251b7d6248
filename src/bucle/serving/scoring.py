"""Runs in a child: a file's rows, each with the features of its own moment from the offline store, and the model's answers."""

from typing import TYPE_CHECKING, Any

import msgspec

from bucle.data import Snapshot
from bucle.serving.contract import Contract, Encoder, Value
from bucle.serving.errors import ContractBroken
from bucle.serving.files import fitted, moments_of, read_records
from bucle.serving.worker import answer_vectors

if TYPE_CHECKING:
    import polars as pl

    from bucle.artifacts import ArtifactStore
    from bucle.runtimes import Child


class ScoreOrder(msgspec.Struct, frozen=True):
    """Score the rows of an artifact, which is a file of a kind; rows without a moment of their own are of `now_us`."""

    rows: str
    kind: str
    name: str
    contract: Contract
    package: str
    snapshot: Snapshot
    now_us: int


class ScoredRow(msgspec.Struct, frozen=True, array_like=True):
    """A row's key, moment, inputs in signature order, the model's answer (None: not finite) and inputs of unseen category."""

    key: Value
    moment_us: int
    inputs: list[Value]
    output: float | None
    unseen: tuple[str, ...]


class Scored(msgspec.Struct, frozen=True):
    """The artifact that holds the scored rows as JSON."""

    rows: str


def score_in_child(order: ScoreOrder, child: "Child") -> Scored:
    """Entry point: read, join, encode, answer. Raises the errors of requests, naming the file's rows from 0."""
    from bucle.artifacts import ArtifactStore

    store, contract = ArtifactStore(child.artifacts), order.contract
    encoder = Encoder(contract)
    records = read_records(store.path(order.rows), order.kind, order.name)
    moments = moments_of(records, contract.time, order.now_us)
    rows = [fitted(record, encoder.fields) for record in records]
    encoder.check(rows)
    encoded = encoder.encode(rows, _features(store, child, order, rows, moments))
    outputs = answer_vectors(order.package, encoded.vectors, child) if rows else []
    keys = [row[contract.key] if contract.key else None for row in rows]
    scored = [ScoredRow(*each) for each in zip(keys, moments.to_list(), encoded.values, outputs, encoded.unseen, strict=True)]
    return Scored(store.put_bytes(msgspec.json.encode(scored)))


def _features(
    store: "ArtifactStore", child: "Child", order: ScoreOrder, rows: list[dict[str, Value]], moments: "pl.Series"
) -> list[dict[str, Any]]:
    """Return the features of each row as of its moment. Raises `serving/contract-broken` for a view that is gone."""
    import polars as pl

    from bucle.features import FRAME_TIME, TrainingSet, offline_features

    if not order.contract.views or not rows:
        return [{} for _ in rows]
    keys = sorted({key for view in order.contract.views for key in view.spine_keys})
    columns = [pl.Series(key, [row[key] for row in rows]) for key in keys]
    spine = pl.DataFrame([*columns, moments.cast(pl.Datetime("us", "UTC")).alias(FRAME_TIME)])
    wanted = {(view.name, view.prefix) for view in order.contract.views}
    found: dict[tuple[str, str], list[pl.Series]] = {}
    for declared in child.definitions().of(TrainingSet):
        for reference in declared.features:
            spec = reference.spec()
            place = (spec.name, spec.prefix)
            if place in wanted and place not in found:
                found[place] = offline_features(store, order.snapshot, reference, spine)
    gone = sorted(name for name, _ in wanted - found.keys())
    if gone:  # a working tree may have changed since the deployment; its features would pass for missing values
        raise ContractBroken(version=f"of {order.contract.service}", view=gone[0])
    return pl.DataFrame([column for series in found.values() for column in series]).to_dicts()
