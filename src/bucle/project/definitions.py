"""Definitions: what a project declares in Python, each with its name and the line where it stands."""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, TypeVar, overload

import msgspec

from bucle.project.errors import DuplicateDefinition, UnknownDefinition, UnnamedDefinition
from bucle.project.nearest import suggest

_HOUSE = str(Path(__file__).parent.parent) + "/"
D = TypeVar("D", bound="Definition")


def declared_here(function: Callable[..., Any] | None = None) -> tuple[str, int]:
    """Return file and line of `function`, or of the nearest caller outside of bucle."""
    if function is not None:
        return function.__code__.co_filename, function.__code__.co_firstlineno
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame else ("", 0)


def _is_ours(file: str) -> bool:
    return file.startswith((_HOUSE, "<"))  # dataclasses and attrs run their __init__ from "<string>"


class Definition:
    """Base of everything that a project declares: a source, a feature view, a pipeline, a service.

    A subclass states its `kind` and says with `spec()` what others must know of it. File and line are those of the
    declaration; `declare_at(function)` moves them to a decorated function. The name is the one given to `bind`, else the
    loader binds the name of the variable.
    """

    kind: ClassVar[str]
    name: str = ""
    file: str = ""
    line: int = 0

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        made._place(*declared_here())
        return made

    def bind(self, name: str) -> None:
        """Give the definition its name, unless it has one."""
        if not self.name:
            object.__setattr__(self, "name", name)

    def declare_at(self, function: Callable[..., Any]) -> None:
        """Let the definition stand where `function` stands."""
        self._place(*declared_here(function))

    @property
    def where(self) -> str:
        """File and line of the declaration."""
        return f"{self.file}:{self.line}"

    def required_name(self) -> str:
        """Return the name. Raises `project/unnamed-definition` when there is none."""
        if not self.name:
            raise UnnamedDefinition(kind=self.kind, where=self.where)
        return self.name

    def spec(self) -> msgspec.Struct:
        """Return what others must know of this definition, as a struct that can be written as JSON."""
        raise TypeError(f"{type(self).__name__} has no spec()")

    def _place(self, file: str, line: int) -> None:
        object.__setattr__(self, "file", file)
        object.__setattr__(self, "line", line)


class Definitions:
    """All definitions of a project, in the order of their declaration."""

    def __init__(self, found: Iterable[Definition]) -> None:
        self._by_name: dict[tuple[str, str], Definition] = {}
        for definition in found:
            self._add(definition)

    def __iter__(self) -> Iterator[Definition]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @overload
    def of(self, kind: str) -> list[Definition]: ...
    @overload
    def of(self, kind: type[D]) -> list[D]: ...
    def of(self, kind: str | type[D]) -> list[Definition] | list[D]:
        """Return the definitions of a kind, given by its name or its class."""
        wanted = kind if isinstance(kind, str) else kind.kind
        return [definition for definition in self if definition.kind == wanted]

    @overload
    def get(self, kind: str, name: str) -> Definition: ...
    @overload
    def get(self, kind: type[D], name: str) -> D: ...
    def get(self, kind: str | type[D], name: str) -> Definition | D:
        """Return one definition. Raises `project/unknown-definition` naming the nearest."""
        wanted = kind if isinstance(kind, str) else kind.kind
        found = self._by_name.get((wanted, name))
        if found is None:
            raise UnknownDefinition(kind=wanted, name=name, hint=suggest(name, (each.name for each in self.of(wanted))))
        return found

    def _add(self, definition: Definition) -> None:
        key = (definition.kind, definition.required_name())
        other = self._by_name.setdefault(key, definition)
        if other is not definition:
            raise DuplicateDefinition(kind=definition.kind, name=definition.name, other=other.where, where=definition.where)
