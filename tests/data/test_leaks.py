"""Leaks under any column name, and honest columns that are none."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bucle.data import DataRefused, Finding, Source, declared_leaks, provenance_leaks, source, telling_leaks
from bucle.data.cleaning import apply_rules, settle_moments
from bucle.errors import BucleError

from .conftest import SHOP, Shop, orders_table

Rules = Callable[[Any], Any]
PAID = pl.col("paid")


def orders(rules: Rules, key: str | tuple[str, ...] = "order_id", **known_at: str) -> Source:
    declared = {"paid": "paid_at"} | known_at
    return source("*", key=key, timestamp="placed_at", known_at=declared, name="orders")(rules)


def found(rules: Rules, raw: pl.DataFrame | None = None, key: str | tuple[str, ...] = "order_id", **late: str) -> list[Finding]:
    declared = orders(rules, key, **late)
    spec = declared.spec()
    table = orders_table(900) if raw is None else raw

    def clean(rows: pl.LazyFrame) -> pl.DataFrame:
        return settle_moments(apply_rules(declared, spec, rows, Path()), spec)[0]

    return provenance_leaks(spec, table, clean)


def names(findings: list[Finding]) -> set[str]:
    return {finding.column for finding in findings}


COPIES = {
    "copy": PAID,
    "shifted": PAID + 5,
    "negated": -PAID,
    "scaled": PAID * 2.5 - 1,
    "a yes or no": PAID > 15,
    "not monotone": (PAID - 3).abs(),
    "a text": PAID.cast(pl.String) + " EUR",
    "mixed with an honest column": PAID + pl.col("amount"),
    "whether it is there": PAID.is_null(),
    "its rank": PAID.rank(),
    "its mean by city": PAID.mean().over("city"),
    "the moment": (pl.col("paid_at") - pl.col("placed_at")).dt.total_minutes(),
    "the hour of the moment": pl.col("paid_at").dt.hour(),
}


@pytest.mark.parametrize("expression", COPIES.values(), ids=COPIES)
def test_what_comes_from_a_late_column_is_a_leak_under_any_name(expression: pl.Expr) -> None:
    findings = found(lambda raw: raw.with_columns(foo=expression))
    assert names(findings) == {"foo"}
    assert findings[0].kind == "schema"
    assert "test_leaks.py:" in str(findings[0].where)


@pytest.mark.parametrize("expression", [PAID, PAID + 5, -PAID, PAID * 3 - 1], ids=["copy", "shifted", "negated", "scaled"])
def test_a_copy_that_the_raw_files_bring_along_is_a_leak(expression: pl.Expr) -> None:
    raw = orders_table(900).with_columns(foo=expression)
    assert names(found(lambda rows: rows, raw)) == {"foo"}


def test_the_key_may_be_made_by_the_rules_and_the_row_number_dropped() -> None:
    rules = lambda raw: raw.select(  # noqa: E731
        "placed_at", "paid_at", "paid", number=pl.concat_str("order_id", pl.lit("x")), foo=PAID * 2
    )
    assert names(found(rules, key="number")) == {"foo"}
    without_key = lambda raw: raw.select("placed_at", "paid_at", "paid", foo=PAID * 2)  # noqa: E731
    assert names(found(without_key, key=())) == {"foo"}


EASY = (
    SHOP.replace("import polars as pl\n", "import polars as pl\nimport bucle\n")
    + """
easy = bucle.TrainingSet(spine=orders, columns=["amount"], features=[],
                         label=bucle.Label("won", pl.col("paid") > 0, matures="36h"))
