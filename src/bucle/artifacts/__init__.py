"""Artifacts: content-addressed bytes, written all or not at all, kept while something refers to them."""

from bucle.artifacts.content import ArtifactStore
from bucle.artifacts.errors import BadArtifactId, CorruptArtifact, MissingArtifact
from bucle.artifacts.identity import check_id
from bucle.artifacts.references import (
    GarbageReport,
    Reference,
    collect_garbage,
    refer,
    references_to,
    release_references,
)

__all__ = [
    "ArtifactStore",
    "BadArtifactId",
    "CorruptArtifact",
    "GarbageReport",
    "MissingArtifact",
    "Reference",
    "check_id",
    "collect_garbage",
    "refer",
    "references_to",
    "release_references",
]
