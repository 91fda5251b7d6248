"""Schemas: what the columns of a source are expected to be; inferred once, reviewed by a person, kept in the project's tree."""

import json
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from bucle.data.errors import BadSchema
from bucle.project import digest_of

ColumnType = Literal["integer", "number", "text", "boolean", "instant", "date", "duration", "other"]


class ColumnSchema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One column: type, largest share of nulls, domain or range, and how much of it may differ.

    `tolerance` is the share of values that may lie outside `values` or `least` to `most` in a partition; `skew` the population
    stability index of a partition against all before it that counts as changed, 0 for never.
    """

    type: ColumnType
    nulls: float = 1.0
    values: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    tolerance: float = 0.0
    skew: float = 0.0


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A source's columns; `unique` identify a row together; `freshness` is how old the newest row may be, such as "3d".

    `file` and `lines` say where each column stands in the reviewed file; they are no part of the schema's digest.
    """

    source: str
    columns: dict[str, ColumnSchema]
    unique: tuple[str, ...] = ()
    freshness: str | None = None
    file: str | None = None
    lines: dict[str, int] = {}

    @property
    def digest(self) -> str:
        """The digest of what the schema demands."""
        plain = msgspec.structs.replace(self, file=None, lines={})
        return "schema:" + digest_of(msgspec.json.encode(plain, order="sorted"))

    def where(self, column: str) -> str | None:
        """Return file and line of a column's table, or the file for one that is not in it."""
        return f"{self.file}:{self.lines.get(column, 1)}" if self.file else None


def schema_path(source: str) -> str:
    """Return where the reviewed schema of a source stands in the project's tree."""
    return f"schemas/{source}.toml"


def load_schema(root: Path, source: str) -> Schema | None:
    """Return the reviewed schema of a source in the tree at `root`, None without one. Raises `data/bad-schema`."""
    file = schema_path(source)
    path = root / file
    if not path.is_file():
        return None
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
        if "file" in document or "lines" in document:
            raise BadSchema(file=file, reason="it has keys that no schema has: file, lines", where=f"{file}:1")
        schema = msgspec.convert(document, Schema)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise BadSchema(file=file, reason=_plain(error), where=f"{file}:{_line(error, path)}") from error
    if schema.source != source:
        reason = f"it says source = {schema.source!r}"
        raise BadSchema(file=file, reason=reason, where=f"{file}:1")
    return msgspec.structs.replace(schema, file=file, lines=_lines(text, schema))


def write_schema(schema: Schema, made_from: str) -> str:
    """Return the TOML text of a schema for a person to review."""
    lines = [
        f"# Inferred from {made_from}. Review each line: from now on it decides what stops and what warns.",
        "# A column that is missing, unexpected, of another type, with too many nulls or too many values outside of its",
        "# values or range stops the version; a change of distribution beyond `skew` warns and keeps the month from training.",
        f"source = {_toml(schema.source)}",
    ]
    if schema.unique:
        lines.append(f"unique = {_toml(list(schema.unique))}")
    if schema.freshness:
        lines.append(f"freshness = {_toml(schema.freshness)}  # how old the newest row may be")
    for name, column in schema.columns.items():
        lines += ["", f"[columns.{_key(name)}]"]
        lines += [f"{field} = {_toml(value)}" for field, value in msgspec.to_builtins(column).items()]
    return "\n".join(lines) + "\n"


def _lines(text: str, schema: Schema) -> dict[str, int]:
    found: dict[str, int] = {}
    headers = {f"[columns.{key}]": name for name in schema.columns for key in (_key(name), json.dumps(name), f"'{name}'", name)}
    for number, line in enumerate(text.splitlines(), 1):
        name = headers.get(line.split("#")[0].strip().replace(" ", ""))
        if name is not None:
            found.setdefault(name, number)
    return found


def _line(error: Exception, path: Path) -> int:
    """The line that an error names, or that of the table or key in it."""
    text = str(error)
    if "line " in text:
        digits = text.rpartition("line ")[2].split(",")[0].split(")")[0]
        return int(digits) if digits.isdigit() else 1
    column = text.partition("$.columns[")[2].partition("]")[0].strip("'\"")
    key = text.rpartition("unknown field `")[2].partition("`")[0]
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        if (key and line.split("=")[0].strip() == key) or (column not in ("", "...") and line.strip() == f"[columns.{column}]"):
            return number
    return 1


def _plain(error: Exception) -> str:
    return str(error).replace("Object", "The table").replace("$", "the schema")


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else json.dumps(name, ensure_ascii=False)


def _toml(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)
