"""What a value is between steps: a reference to content, and the codec that turns it back."""

from pathlib import Path
from typing import Protocol

import msgspec

from bucle.artifacts import ArtifactStore


class ValueRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stored value: `artifact` is its content id; `parts` are the values inside (a tuple's items, frames in a dict).

    `type` is the Python type, for people; `name` a file's own name; `size` in bytes.
    """

    codec: str
    artifact: str
    type: str = ""
    name: str = ""
    size: int = 0
    parts: tuple["ValueRef", ...] = ()


def identity(ref: ValueRef) -> str:
    """Return what makes two values the same input: content, codec and a file's name."""
    return f"{ref.codec}:{ref.name}:{ref.artifact}"


def contents(ref: ValueRef) -> list[str]:
    """Return the ids of all artifacts that a value is made of, its own first."""
    return [ref.artifact, *(id for part in ref.parts for id in contents(part))]


class Codec(Protocol):
    """Bytes for one family of types. `encode` gives the same bytes for equal values; `decode` runs no stored code."""

    name: str

    def takes(self, value: object) -> bool:
        """Whether the value is of this family; imports nothing heavy to find out."""

    def encode(self, value: object, store: ArtifactStore) -> ValueRef:
        """Store the value and return its reference."""

    def decode(self, ref: ValueRef, store: ArtifactStore, scratch: Path) -> object:
        """Return the value; files that it needs by name go to `scratch`."""
