"""How a row of delivery's tables becomes the fields of its record."""

from collections.abc import Collection

import msgspec

from bucle.ledger import Row, from_us


def fields_of(row: Row, json_columns: Collection[str], **made: object) -> dict[str, object]:
    """Return a row as the fields of its record; moments stand in columns that end in `_us`."""
    fields: dict[str, object] = dict(made)
    for column in row.keys():
        value = row[column]
        if column.endswith("_us"):
            fields[column.removesuffix("_us")] = None if value is None else from_us(value)
        elif column in json_columns:
            fields[column] = msgspec.json.decode(value)
        else:
            fields[column] = value
    return fields


def json_of(value: object) -> str:
    """Return what stands in a column of JSON."""
    return msgspec.json.encode(value).decode()
