"""The routes and commands of data, as a user meets them: the command line against a running server."""

import json
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.live import bucle, up

from bucle.client import connect
from bucle.errors import RemoteError

from .conftest import SHOP, TOML, orders_table


@dataclass
class Place:
    """A project and a home, and `bucle` in it."""

    root: Path
    home: Path

    def run(self, *words: str, fails: int = 0) -> Any:
        done = self.say(*words, "--json")
        assert done.returncode == fails, done.stderr
        return json.loads(done.stdout or done.stderr)

    def say(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return bucle(*words, "--home", self.home, cwd=self.root)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    root = tmp_path / "shop"
    (root / "shop").mkdir(parents=True)
    (root / "data" / "orders").mkdir(parents=True)
    (root / "bucle.toml").write_text(TOML, "utf-8")
    (root / "shop" / "__init__.py").write_text(textwrap.dedent(SHOP), "utf-8")
    orders_table().write_parquet(root / "data/orders/1.parquet")
    with up(root / ".bucle"):
        yield Place(root, root / ".bucle")


def test_a_newcomer_ingests_reviews_validates_compares_and_takes_data_out(place: Place) -> None:
    added = place.run("data", "add", "orders")
    assert added["version"]["rows"] == added["visible"] == 600
    assert {column["name"] for column in added["columns"]} == set(orders_table().columns)
    assert added["labels"] == [{"label": "paid", "rows": 600, "labelled": 540, "pending": 60, "never": 0}]

    inferred = place.run("data", "infer", "orders")
    assert (place.root / inferred["file"]).read_text("utf-8") == inferred["text"]
    assert place.run("data", "infer", "orders", fails=1)["code"] == "data/schema-exists"
    assert place.run("data", "validate", "orders")["outcome"] in ("pass", "warn")

    bad = orders_table(50, first=700).with_columns(city=pl.lit("Lugo"))
    bad.write_parquet(place.root / "data/orders/2.parquet")
    refused = place.run("data", "add", "orders", fails=1)
    assert refused["code"] == "data/refused"
    assert refused["where"].startswith("schemas/orders.toml:")
    assert place.run("data", "validate", "orders", fails=1)["outcome"] == "stop"

    orders_table(50, first=700).with_columns(amount=pl.lit(5.0)).write_parquet(place.root / "data/orders/2.parquet")
    second = place.run("data", "add", "orders")["version"]["id"]
    versions = place.run("data", "list", "orders")
    assert [each["outcome"] for each in versions] == [versions[0]["outcome"], "stop", versions[2]["outcome"]]
    different = place.run("data", "diff", added["version"]["id"], second)
    assert (different["added"], different["removed"], different["changed"]) == (50, 0, 0)
    assert different["files_added"] == ["data/orders/2.parquet"]
    assert place.run("data", "show", "orders")["version"]["id"] == second

    out = place.run("data", "checkout", "orders", str(place.root / "out"))
    assert out["rows"] == 650
    assert pl.read_parquet(place.root / "out/*.parquet").height == 650


def test_what_does_not_exist_is_answered_with_its_code(place: Place) -> None:
    assert place.run("data", "add", "ordrs", fails=1)["code"] == "data/unknown-source"
    assert place.run("data", "show", "ds_none", fails=1)["code"] == "data/unknown-version"
    assert place.run("data", "infer", "orders", fails=1)["code"] == "data/no-version"
    place.run("data", "add", "orders")
    with connect(home=place.home, project="shop") as client, pytest.raises(RemoteError) as caught:
        client.get(client.path("data", "versions", "orders", "files", "other.parquet"))
    assert caught.value.code == "data/unknown-file"
    assert place.run("data", "add", "orders", "--environment", "test", fails=1)["code"] == "server/nothing-runs"


def test_people_see_tables_and_outcomes(place: Place) -> None:
    for words, shown in (
        (["add", "orders"], "600 visible now"),
        (["list"], "orders"),
        (["validate", "orders"], "validation: pass of 3 checks (no reviewed schema"),
        (["diff", "orders", "orders"], "0 added, 0 removed, 0 changed"),
    ):
        done = place.say("data", *words)
        assert done.returncode == 0, done.stderr
        assert shown in done.stdout
