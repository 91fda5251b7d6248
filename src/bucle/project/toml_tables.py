"""A table of a TOML file that is read strictly: what is wrong is said with its line and the nearest right thing."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bucle.project.errors import BadValue, UnknownKey, WrongType
from bucle.project.nearest import nearest
from bucle.project.toml_lines import line_of

_TYPE_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


class TomlTable:
    """A table of the file that gives out its keys by type, and knows where each stands."""

    def __init__(self, values: Mapping[str, Any], path: tuple[str, ...], text: str, file: Path) -> None:
        self.values, self.path, self._text, self.file = values, path, text, file

    def where(self, *keys: str) -> str:
        return f"{self.file}:{line_of(self._text, self.path + keys)}"

    def name(self, key: str) -> str:
        return ".".join((*self.path, key))

    def only(self, *known: str) -> None:
        for key in self.values:
            if key not in known:
                raise UnknownKey(key=self.name(key), near=nearest(key, known), where=self.where(key))

    def get(self, key: str, kind: type | tuple[type, ...], default: Any = None, wanted: str | None = None) -> Any:
        if key not in self.values:
            return default
        value = self.values[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            found = _TYPE_NAMES.get(type(value), type(value).__name__)
            raise WrongType(key=self.name(key), wanted=wanted or _TYPE_NAMES[kinds[0]], found=found, where=self.where(key))
        return value

    def text(self, key: str, default: str = "") -> str:
        value: str = self.get(key, str, default)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self.items(key, str, "a list of texts"))

    def items(self, key: str, kind: type, wanted: str) -> list[Any]:
        values: list[Any] = self.get(key, list, [], wanted)
        for value in values:
            if not isinstance(value, kind) or isinstance(value, bool):
                found = f"a list with {_TYPE_NAMES.get(type(value), type(value).__name__)}"
                raise WrongType(key=self.name(key), wanted=wanted, found=found, where=self.where(key))
        return values

    def choice(self, key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
        if value not in allowed:
            raise BadValue(key=self.name(key), value=value, allowed=", ".join(map(str, allowed)), where=self.where(key))
        return value

    def table(self, key: str) -> "TomlTable":
        return TomlTable(self.get(key, dict, {}), (*self.path, key), self._text, self.file)

    def tables(self) -> Iterator[tuple[str, "TomlTable"]]:
        return ((key, self.table(key)) for key in self.values)
