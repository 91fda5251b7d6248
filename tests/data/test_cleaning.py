"""Raw files to clean rows: formats, files that do not belong together, rules that fail, columns that are missing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bucle.data import Source, source
from bucle.data.cleaning import clean
from bucle.data.errors import BadSource, BadTimestamp, CleaningFailed, MalformedFile, MissingColumn, UnknownFormat

from .conftest import orders_table


def orders(rules: Callable[[Any], Any] = lambda raw: raw, **changes: Any) -> Source:
    declared = {"key": "order_id", "timestamp": "placed_at", "known_at": {"paid": "paid_at"}, "name": "orders"} | changes
    return source("*", **declared)(rules)


def cleaned(folder: Path, declared: Source | None = None) -> pl.DataFrame:
    found = declared or orders()
    return clean(found, found.spec(), sorted(str(path) for path in folder.iterdir()), folder)[0]


def texts(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("placed_at", "paid_at").dt.to_string("iso:strict"))


def test_csv_and_parquet_files_are_one_table(tmp_path: Path) -> None:
    table = orders_table(60)
    texts(table.head(40)).write_csv(tmp_path / "1.csv")
    texts(table.tail(20)).write_parquet(tmp_path / "2.parquet")
    assert cleaned(tmp_path).select(table.columns).equals(table)


def test_gzipped_csv_is_read(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "1.csv.gz").write_bytes(gzip.compress(texts(orders_table(5)).write_csv().encode()))
    assert cleaned(tmp_path).height == 5


def test_texts_that_mean_null_are_null_and_an_empty_csv_column_fits_any_type(tmp_path: Path) -> None:
    rows = texts(orders_table(30))
    rows.with_columns(paid=pl.lit("NA"), paid_at=pl.lit("NA")).write_csv(tmp_path / "1.csv")
    rows.write_parquet(tmp_path / "2.parquet")
    found = cleaned(tmp_path, orders(nulls=["NA"]))
    assert found.height == 60
    assert found["paid"].dtype == pl.Float64
    assert found["paid"].null_count() == 30 + 3


def test_columns_that_a_file_lacks_are_null_there(tmp_path: Path) -> None:
    orders_table(5).drop("city").write_parquet(tmp_path / "1.parquet")
    orders_table(5).with_columns(amount=pl.lit(3)).write_parquet(tmp_path / "2.parquet")
    found = cleaned(tmp_path)
    assert found["city"].null_count() == 5
    assert found["amount"].dtype == pl.Float64


@pytest.mark.parametrize("amount", [pl.struct(pl.lit(1)), pl.lit("3.5"), pl.lit(True)])
def test_files_that_cannot_be_one_table_name_the_column(tmp_path: Path, amount: pl.Expr) -> None:
    orders_table(5).write_parquet(tmp_path / "1.parquet")
    orders_table(5).with_columns(amount=amount).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(MalformedFile, match=r"the column 'amount' is .* here and Float64 in .*1\.parquet") as caught:
        cleaned(tmp_path)
    assert str(caught.value.where).endswith("2.parquet")


@pytest.mark.parametrize("content", [b"PAR1 but no more", b"", b"\x00" * 100])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.parquet").write_bytes(content)
    with pytest.raises(MalformedFile, match=r"1\.parquet cannot be read as parquet"):
        cleaned(tmp_path)


def test_a_file_whose_middle_is_damaged_is_named(tmp_path: Path) -> None:
    orders_table(50).write_parquet(tmp_path / "1.parquet")
    orders_table(50, first=50).write_parquet(tmp_path / "2.parquet")
    content = bytearray((tmp_path / "2.parquet").read_bytes())
    content[8:200] = os.urandom(192)
    (tmp_path / "2.parquet").write_bytes(bytes(content))
    with pytest.raises(MalformedFile) as caught:
        cleaned(tmp_path)
    assert str(caught.value.where).endswith("2.parquet")


@pytest.mark.parametrize("content", [b"", b'order_id,placed_at\n"o1,2013\n', b"a\n1,2,3\n"])
def test_a_file_that_is_no_csv_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "1.csv").write_bytes(content)
    with pytest.raises((MalformedFile, MissingColumn)):
        cleaned(tmp_path)


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello", "utf-8")
    with pytest.raises(UnknownFormat, match=r"notes\.txt"):
        cleaned(tmp_path)


def test_a_cleaning_function_may_ask_for_pandas(tmp_path: Path) -> None:
    import pandas as pd

    def rules(raw: pd.DataFrame) -> pd.DataFrame:
        return raw[raw["amount"] > 20]

    orders_table(60).write_parquet(tmp_path / "1.parquet")
    found = cleaned(tmp_path, orders(rules))
    assert 0 < found.height < 60
    assert found.schema["placed_at"] == pl.Datetime("us", "UTC")


def test_lazy_rules_that_fail_stand_at_the_function(tmp_path: Path) -> None:
    orders_table(5).write_parquet(tmp_path / "1.parquet")
    with pytest.raises(CleaningFailed, match="amuont") as caught:
        cleaned(tmp_path, orders(lambda raw: raw.filter(pl.col("amuont") > 0)))
    assert "test_cleaning.py:" in str(caught.value.where)
    with pytest.raises(CleaningFailed, match="it returned int"):
        cleaned(tmp_path, orders(lambda raw: 3))


@pytest.mark.parametrize("column", ["order_id", "placed_at", "paid", "paid_at"])
def test_a_declared_column_that_is_not_there_is_named(tmp_path: Path, column: str) -> None:
    orders_table(5).drop(column).write_parquet(tmp_path / "1.parquet")
    with pytest.raises(MissingColumn, match=f"'{column}'") as caught:
        cleaned(tmp_path)
    assert "test_cleaning.py:" in str(caught.value.where)


def test_a_timestamp_that_is_a_number_is_refused(tmp_path: Path) -> None:
    orders_table(5).with_columns(pl.col("placed_at").dt.epoch("s")).write_parquet(tmp_path / "1.parquet")
    with pytest.raises(BadTimestamp, match="unit"):
        cleaned(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"timestamp": ""}, {"known_at": {"placed_at": "paid_at"}}, {"known_at": {"order_id": "paid_at"}}],
)
def test_a_source_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadSource) as caught:
        orders(**changes)
    assert "test_cleaning.py:" in str(caught.value.where)


def test_a_source_is_still_a_plain_function() -> None:
    declared = orders(lambda raw: raw.filter(pl.col("amount") > 20))
    assert declared(orders_table(60).lazy()).collect().height < 60
