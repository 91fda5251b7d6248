"""Files of rows: CSV, Parquet and JSON lines, read as the records that a service takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.serving.contract import Value
from bucle.serving.errors import BadRows

if TYPE_CHECKING:
    import polars as pl

_KINDS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
KINDS = ("csv", "parquet", "jsonl")


def kind_of(file: Path) -> str:
    """Return what kind of file a name says it is. Raises `serving/bad-rows`."""
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        raise BadRows(source=file.name, reason="its name ends in none of .csv, .parquet, .jsonl", where=str(file))
    return kind


def read_records(file: Path, kind: str, name: str = "") -> list[dict[str, Any]]:
    """Return the rows of a file, whatever its columns. Raises `serving/bad-rows`."""
    try:
        if kind == "jsonl":
            return _lines(file)
        import polars as pl

        table = pl.read_csv(file, try_parse_dates=True) if kind == "csv" else pl.read_parquet(file)
        return table.to_dicts()
    except Exception as error:  # Polars has many, and a file of a user may raise any of them
        reason = " ".join(str(error).split("\n")[0].split())
        raise BadRows(source=name or file.name, reason=reason, where=name or str(file)) from None


def fitted(record: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Value]:
    """Return a record with the fields of a service only; what a CSV took for a number is text where the service takes text."""
    return {name: _fit(record[name], dtype) for name, dtype in fields.items() if name in record}


def moments_of(records: list[dict[str, Any]], column: str | None, now_us: int) -> "pl.Series":
    """Return the moment of each record, microseconds UTC: that of its column, else now. Raises `serving/bad-rows`."""
    import polars as pl

    if column is None or not records or column not in records[0]:
        return pl.Series("moment", [now_us] * len(records), dtype=pl.Int64)
    values = pl.Series("moment", [record.get(column) for record in records], strict=False)
    try:
        if values.dtype == pl.String:
            values = values.str.to_datetime(time_unit="us", time_zone="UTC")
        return values.cast(pl.Datetime("us")).to_physical().fill_null(now_us)
    except pl.exceptions.PolarsError as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise BadRows(source=f"column {column}", reason=reason, where=column) from None


def _fit(value: Any, dtype: str) -> Value:
    return str(value) if dtype == "category" and isinstance(value, int | float) and not isinstance(value, bool) else value


def _lines(file: Path) -> list[dict[str, Any]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    rows = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if line.strip():
            try:
                rows.append(decoder.decode(line))
            except msgspec.MsgspecError as error:
                raise ValueError(f"line {number}: {error}") from None
    return rows
