"""A tick of the clock: what is new is ingested once, what became visible is announced once, what fails is told once."""

import datetime as dt
from unittest.mock import patch

import polars as pl
import pytest

from bucle.artifacts.errors import ArtifactDiskFull
from bucle.data import FileWatch, ingest_due, read_snapshot, validate_reviewed
from bucle.ledger import Scope, Ticked, because
from bucle.runtimes import Runner

from .conftest import SHOP, START, Shop, orders_table


class Ticker:
    """Moves the shop's clock and does what the house does at each tick."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.watch, self.code = shop, FileWatch(), shop.code()

    def tick(self, hours: float = 0) -> int:
        home = self.shop.home
        to = home.ledger.clock.now() + dt.timedelta(hours=hours)
        home.ledger.move_clock(to, Ticked(to))
        seq = home.ledger.newest()
        with because(seq):
            return ingest_due(home, self.shop.artifacts, self.shop.runners, [(self.code, self.shop.scope)], self.watch)


@pytest.fixture
def ticker(shop: Shop) -> Ticker:
    return Ticker(shop)


def test_a_new_file_is_ingested_and_its_visible_rows_are_announced(shop: Shop, ticker: Ticker) -> None:
    shop.put(orders_table(700))
    assert ticker.tick() == 601
    arrived = shop.events("data.arrived")[0]
    assert (arrived.data["rows"], arrived.data["source"]) == (601, "orders")
    assert arrived.caused_by == (shop.home.ledger.event(arrived.caused_by[0]).seq,)
    assert shop.home.ledger.event(arrived.caused_by[0]).kind == "ledger.ticked"


def test_time_makes_more_rows_visible_without_a_child_or_a_version(shop: Shop, ticker: Ticker) -> None:
    shop.put(orders_table(700))
    ticker.tick()
    with patch.object(Runner, "call", side_effect=AssertionError("no child is needed")):
        assert [ticker.tick(1), ticker.tick(1), ticker.tick(1), ticker.tick(9)] == [0, 0, 1, 3]
    assert [event.data["rows"] for event in shop.events("data.arrived")] == [601, 1, 3]
    assert len(shop.events("data.version_created")) == 1


def test_late_files_with_old_rows_arrive_too(shop: Shop, ticker: Ticker) -> None:
    shop.put(orders_table(100))
    assert ticker.tick() == 100
    shop.put(orders_table(50, START + dt.timedelta(hours=1), first=500), "data/orders/0.parquet")
    assert ticker.tick(1) == 50
    assert ticker.tick(1) == 0


def test_a_process_that_starts_anew_announces_nothing_twice(shop: Shop, ticker: Ticker) -> None:
    shop.put(orders_table(100))
    ticker.tick()
    again = Ticker(shop)
    assert again.tick() == 0
    assert len(shop.events("data.arrived")) == 1
    assert len(shop.events("data.version_created")) == 1


def test_what_fails_is_told_once_and_does_not_stop_the_other_sources(shop: Shop) -> None:
    more = SHOP + SHOP[SHOP.index("@source") :].replace("orders", "returns").replace('"data/returns', '"data/orders')
    shop.write("shop/__init__.py", more.replace("data/orders/*.parquet", "data/none/*.parquet", 1))
    shop.put(orders_table(10))
    ticker = Ticker(shop)
    assert ticker.tick() == 10
    ticker.tick(1)
    failed = shop.events("data.ingestion_failed")
    assert [(event.data["source"], event.data["code"]) for event in failed] == [("orders", "data/no-files")]
    assert str(failed[0].data["where"]).startswith("shop/__init__.py:")


def test_a_month_that_ends_is_validated_and_one_that_breaks_the_schema_is_not_trained_on(shop: Shop, ticker: Ticker) -> None:
    schema = """
    source = "orders"
    [columns]
    order_id = { type = "text" }
    placed_at = { type = "instant" }
    amount = { type = "number" }
    city = { type = "text", values = ["Madrid", "Sevilla", "Vigo"] }
    paid = { type = "number" }
    paid_at = { type = "instant" }
    """
    shop.write("schemas/orders.toml", schema)
    broken = (
        pl.when((pl.col("placed_at").dt.month() == 4) & (pl.col("placed_at").dt.day() > 15))
        .then(pl.lit("Lugo"))
        .otherwise("city")
    )
    shop.put(orders_table(1200).with_columns(city=broken))
    ticker.tick()
    assert [event.data["outcome"] for event in shop.events("data.validated")] == ["pass"]
    ticker.tick(24)
    assert len(shop.events("data.validated")) == 1
    ticker.tick(24 * 16)
    ticker.tick(24 * 30)
    validated = shop.events("data.validated")
    assert [(event.data["outcome"], event.data["vetoed"]) for event in validated] == [
        ("pass", []),
        ("pass", []),
        ("stop", ["2013-04"]),
    ]
    causes = {shop.home.ledger.event(seq).kind for seq in validated[2].caused_by}
    assert causes == {"ledger.ticked", "data.version_created", "data.schema_recorded"}
    assert shop.snapshot().versions["orders"].vetoed == ("2013-04",)


def test_environments_that_ask_the_same_at_the_same_moment_share_the_answer(shop: Shop) -> None:
    shop.put(orders_table(100))
    first = shop.ingest()
    shop.ingest(scope=Scope("shop", "test"))
    with patch.object(Runner, "call", side_effect=AssertionError("no child is needed")):
        third = shop.ingest(scope=Scope("shop", "production"))
    assert third.manifest == first.manifest
    assert third.report == first.report


def test_files_that_met_a_full_disk_are_ingested_once_there_is_room(shop: Shop, ticker: Ticker) -> None:
    shop.put(orders_table(10))
    with patch.object(Runner, "call", side_effect=ArtifactDiskFull(path="artifacts")):
        assert ticker.tick() == 0
    assert ticker.tick(1) == 10
    assert [event.data["code"] for event in shop.events("data.ingestion_failed")] == ["artifacts/disk-full"]


def test_refused_data_are_not_announced(shop: Shop, ticker: Ticker) -> None:
    shop.put(orders_table(10))
    ticker.tick()
    shop.write("schemas/orders.toml", 'source = "orders"\n[columns.a]\ntype = "text"\n')
    shop.put(orders_table(10, first=500), "data/orders/2.parquet")
    assert ticker.tick(1) == 0
    assert [event.data["outcome"] for event in shop.events("data.validated")] == ["pass", "stop"]
    assert shop.events("data.ingestion_failed") == []
    assert ticker.tick(1) == 0
    assert len(shop.events("data.validated")) == 2


def test_a_day_in_another_unit_is_vetoed_when_an_alert_has_the_data_looked_at(shop: Shop, ticker: Ticker) -> None:
    """Its file was there from the beginning: on a replay clock nothing else makes anybody look before the month ends."""
    schema = """
    source = "orders"
    [columns]
    order_id = { type = "text" }
    placed_at = { type = "instant" }
    amount = { type = "number", rewritten = 0.25 }
    city = { type = "text" }
    paid = { type = "number" }
    paid_at = { type = "instant" }
    """
    shop.write("schemas/orders.toml", schema)
    whole = orders_table(2400).with_columns(
        placed_at=pl.datetime_range(START, START + dt.timedelta(hours=2399), "1h", time_unit="us", time_zone="UTC", eager=True),
        amount=pl.int_range(2400, eager=True) % 37 + 1.0,
    )
    faulty = pl.col("placed_at").dt.date() == (START + dt.timedelta(days=80)).date()
    shop.put(whole.with_columns(amount=pl.when(faulty).then(pl.col("amount") * 1.609344).otherwise("amount")))
    ticker.tick(24 * 10)
    before = len(shop.events("data.validated"))
    found = validate_reviewed(shop.home, shop.artifacts, shop.runners, shop.code(), shop.scope)
    assert found == ["orders"]
    (validated,) = shop.events("data.validated")[before:]
    assert (validated.data["outcome"], validated.data["vetoed"]) == ("warn", ["2013-03-22"])
    snapshot = shop.snapshot()
    days = read_snapshot(shop.artifacts, snapshot, "orders", trainable=True).collect()["placed_at"].dt.date().unique().to_list()
    assert (START + dt.timedelta(days=80)).date() not in days
    assert {(START + dt.timedelta(days=79)).date(), (START + dt.timedelta(days=81)).date()} <= set(days)
    assert (START + dt.timedelta(days=80)).date() in shop.read(shop.home.ledger.clock.now())["placed_at"].dt.date().to_list()
