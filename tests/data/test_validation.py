"""Validation: what stops, what warns, what chance may do (G1-dv), and schemas that suit the data they came from."""

import datetime as dt
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.data import ColumnSchema, Schema, ValidationReport, infer_schema, validate_frame

from .conftest import START, orders_table

AS_OF = int((START + dt.timedelta(days=76)).timestamp() * 1e6)
LATE = {"paid": "paid_at", "paid_at": "paid_at"}


def schema() -> Schema:
    return infer_schema(orders_table(), "orders", key=["order_id"], timestamp="placed_at", late=LATE)


SCHEMA = schema()


def check(table: pl.DataFrame, wanted: Schema | None = None, as_of_us: int = AS_OF) -> ValidationReport:
    return validate_frame(table, wanted or SCHEMA, timestamp="placed_at", late=LATE, as_of_us=as_of_us)


def test_data_pass_the_schema_inferred_from_them() -> None:
    report = check(orders_table())
    assert report.outcome == "pass", report.findings
    assert report.partitions == ("2013-01", "2013-02", "2013-03")


def test_fault_injection_schema_skew_stops() -> None:
    faults = {
        "unexpected column": orders_table().with_columns(foo=pl.lit(1)),
        "missing column": orders_table().drop("city"),
        "other type": orders_table().with_columns(pl.col("amount").cast(pl.String)),
        "nulls": orders_table().with_columns(city=pl.when(pl.col("amount") > 20).then("city")),
        "unknown category": orders_table().with_columns(city=pl.lit("Lugo")),
        "out of range": orders_table().with_columns(pl.col("amount") * -1),
        "infinite": orders_table().with_columns(amount=pl.lit(float("inf"))),
        "repeated key": pl.concat([orders_table(), orders_table(1)]),
        "null key": orders_table().with_columns(order_id=pl.when(pl.col("order_id") != "o3").then("order_id")),
    }
    for fault, table in faults.items():
        report = check(table)
        assert report.outcome == "stop", fault
        assert report.findings[0].kind == "schema"
        assert report.vetoed == ()


def test_fault_injection_value_skew_warns_and_vetoes_its_month_only() -> None:
    february = pl.col("placed_at").dt.month() == 2
    table = orders_table().with_columns(paid=pl.when(february).then(pl.col("paid") + 60).otherwise("paid"))
    report = check(table)
    assert report.outcome == "warn", report.findings
    assert report.vetoed == ("2013-02",)
    assert {finding.column for finding in report.findings} == {"paid"}


def test_a_change_that_stays_is_the_new_world_and_vetoes_nothing() -> None:
    later = pl.col("placed_at").dt.month() >= 2
    table = orders_table().with_columns(paid=pl.when(later).then(pl.col("paid") + 60).otherwise("paid"))
    assert check(table).vetoed == ()
    broken = table.with_columns(paid=pl.when(pl.col("placed_at").dt.month() == 3).then(pl.col("paid") * 9).otherwise("paid"))
    assert check(broken).vetoed == ("2013-02", "2013-03")


@pytest.mark.parametrize(("bounds", "said"), [({"least": 1e6}, "at least 1e+06"), ({"most": -1}, "at most -1")])
def test_a_range_may_have_one_end_only(bounds: dict[str, float], said: str) -> None:
    wanted = Schema("orders", {**schema().columns, "amount": ColumnSchema("number", **bounds)})
    (finding, *_) = check(orders_table(), wanted).findings
    assert (finding.check, finding.column) == ("range", "amount")
    assert said in finding.message


def test_one_broken_month_is_not_diluted_by_the_others() -> None:
    march = pl.col("placed_at").dt.month() == 3
    report = check(orders_table(700).with_columns(city=pl.when(march).then(pl.lit("Lugo")).otherwise("city")))
    assert report.outcome == "stop"
    assert {finding.partition for finding in report.findings if finding.check == "domain"} == {"2013-03"}


def test_a_few_strange_values_within_the_tolerance_stop_nothing() -> None:
    table = orders_table().with_columns(city=pl.when(pl.col("order_id") == "o100").then(pl.lit("Lugo")).otherwise("city"))
    assert check(table).outcome == "pass"


def test_rows_too_young_to_have_late_columns_are_not_nulls() -> None:
    strict = schema()
    columns = {**strict.columns, "paid": ColumnSchema("number", nulls=0.2), "paid_at": ColumnSchema("instant", nulls=0.2)}
    recent = orders_table(300, START + dt.timedelta(days=31 + 27)).with_columns(
        paid=pl.when(pl.int_range(pl.len()) < 200).then("paid"), paid_at=pl.when(pl.int_range(pl.len()) < 200).then("paid_at")
    )
    as_of = int((START + dt.timedelta(days=58, hours=3 * 200 + 11)).timestamp() * 1e6)
    recent = recent.filter(pl.col("placed_at").dt.epoch("us") <= as_of)
    wanted = Schema("orders", columns)
    assert check(recent, wanted, as_of).outcome == "pass"
    assert check(recent.with_columns(paid=pl.lit(None, pl.Float64)), wanted, as_of).outcome == "stop"


def test_stale_data_warn_without_a_veto() -> None:
    stale = Schema("orders", schema().columns, freshness="12h")
    assert check(orders_table(), stale, AS_OF + 86_400_000_000).outcome == "warn"
    report = check(orders_table(), stale, AS_OF + 86_400_000_000)
    assert [finding.check for finding in report.findings] == ["freshness"]
    assert report.vetoed == ()
    assert check(orders_table(), Schema("orders", schema().columns, freshness="3d"), AS_OF).outcome == "pass"


