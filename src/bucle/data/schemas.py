"""Schemas: what the columns of a source are expected to be; inferred once, reviewed by a person, kept in the project's tree."""

import json
import re
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from bucle.data.errors import BadSchema
from bucle.project import digest_of, line_of

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
    rewritten: float = 0.0


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
        return "schema:" + digest_of(plain)

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
    text = path.read_text("utf-8", "replace")
    try:
        document = tomllib.loads(text)
        if "file" in document or "lines" in document:
            raise BadSchema(file=file, reason="it has keys that no schema has: file, lines", where=f"{file}:1")
        schema = msgspec.convert(document, Schema)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise BadSchema(file=file, reason=_plain(error), where=f"{file}:{_error_line(error, text)}") from error
    if schema.source != source:
        reason = f"it says source = {schema.source!r}"
        raise BadSchema(file=file, reason=reason, where=f"{file}:1")
    return msgspec.structs.replace(schema, file=file, lines={name: line_of(text, ("columns", name)) for name in schema.columns})


def write_schema(schema: Schema, made_from: str) -> str:
    """Return the TOML text of a schema for a person to review."""
    lines = [
        f"# Inferred from {made_from}. Review each line: from now on it decides what stops and what warns.",
        "# A column that is missing, unexpected, of another type, with too many nulls or too many values outside of its",
        "# values or range stops the version; a change of distribution beyond `skew` warns and keeps the month from training;",
        "# a day of whose values more than the share `rewritten` were never written before (another unit) is kept from it too.",
        f"source = {_toml(schema.source)}",
    ]
    if schema.unique:
        lines.append(f"unique = {_toml(list(schema.unique))}")
    if schema.freshness:
        lines.append(f"freshness = {_toml(schema.freshness)}  # how old the newest row may be")
    for name, column in schema.columns.items():
        lines += ["", f"[columns.{_key(name)}]"]
        plain = ColumnSchema(column.type)
        said = {field: getattr(column, field) for field in column.__struct_fields__}
        kept = {field: value for field, value in said.items() if field == "type" or value != getattr(plain, field)}
        lines += [f"{field} = {_toml(value)}" for field, value in kept.items()]
    return "\n".join(lines) + "\n"


def _error_line(error: Exception, text: str) -> int:
    """The line that an error names, or that of the table or key that it complains of."""
    said = str(error)
    if found := re.search(r"line (\d+)", said):
        return int(found[1])
    path = re.findall(r"\[([^\].]+)\]|\.(\w+)", said.partition("`$")[2].partition("`")[0] if "`$" in said else said)
    names = [one.strip("'\"") or other for one, other in path]
    if unknown := re.search(r"unknown field `([^`]+)`", said):
        return _key_line(text, unknown[1])
    return line_of(text, [name for name in names if name != "..."])


def _key_line(text: str, key: str) -> int:
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.match(rf"\s*{re.escape(key)}\s*=", line)), 1)


def _plain(error: Exception) -> str:
    return str(error).replace("Object", "The table").replace("$", "the schema")


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else json.dumps(name, ensure_ascii=False)


def _toml(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)
