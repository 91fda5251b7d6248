"""Reviewed schemas: what is written is read back; what is none is refused with its line."""

from pathlib import Path

import pytest

from bucle.data import ColumnSchema, Schema, infer_schema, load_schema, write_schema
from bucle.data.errors import BadSchema

from .conftest import orders_table


def write(root: Path, text: str) -> None:
    (root / "schemas").mkdir(exist_ok=True)
    (root / "schemas" / "orders.toml").write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('source = "orders"\ncolumns = 3', 2),
        ('source = "orders"\n[columns.a]\ntyp = "text"', 3),
        ("source =", 1),
        ('source = "x"\n[columns]', 1),
    ],
)
def test_a_schema_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    write(tmp_path, text)
    with pytest.raises(BadSchema) as caught:
        load_schema(tmp_path, "orders")
    assert caught.value.where == f"schemas/orders.toml:{line}"


def test_a_schema_survives_being_written_and_read(tmp_path: Path) -> None:
    inferred = infer_schema(orders_table(), "orders", key=["order_id"], timestamp="placed_at", late={"paid": "paid_at"})
    write(tmp_path, write_schema(inferred, "ds_1"))
    read = load_schema(tmp_path, "orders")
    assert read is not None
    assert read.digest == inferred.digest
    assert read.where("city") == f"schemas/orders.toml:{read.lines['city']}"
    assert "[columns.city]" in (tmp_path / "schemas/orders.toml").read_text("utf-8").splitlines()[read.lines["city"] - 1]


def test_odd_column_names_survive_too(tmp_path: Path) -> None:
    schema = Schema("orders", {'a "b".c': ColumnSchema("text", values=('x"y', "ñ")), "": ColumnSchema("number", least=-1.5)})
    write(tmp_path, write_schema(schema, "ds_1"))
    read = load_schema(tmp_path, "orders")
    assert read is not None
    assert read.columns == schema.columns


def test_the_digest_follows_what_is_demanded_and_not_where_it_stands(tmp_path: Path) -> None:
    text = 'source = "orders"\n[columns.a]\ntype = "text"\n'
    write(tmp_path, text)
    one = load_schema(tmp_path, "orders")
    write(tmp_path, "# reviewed\n\n" + text)
    two = load_schema(tmp_path, "orders")
    write(tmp_path, text + "nulls = 0.0\n")
    three = load_schema(tmp_path, "orders")
    assert one and two and three
    write(tmp_path, text + "nulls = 1.0\nskew = 0.0\n")
    four = load_schema(tmp_path, "orders")
    assert four
    assert one.digest == two.digest == four.digest != three.digest
    assert load_schema(tmp_path, "others") is None