def test_integers_are_numbers_and_numbers_no_integers() -> None:
    table = pl.DataFrame({"x": [1, 2]})
    assert validate_frame(table, Schema("s", {"x": ColumnSchema("number")})).outcome == "pass"
    fractions = validate_frame(table.cast(pl.Float64), Schema("s", {"x": ColumnSchema("integer")}))
    assert fractions.findings[0].message == "The column 'x' is of type number, not integer."


def test_a_finding_names_the_line_of_the_reviewed_schema() -> None:
    wanted = Schema("s", {"x": ColumnSchema("integer")}, file="schemas/s.toml", lines={"x": 7})
    finding = validate_frame(pl.DataFrame({"y": [1]}), wanted).findings[0]
    assert str(finding) == "schemas/s.toml:7: The column 'x' is missing."


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(120, 500))
def test_honest_new_rows_of_the_same_kind_pass_the_inferred_schema(seed: int, rows: int) -> None:
    fresh = orders_table(rows, START + dt.timedelta(days=75), first=700, seed=seed)
    report = check(fresh, SCHEMA, AS_OF + (rows - 8) * 3 * 3_600_000_000)
    assert report.outcome == "pass", report.findings


def test_an_inferred_schema_is_strict_about_identity_and_generous_about_values() -> None:
    found = schema()
    assert found.unique == ("order_id",)
    assert found.columns["order_id"] == ColumnSchema("text", nulls=0.0)
    assert found.columns["city"].values == ("Madrid", "Sevilla", "Vigo")
    assert found.columns["amount"].least == 0.0
    assert found.columns["placed_at"].skew == 0.0
    assert 0.2 < found.columns["paid"].nulls < 0.4


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_small_tables_have_schemas_too(rows: int) -> None:
    table = orders_table(rows)
    found = infer_schema(table, "orders", key=["order_id"], timestamp="placed_at", late=LATE)
    assert validate_frame(table, found, timestamp="placed_at", late=LATE, as_of_us=AS_OF).outcome in ("pass", "warn")


def test_seasons_seen_at_inference_do_not_count_as_skew() -> None:
    chance = random.Random(2)
    at = [START + dt.timedelta(hours=3 * number) for number in range(2400)]
    seasonal = pl.DataFrame({"at": at, "temp": [moment.month * 5 + chance.gauss(0, 2) for moment in at]})
    seasonal = seasonal.with_columns(pl.col("at").cast(pl.Datetime("us", "UTC")))
    found = infer_schema(seasonal, "weather", timestamp="at")
    assert validate_frame(seasonal, found, timestamp="at", as_of_us=int(at[-1].timestamp() * 1e6)).outcome == "pass"


def with_wind(days: int = 60, *, faulty: range = range(0), factor: float = 1.0, digits: int = 9) -> pl.DataFrame:
    """Hourly wind in whole knots, written in miles an hour; on faulty days something else is written."""
    chance, rows = random.Random(8), []
    for day in range(days):
        level = chance.uniform(4, 14)
        for hour in range(24):
            value = max(0, round(chance.gauss(level, 3))) * 1.150779
            written = round(value * factor, digits) if day in faulty else value
            rows.append((START + dt.timedelta(days=day, hours=hour), written))
    return pl.DataFrame(rows, schema={"at": pl.Datetime("us", "UTC"), "wind": pl.Float64}, orient="row")


WINDY = infer_schema(with_wind(), "weather", timestamp="at")


@pytest.mark.parametrize(("factor", "unit"), [(1.609344, "mph -> km/h"), (0.44704, "mph -> m/s")])
def test_days_written_in_another_unit_are_vetoed_and_no_others(factor: float, unit: str) -> None:
    report = validate_frame(with_wind(90, faulty=range(70, 74), factor=factor), WINDY, timestamp="at")
    odd = [finding for finding in report.findings if finding.check == "unit"]
    assert report.outcome == "warn"
    assert report.vetoed == ("2013-03-12", "2013-03-13", "2013-03-14", "2013-03-15")
    assert all(unit in finding.message for finding in odd)


def test_another_rounding_is_found_without_a_unit() -> None:
    report = validate_frame(with_wind(90, faulty=range(70, 71), digits=1), WINDY, timestamp="at")
    (odd,) = (finding for finding in report.findings if finding.check == "unit")
    assert "another unit or rounding" in odd.message


def test_a_day_is_judged_while_it_lasts_and_its_month_is_not() -> None:
    report = validate_frame(with_wind(63, faulty=range(62, 63), factor=1.609344), WINDY, timestamp="at")
    assert report.vetoed == ("2013-03-04",)


def test_a_unit_that_stays_is_the_new_world() -> None:
    report = validate_frame(with_wind(95, faulty=range(62, 95), factor=1.609344), WINDY, timestamp="at")
    assert not [finding for finding in report.findings if finding.check == "unit"]


def test_calm_and_stormy_days_are_no_other_unit() -> None:
    table = with_wind(90)
    day = pl.col("at").dt.ordinal_day()
    stormy = table.with_columns(wind=pl.when(day == 80).then(pl.col("wind") + 5 * 1.150779).otherwise("wind"))
    assert not [finding for finding in validate_frame(stormy, WINDY, timestamp="at").findings if finding.check == "unit"]


def test_numbers_that_take_any_value_are_not_asked_how_they_are_written() -> None:
    assert SCHEMA.columns["amount"].rewritten == 0
    assert WINDY.columns["wind"].rewritten > 0
