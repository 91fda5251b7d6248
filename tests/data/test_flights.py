"""The real flights of 2013: cancelled ones are counted, the seasons raise no false alarm, planted leaks are found."""

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from bucle.artifacts import ArtifactStore
from bucle.data import (
    Finding,
    Manifest,
    Source,
    infer_schema,
    labels_present,
    rows_visible,
    source,
    telling_leaks,
    validate_frame,
    visible_rows,
)
from bucle.data.cleaning import clean
from bucle.data.fragments import write_version
from bucle.data.inspection import find_leaks
from bucle.ledger import to_us
from bucle.project.flights_data import write_flights

KNOWN = {"dep_delay": "departed_at", "arr_delay": "arrived_at"}
APRIL = dt.datetime(2013, 4, 1)


def flights(*more: pl.Expr) -> Source:
    def flights(raw: pl.LazyFrame) -> pl.LazyFrame:
        return raw.filter(pl.col("distance") > 0).with_columns(*more)

    return source("*", key="flight_id", timestamp="scheduled_at", known_at=KNOWN)(flights)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """A twentieth of the flights: every twentieth row of each month."""
    folder = tmp_path_factory.mktemp("nyc")
    write_flights(folder)
    for path in folder.glob("data/flights/*.parquet"):
        pl.read_parquet(path).gather_every(20).write_parquet(path)
    return {name: sorted(map(str, (folder / "data" / name).glob("*.parquet"))) for name in ("flights", "weather")}


@pytest.fixture(scope="module")
def year(raw: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[ArtifactStore, Manifest]:
    store, declared = ArtifactStore(tmp_path_factory.mktemp("store")), flights()
    rows, rounded = clean(declared, declared.spec(), raw["flights"], Path())
    return store, write_version(store, declared.spec(), rows, (), rounded)[1]


def seen(year: tuple[ArtifactStore, Manifest], moment: dt.datetime) -> pl.DataFrame:
    return visible_rows(*year, to_us(moment)).collect()


def test_the_hours_of_the_manifest_count_as_the_rows_do(year: tuple[ArtifactStore, Manifest]) -> None:
    for day in (1, 40, 200, 400):
        moment = dt.datetime(2013, 1, 1, 7) + dt.timedelta(days=day)
        assert rows_visible(year[1], to_us(moment)) == seen(year, moment).height


def test_cancelled_flights_never_get_a_label_and_count_as_such(year: tuple[ArtifactStore, Manifest]) -> None:
    late = pl.col("arr_delay") > 15
    found = labels_present(seen(year, APRIL), "late", late, "scheduled_at", dt.timedelta(hours=36), to_us(APRIL))
    total = found.total()
    assert [month.month for month in found.months][:3] == ["2013-01", "2013-02", "2013-03"]
    assert total.labelled + total.pending + total.never == total.rows
    assert 0.01 < total.never / total.rows < 0.06
    assert found.months[0].pending == 0
    assert found.months[0].share > 0.95
    assert 0 < total.pending < 200


def test_a_schema_of_three_months_raises_no_false_alarm_for_the_year(
    year: tuple[ArtifactStore, Manifest], raw: dict[str, list[str]]
) -> None:
    late = {**KNOWN, **{moment: moment for moment in KNOWN.values()}}
    schema = infer_schema(seen(year, APRIL), "flights", key=["flight_id"], timestamp="scheduled_at", late=late)
    for month in (5, 8, 12):
        moment = dt.datetime(2013, month, 1)
        report = validate_frame(seen(year, moment), schema, timestamp="scheduled_at", late=late, as_of_us=to_us(moment))
        assert report.outcome == "pass", report.findings
    weather = pl.read_parquet(raw["weather"])
    early = weather.filter(pl.col("observed_at") <= APRIL.replace(tzinfo=dt.UTC))
    expected = infer_schema(early, "weather", timestamp="observed_at")
    last = to_us(dt.datetime(2013, 12, 30, 23))
    report = validate_frame(weather, expected, timestamp="observed_at", as_of_us=last)
    assert report.outcome == "pass", report.findings


def leaks(raw: dict[str, list[str]], *more: pl.Expr) -> list[Finding]:
    declared = flights(*more)
    rows, _ = clean(declared, declared.spec(), raw["flights"], Path())
    return find_leaks(declared, declared.spec(), raw["flights"], rows, [], Path())


def test_the_template_has_no_leak(raw: dict[str, list[str]]) -> None:
    assert leaks(raw) == []


def test_planted_leaks_are_named_and_only_they(raw: dict[str, list[str]]) -> None:
    planted = leaks(
        raw,
        (pl.col("arr_delay") * -2).alias("comfort"),
        (pl.col("departed_at").dt.hour()).alias("gate_hour"),
        (pl.col("dep_delay") > 60).alias("angry"),
        (pl.col("distance") / 100).alias("far"),
    )
    assert {finding.column for finding in planted} == {"comfort", "gate_hour", "angry"}


def test_honest_columns_do_not_tell_whether_a_flight_is_late(year: tuple[ArtifactStore, Manifest]) -> None:
    rows = seen(year, APRIL)
    late = rows["arr_delay"] > 15
    honest = ["carrier", "origin", "dest", "distance", "hour", "flight", "flight_id", "dep_delay"]
    assert telling_leaks(rows, honest, late, "late", None) == []
    assert telling_leaks(rows.with_columns(foo=pl.col("arr_delay") + 3), ["foo"], late, "late", None) != []
