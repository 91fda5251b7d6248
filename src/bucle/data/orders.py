"""What the parent asks a child of this room to do, and what it gets back."""

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from bucle.data.events import LabelCount
from bucle.data.manifests import RawFile
from bucle.data.reports import ValidationReport
from bucle.data.schemas import Schema
from bucle.data.sources import SourceSpec

if TYPE_CHECKING:
    import polars as pl


class IngestOrder(msgspec.Struct, frozen=True):
    """Clean the files at `paths` (unless `manifest` says that it is done), then profile, validate and look for leaks."""

    spec: SourceSpec
    paths: list[str]
    files: tuple[RawFile, ...]
    schema: Schema | None
    as_of_us: int
    manifest: str | None = None


class IngestResult(msgspec.Struct, frozen=True):
    """What came of it; `manifest`, `profile` and `report` are artifact ids, `outcome` and the rest are the report's."""

    manifest: str
    rows: int
    undated: int
    first_us: int | None
    last_us: int | None
    format: str
    profile: str
    visible: int
    null_shares: dict[str, float]
    labels: list[LabelCount]
    report: str
    validation: ValidationReport


class InferOrder(msgspec.Struct, frozen=True):
    """Infer a schema from what a version shows at a moment."""

    spec: SourceSpec
    manifest: str
    as_of_us: int


class DiffOrder(msgspec.Struct, frozen=True):
    """Compare two versions."""

    ids: tuple[str, str]
    manifests: tuple[str, str]


class LabelDefinition(Protocol):
    """What this room reads of a training set's label, which a room above declares."""

    name: str
    expression: "pl.Expr"

    @property
    def delay(self) -> timedelta: ...


class SpineDefinition(Protocol):
    """What this room reads of a training set, which a room above declares: which rows are predicted, with which columns."""

    name: str
    file: str
    line: int
    columns: list[str]
    label: LabelDefinition

    @property
    def spine_name(self) -> str: ...
