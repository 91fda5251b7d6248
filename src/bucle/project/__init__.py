"""What a project is: its file, its charter, its definitions, and the code that they reach."""

from bucle.project.canonical import NotCanonical, canonical_bytes, digest_of
from bucle.project.closure import Closure, code_closure

__all__ = ["Closure", "NotCanonical", "canonical_bytes", "code_closure", "digest_of"]
