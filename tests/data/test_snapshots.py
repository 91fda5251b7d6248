"""What a moment sees: later rows are absent, late columns null until their moment, backfills invisible before they came."""

import datetime as dt

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucle.artifacts import ArtifactStore
from bucle.data import NoVersion, SourceSpec, load_manifest, read_snapshot, rows_visible, visible_rows
from bucle.data.fragments import write_version
from bucle.ledger import to_us

from .conftest import START, Shop, orders_table

HOUR = dt.timedelta(hours=1)


def spec(created: str | None = None) -> SourceSpec:
    return SourceSpec("s", "x", ("id",), "at", {"v": "known"}, created, (), "r", {}, "f.py", 1, "")


def test_later_rows_are_absent_and_late_columns_null_until_their_moment(shop: Shop) -> None:
    shop.put(orders_table())
    shop.ingest()
    as_of = START + 30 * HOUR
    seen = shop.read(as_of)
    assert seen["placed_at"].max() == as_of
    assert seen.height == 11
    known = seen.filter(pl.col("paid").is_not_null())
    assert known["placed_at"].max() == as_of - 12 * HOUR
    assert known["paid_at"].max() == as_of
    unknown = seen.filter(pl.col("placed_at") > as_of - 12 * HOUR)
    assert unknown["paid"].null_count() == unknown.height
    assert unknown["paid_at"].null_count() == unknown.height


def test_a_source_without_a_version_by_these_rules_says_so_when_read(shop: Shop) -> None:
    shop.put(orders_table(5))
    with pytest.raises(NoVersion, match="orders"):
        shop.read(START)


def test_a_moment_before_everything_sees_nothing_with_the_right_types(shop: Shop) -> None:
    shop.put(orders_table(5))
    shop.ingest()
    seen = shop.read(START - HOUR)
    assert seen.height == 0
    assert seen.schema["placed_at"] == pl.Datetime("us", "UTC")


def test_old_fragments_are_not_opened_when_only_recent_rows_are_wanted(shop: Shop) -> None:
    shop.put(orders_table())
    shop.ingest()
    since = START + dt.timedelta(days=35)
    rows = read_snapshot(shop.artifacts, shop.snapshot(), "orders", start_us=to_us(since))
    assert rows.collect()["placed_at"].min() == since
    assert rows.explain().count("Parquet SCAN") <= 2 or "Parquet SCAN [2 " not in rows.explain()


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    moment = st.integers(0, 200)
    maybe = st.none() | moment
    rows = draw(st.lists(st.tuples(st.none() | moment, maybe, maybe, st.none() | st.integers(0, 9)), max_size=30))
    stamps = [[None if row[place] is None else START + row[place] * 20 * HOUR for row in rows] for place in range(3)]
    return pl.DataFrame(
        {
            "id": list(range(len(rows))),
            "at": stamps[0],
            "known": stamps[1],
            "recorded": stamps[2],
            "v": [row[3] for row in rows],
        },
        schema={
            "id": pl.Int64,
            **dict.fromkeys(("at", "known", "recorded"), pl.Datetime("us", "UTC")),
            "v": pl.Int64,
        },
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), hours=st.integers(-1, 4100), created=st.booleans())
def test_visibility_follows_the_rules_for_any_table(
    tmp_path_factory: pytest.TempPathFactory, table: pl.DataFrame, hours: int, created: bool
) -> None:
    store = ArtifactStore(tmp_path_factory.getbasetemp() / "visibility")
    source, as_of = spec("recorded" if created else None), START + hours * HOUR
    artifact, manifest = write_version(store, source, table.sort("at", nulls_last=True, maintain_order=True), (), {})
    assert load_manifest(store, artifact) == manifest
    seen = visible_rows(store, manifest, to_us(as_of)).collect()
    expected = {
        row["id"]: row["v"] if row["known"] is not None and row["known"] <= as_of else None
        for row in table.iter_rows(named=True)
        if row["at"] is not None
        and row["at"] <= as_of
        and (not created or (row["recorded"] is not None and row["recorded"] <= as_of))
    }
    assert dict(zip(seen["id"], seen["v"], strict=True)) == expected
    assert seen["at"].is_sorted()
    assert rows_visible(manifest, to_us(as_of)) == len(expected)


def test_rows_of_one_moment_keep_the_order_in_which_they_came(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = ArtifactStore(tmp_path_factory.mktemp("ties"))
    table = pl.DataFrame({"id": [3, 1, 2], "at": [START] * 3, "known": [START] * 3, "v": [1, 1, 1]})
    table = table.with_columns(pl.col("at", "known").cast(pl.Datetime("us", "UTC")))
    _, manifest = write_version(store, spec(), table, (), {})
    assert visible_rows(store, manifest, to_us(START)).collect()["id"].to_list() == [3, 1, 2]


def test_equal_rows_make_equal_bytes(tmp_path_factory: pytest.TempPathFactory) -> None:
    stores = [ArtifactStore(tmp_path_factory.mktemp("equal")) for _ in range(2)]
    table = pl.DataFrame({"id": [1], "at": [START], "known": [START], "v": [1]})
    table = table.with_columns(pl.col("at", "known").cast(pl.Datetime("us", "UTC")))
    assert len({write_version(store, spec(), table, (), {})[0] for store in stores}) == 1


def test_rows_over_many_years_are_kept_by_the_year(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = ArtifactStore(tmp_path_factory.mktemp("years"))
    at = [START.replace(year=year) for year in range(1980, 2013)]
    table = pl.DataFrame({"id": range(33), "at": at, "known": at, "v": range(33)})
    table = table.with_columns(pl.col("at", "known").cast(pl.Datetime("us", "UTC")))
    _, manifest = write_version(store, spec(), table, (), {})
    assert len(manifest.fragments) == 33
    left = visible_rows(store, manifest, to_us(START), without={"1990-01"}).collect()
    assert left.height == 32