"""
)


def test_a_column_that_tells_the_label_passes_once_a_reason_is_declared(shop: Shop) -> None:
    table = orders_table().with_columns(amount=pl.when(pl.col("paid") > 0).then(20.0).otherwise(10.0))
    shop.put(table.with_columns(noise=pl.col("amount") * 2))
    shop.write("shop/__init__.py", EASY)
    for _ in range(2):
        with pytest.raises(DataRefused, match="'amount' tells the label") as caught:
            shop.ingest()
        assert "accepted={'COLUMN': 'why'}" in caught.value.next_step
    one = EASY.replace('"paid_at"})', '"paid_at"}, accepted={"amount": "a fixed fee"})')
    shop.write("shop/__init__.py", one)
    with pytest.raises(DataRefused, match="'noise' tells the label"):
        shop.ingest()
    shop.write("shop/__init__.py", one.replace('"a fixed fee"', '"a fixed fee", "noise": "twice the fee"'))
    first = shop.ingest()
    assert (first.outcome, shop.ingest()) == ("pass", first)
    accepted = shop.events("data.leak_accepted")
    assert [(each.data["column"], each.data["reason"]) for each in accepted] == [
        ("amount", "a fixed fee"), ("noise", "twice the fee")
    ]  # fmt: skip
    assert {each.actor for each in accepted} == {"ana"}
    validated = shop.events("data.validated")
    assert [each.data["outcome"] for each in validated] == ["stop", "stop", "pass"]
    assert {each.seq for each in accepted} < set(validated[-1].caused_by)


def test_a_leak_that_is_proven_is_not_accepted(shop: Shop) -> None:
    shop.put(orders_table())
    rules = SHOP.replace('"paid_at"})', '"paid_at"}, accepted={"foo": "trust me"})')
    shop.write(
        "shop/__init__.py", rules.replace('pl.col("amount") > 0)', 'pl.col("amount") > 0).with_columns(foo=pl.col("paid"))')
    )
    with pytest.raises(DataRefused, match="'foo' of orders comes from 'paid'"):
        shop.ingest()


def test_a_training_set_that_no_longer_leaks_frees_the_version_that_it_stopped(shop: Shop) -> None:
    shop.put(orders_table())
    shop.write("shop/__init__.py", EASY.replace('columns=["amount"]', 'columns=["amount", "paid"]'))
    with pytest.raises(DataRefused, match="uses 'paid'"):
        shop.ingest()
    shop.write("shop/__init__.py", EASY)
    assert shop.ingest().outcome == "pass"


@pytest.mark.parametrize(("column", "reason"), [("paid", "x"), ("paid_at", "x"), ("amount", " ")])
def test_an_exception_that_makes_no_sense_is_refused(column: str, reason: str) -> None:
    with pytest.raises(BucleError) as refused:
        source("*", timestamp="placed_at", known_at={"paid": "paid_at"}, accepted={column: reason}, name="s")(lambda raw: raw)
    assert refused.value.code == "data/bad-source"


def test_rules_that_choke_on_an_unknown_column_are_checked_too(shop: Shop) -> None:
    rules = SHOP.replace(
        'return raw.filter(pl.col("amount") > 0)',
        'assert len(raw.collect_schema()) == 6\n    return raw.with_columns(foo=-pl.col("paid"))',
    )
    shop.write("shop/__init__.py", rules)
    shop.put(orders_table())
    with pytest.raises(Exception, match="'foo' of orders comes from 'paid'") as caught:
        shop.ingest()
    assert str(caught.value.where).startswith("shop/__init__.py:5")  # type: ignore[attr-defined]


def test_declared_columns_and_honest_columns_are_no_leaks() -> None:
    rules = lambda raw: raw.with_columns(  # noqa: E731
        double=PAID * 2, big=pl.col("amount") > 20, where=pl.col("city").str.to_lowercase(), hour=pl.col("placed_at").dt.hour()
    )
    assert found(rules, double="paid_at") == []


def test_a_column_that_correlates_without_being_the_same_is_no_leak() -> None:
    chance = random.Random(3)
    raw = orders_table(900).with_columns(
        hint=pl.Series([None if value is None else value + chance.gauss(0, 6) for value in orders_table(900)["paid"]])
    )
    assert found(lambda rows: rows.with_columns(other=pl.col("hint") * 2), raw) == []


def test_a_column_said_to_be_known_before_what_it_comes_from_is_a_leak() -> None:
    rules = lambda raw: raw.with_columns(soon=pl.col("placed_at").dt.offset_by("1h"), foo=-PAID)  # noqa: E731
    assert names(found(rules, foo="soon")) == {"foo"}
    assert found(rules, foo="paid_at") == []


def test_a_moment_that_was_planned_is_not_late() -> None:
    chance = random.Random(7)
    raw = orders_table(900).with_columns(
        due=pl.col("placed_at").dt.offset_by("30d"), settled=pl.Series([chance.random() for _ in range(900)])
    )
    assert found(lambda rows: rows.with_columns(due_month=pl.col("due").dt.month()), raw, settled="due") == []


def test_rows_that_exist_only_because_of_a_late_column_are_warned_of() -> None:
    findings = found(lambda raw: raw.filter(PAID > 0))
    assert [(finding.check, finding.kind, finding.column) for finding in findings] == [("selection", "value", "paid")]


def test_a_training_set_that_asks_for_a_late_column_is_named_by_its_line() -> None:
    spec = orders(lambda raw: raw).spec()
    findings = declared_leaks(spec, ["city", "paid", "paid_at"], "The training set 'late'", "shop.py:7")
    assert [(finding.column, finding.where) for finding in findings] == [("paid", "shop.py:7"), ("paid_at", "shop.py:7")]
    assert declared_leaks(spec, ["city", "amount"], "x", None) == []


def labelled(rows: int = 2000) -> pl.DataFrame:
    chance = random.Random(5)
    delay = [chance.gauss(0, 30) for _ in range(rows)]
    return pl.DataFrame(
        {
            "delay": delay,
            "honest": [value + chance.gauss(0, 15) for value in delay],
            "noise": [chance.gauss(0, 1) for _ in range(rows)],
            "city": [chance.choice(["a", "b", "c"]) for _ in range(rows)],
            "id": [f"r{number}" for number in range(rows)],
            "constant": [1] * rows,
        }
    )


TELLING = {
    "copy": pl.col("delay"),
    "negated": -pl.col("delay"),
    "category": pl.when(pl.col("delay") > 15).then(pl.lit("late")).otherwise(pl.lit("fine")),
    "missing": pl.when(pl.col("delay") > 15).then("noise"),
    "not monotone": (pl.col("delay") - 15).abs() * pl.when(pl.col("delay") > 15).then(1).otherwise(1)
    + (pl.col("delay") > 15) * 1e4,
    "the label": pl.col("delay") > 15,
    "rounded": pl.col("delay").round(),
}


@pytest.mark.parametrize("expression", TELLING.values(), ids=TELLING)
def test_a_column_that_tells_a_yes_or_no_by_itself_is_a_leak(expression: pl.Expr) -> None:
    table = labelled().with_columns(foo=expression)
    findings = telling_leaks(
        table, ["foo", "honest", "noise", "city", "id", "constant"], table["delay"] > 15, "late", "shop.py:3"
    )
    assert [(finding.column, finding.where) for finding in findings] == [("foo", "shop.py:3")]


@pytest.mark.parametrize("expression", [pl.col("delay"), -3 * pl.col("delay") + 2, pl.col("delay") ** 3])
def test_a_column_that_tells_a_number_by_itself_is_a_leak(expression: pl.Expr) -> None:
    table = labelled().with_columns(foo=expression)
    places = {"foo": "shop.py:9"}
    findings = telling_leaks(table, ["foo", "honest", "noise", "city", "id"], table["delay"], "delay", places)
    assert [(finding.column, finding.where) for finding in findings] == [("foo", "shop.py:9")]


def test_rows_without_a_label_and_too_few_rows_prove_nothing() -> None:
    table = labelled(40).with_columns(foo=pl.col("delay"))
    assert telling_leaks(table, ["foo"], table["delay"] > 15, "late", None) == []
    unknown = pl.Series([None] * 40, dtype=pl.Boolean)
    assert telling_leaks(table, ["foo"], unknown, "late", None) == []


def test_a_leak_in_the_rules_stops_the_version_and_names_the_line(shop: Shop) -> None:
    shop.write("shop/__init__.py", SHOP.replace("> 0)", '> 0).with_columns(foo=pl.col("paid") + 1)'))
    shop.put(orders_table())
    with pytest.raises(Exception, match="'foo' of orders comes from 'paid', which is known only at 'paid_at'") as caught:
        shop.ingest()
    assert caught.value.code == "data/refused"  # type: ignore[attr-defined]
    assert caught.value.where == "shop/__init__.py:5"  # type: ignore[attr-defined]
    assert shop.snapshot().versions == {}


TRAINING = """
import bucle
from bucle.data import source
import polars as pl

