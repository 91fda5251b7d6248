"""Entities: what features describe, and the columns that tell one from another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from bucle.features.errors import BadDefinition
from bucle.project import Definition


class EntitySpec(msgspec.Struct, frozen=True):
    """An entity as data."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Entity(Definition):
    """What features describe: `Entity("airport", key="origin")`; several columns make a composite key, none a global entity.

    Keys are compared by type and value, each part of its own (1 is not "1"). Raises `features/bad-definition`.
    """

    kind: ClassVar[str] = "entity"
    name: str = ""
    key: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        if not all(isinstance(key, str) and key for key in self.keys) or len(set(self.keys)) < len(self.keys):
            raise BadDefinition(definition=f"The entity {self.name!r}", reason="its keys must be distinct column names")

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's columns in order."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)

    def spec(self) -> EntitySpec:
        """Return the entity as data."""
        return EntitySpec(self.required_name(), self.keys)