@source("data/orders/*.parquet", key="order_id", timestamp="placed_at", known_at={"paid": "paid_at"})
def orders(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw

late = bucle.TrainingSet(spine=orders, columns=["city", "amount"], features=[],
                         label=bucle.Label("late", pl.col("paid") > 15, matures="36h"))
"""


def test_labels_present_are_counted_by_the_training_sets_label(shop: Shop) -> None:
    shop.write("shop/__init__.py", TRAINING)
    shop.put(orders_table())
    shop.ingest()
    labels = shop.events("data.source_profiled")[0].data["labels"]
    assert labels == [{"label": "late", "rows": 600, "labelled": 537, "pending": 4, "never": 59}]


def test_a_training_set_with_a_late_column_or_a_telling_one_is_refused(shop: Shop) -> None:
    shop.put(orders_table())
    shop.write("shop/__init__.py", TRAINING.replace('"amount"]', '"paid"]'))
    with pytest.raises(Exception, match="The training set 'late' uses 'paid' of orders") as caught:
        shop.ingest()
    assert str(caught.value.where).startswith("shop/__init__.py:1")  # type: ignore[attr-defined]
    shop.put(orders_table().with_columns(score=(pl.col("paid") > 15).cast(pl.Int8) * 2))
    shop.write("shop/__init__.py", TRAINING)
    with pytest.raises(Exception, match="'score' tells the label 'late' too well"):
        shop.ingest()


def test_the_rows_own_moment_is_no_copy_of_a_later_one_in_the_same_order() -> None:
    delays = pl.Series([number * 7 % 37 for number in range(900)])
    raw = orders_table(900).with_columns(paid=delays, paid_at=pl.col("placed_at") + pl.duration(minutes=delays))
    assert found(lambda rows: rows, raw) == []
    assert names(found(lambda rows: rows.with_columns(foo="paid_at"), raw)) == {"foo"}
