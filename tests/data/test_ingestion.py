"""From files to versions: what is new, what is reused, what is refused, and what each leaves in the ledger."""

import datetime as dt
import errno
import glob
import os
import subprocess
import time
from collections.abc import Callable
from itertools import count
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from blake3 import blake3

from bucle.data import (
    DataRefused,
    current_versions,
    get_version,
    ingest,
    list_versions,
    load_manifest,
    read_report,
    validate,
)
from bucle.data.errors import (
    CleaningFailed,
    FilesChanged,
    MalformedFile,
    NoFiles,
    UnknownSource,
    UnknownVersion,
    UnreadableFile,
)
from bucle.ledger import Scope
from bucle.project import export_commit, load_project_file, register_project
from bucle.runtimes import Runner, RunnerDied, load_code

from .conftest import SHOP, START, Shop, orders_table

TEST = Scope("shop", "test")


def test_files_become_a_version_with_events_that_cause_each_other(shop: Shop) -> None:
    shop.put(orders_table())
    version = shop.ingest()
    kinds = {event.kind: event for event in shop.events()}
    assert (version.rows, version.first) == (600, START)
    assert list(kinds) == [
        "data.source_connected",
        "data.rules_recorded",
        "data.version_created",
        "data.source_profiled",
        "data.validated",
    ]
    created = kinds["data.version_created"]
    assert created.caused_by == (kinds["data.source_connected"].seq, kinds["data.rules_recorded"].seq)
    assert created.data["rules"] == kinds["data.rules_recorded"].data["digest"]
    assert created.seq in kinds["data.source_profiled"].caused_by
    assert created.seq in kinds["data.validated"].caused_by
    assert created.actor == "ana"
    assert kinds["data.source_connected"].data["files"] == 1
    assert [edge.source for edge in shop.home.ledger.lineage(version.id)] == [version.manifest]


def test_nothing_changed_makes_no_version_and_no_event(shop: Shop) -> None:
    path = shop.put(orders_table())
    first = shop.ingest()
    before = len(shop.events())
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert shop.ingest().id == first.id
    assert len(shop.events()) == before


def test_a_new_file_makes_a_version_that_shares_what_did_not_change(shop: Shop) -> None:
    shop.put(orders_table())
    first = shop.ingest()
    later = START + dt.timedelta(days=100)
    shop.put(orders_table(10, later, 600), "data/orders/2.parquet")
    second = shop.ingest()
    fragments = [
        {each.artifact for each in load_manifest(shop.artifacts, version.manifest).fragments} for version in (first, second)
    ]
    assert second.rows == 610
    assert fragments[0] < fragments[1]
    with shop.home.ledger.read() as reader:
        assert current_versions(reader, shop.scope)["orders"] == second
        assert list_versions(reader, shop.scope, "orders") == [second, first]


def test_changed_rules_make_a_version_and_say_which_code_changed(shop: Shop) -> None:
    shop.put(orders_table())
    first = shop.ingest()
    shop.write("shop/__init__.py", SHOP.replace("> 0", "> 20"))
    second = shop.ingest()
    recorded = shop.events("data.rules_recorded")
    assert second.rows < first.rows
    assert second.raw == first.raw
    assert recorded[1].data["changed"] == ["shop:orders"]
    assert recorded[1].caused_by == (recorded[0].seq,)
    assert recorded[1].data["where"].startswith("shop/__init__.py:")


def test_a_comment_in_the_rules_changes_nothing(shop: Shop) -> None:
    shop.put(orders_table())
    first = shop.ingest()
    shop.write("shop/__init__.py", SHOP.replace("    return", "    # only real orders\n    return"))
    assert shop.ingest().id == first.id
    assert shop.read(START + dt.timedelta(days=10)).height == 81


def test_rules_by_a_commit_name_the_run_that_asked_for_them(shop: Shop) -> None:
    shop.put(orders_table())
    shop.write(".gitignore", "data/\n")
    git = ["git", "-C", str(shop.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True, timeout=120)
    subprocess.run([*git, "add", "."], check=True, timeout=120)
    subprocess.run([*git, "commit", "-qm", "Clean\n\nBucle-Run: run_01ABC"], check=True, timeout=120)
    shop.ingest()
    assert shop.events("data.rules_recorded")[0].data["because_run"] == "run_01ABC"
    assert shop.events("data.rules_recorded")[0].data["commit"]


def test_another_environment_takes_over_what_was_cleaned_already(shop: Shop) -> None:
    shop.put(orders_table())
    ours = shop.ingest()
    theirs = shop.ingest(scope=TEST)
    assert theirs.id != ours.id
    assert theirs.manifest == ours.manifest
    assert shop.events("data.version_created")[-1].data["reused"] is True
    assert shop.events("data.version_created")[-1].environment == "test"


def test_an_environment_may_have_its_own_files(shop: Shop) -> None:
    shop.put(orders_table())
    shop.put(orders_table(20), "elsewhere/a.parquet")
    toml = (shop.root / "bucle.toml").read_text("utf-8")
    shop.write("bucle.toml", toml.replace("[environments.test]", '[environments.test]\nsources = { orders = "elsewhere/*" }'))
    assert shop.ingest().rows == 600
    assert shop.ingest(scope=TEST).rows == 20


def test_a_pushed_commit_finds_the_files_of_the_working_tree(shop: Shop) -> None:
    register_project(shop.home.ledger, load_project_file(shop.root), working_tree=True)
    shop.put(orders_table())
    shop.write(".gitignore", "data/\n")
    git = ["git", "-C", str(shop.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "One"]):
        subprocess.run([*git, *arguments], check=True, timeout=120)
    shop.ingest()
    checkout = export_commit(shop.home, shop.root, "shop", "HEAD")
    code = load_code(shop.home, shop.runners, checkout)
    assert ingest(shop.home, shop.artifacts, shop.runners, code, TEST, "orders").rows == 600


def test_a_malformed_file_is_named_and_the_version_before_stays(shop: Shop) -> None:
    shop.put(orders_table(5), "data/orders/0.parquet")
    good = shop.ingest()
    shop.write("data/orders/1.parquet", "PAR1 but no more")
    with pytest.raises(MalformedFile) as caught:
        shop.ingest()
    assert str(caught.value.where).endswith("1.parquet")
    with shop.home.ledger.read() as reader:
        assert current_versions(reader, shop.scope)["orders"] == good
    assert len(shop.events("data.version_created")) == 1


def _writing(shop: Shop, rows: Callable[[], pl.DataFrame | None]) -> Any:
    """Let somebody write the file anew between its hashing and the child's read."""
    call = Runner.call

    def late(runner: Runner, entry: str, *given: Any, **more: Any) -> Any:
        if entry.endswith(":ingest_in_child") and (table := rows()) is not None:
            shop.put(table)
        return call(runner, entry, *given, **more)

    return patch.object(Runner, "call", late)


def test_a_file_that_is_written_while_it_is_read_is_read_again(shop: Shop) -> None:
    path, later = shop.put(orders_table(10)), iter([orders_table(20)])
    with _writing(shop, lambda: next(later, None)):
        version = shop.ingest()
    assert version.rows == 20
    assert load_manifest(shop.artifacts, version.manifest).files[0].digest == blake3(path.read_bytes()).hexdigest()


def test_a_file_that_is_written_each_time_it_is_read_makes_no_version(shop: Shop) -> None:
    path, size = shop.put(orders_table(10)), count(11)
    with _writing(shop, lambda: orders_table(next(size))), pytest.raises(FilesChanged) as caught:
        shop.ingest()
    assert caught.value.where == str(path)
    assert shop.events("data.version_created") == []


def test_a_file_that_cannot_be_opened_is_named_with_the_systems_reason(shop: Shop) -> None:
    path = shop.put(orders_table(5))
    denied = PermissionError(errno.EACCES, "Permission denied", str(path))
    with patch("bucle.data.files.blake3", side_effect=denied, AUTO=-1), pytest.raises(UnreadableFile) as caught:
        shop.ingest()
    assert (caught.value.where, "Permission denied" in str(caught.value)) == (str(path), True)


def test_a_file_that_vanishes_after_it_was_listed_is_not_there(shop: Shop) -> None:
    shop.put(orders_table(5))
    gone = shop.put(orders_table(7, first=50), "data/orders/2.parquet")
    listed = glob.glob

    def then_remove(*given: Any, **more: Any) -> list[str]:
        found = listed(*given, **more)
        gone.unlink(missing_ok=True)
        return found

    with patch("bucle.data.files.glob.glob", then_remove):
        assert shop.ingest().rows == 5


def test_rows_without_a_timestamp_are_kept_but_never_seen(shop: Shop) -> None:
    table = orders_table(30)
    shop.put(table.with_columns(pl.when(pl.col("order_id") != "o3").then("placed_at").alias("placed_at")))
    version = shop.ingest()
    assert version.rows == 29
    assert shop.events("data.version_created")[0].data["undated"] == 1
    assert shop.read(START + dt.timedelta(days=75)).height == 29


def test_what_the_rules_raise_is_told_with_their_line(shop: Shop) -> None:
    shop.put(orders_table(5))
    shop.write("shop/__init__.py", SHOP.replace('return raw.filter(pl.col("amount") > 0)', "raise ValueError('no')"))
    with pytest.raises(CleaningFailed, match="ValueError: no") as caught:
        shop.ingest()
    assert caught.value.where == "shop/__init__.py:8"


def test_no_file_and_an_unknown_source_say_so(shop: Shop) -> None:
    with pytest.raises(NoFiles, match=r"data/orders/\*\.parquet"):
        shop.ingest()
    with pytest.raises(UnknownSource, match="ordrs"):
        shop.ingest("ordrs")


def test_a_source_that_contradicts_itself_is_named_by_its_line(shop: Shop) -> None:
    shop.put(orders_table(5))
    shop.write("shop/__init__.py", SHOP.replace('{"paid": "paid_at"}', '{"order_id": "paid_at"}'))
    with pytest.raises(Exception, match="cannot be known later than its row") as caught:
        shop.ingest()
    assert "shop/__init__.py" in str(getattr(caught.value, "where", ""))


def reviewed(shop: Shop, more: str = "", **columns: str) -> None:
    fields = {
        "order_id": 'type = "text"\nnulls = 0.0',
        "placed_at": 'type = "instant"\nnulls = 0.0',
        "amount": 'type = "number"\nleast = 0.0\nmost = 1000.0',
        "city": 'type = "text"\nvalues = ["Madrid", "Sevilla", "Vigo"]\nnulls = 0.0',
        "paid_at": 'type = "instant"\nnulls = 0.2',
        "paid": 'type = "number"\nnulls = 0.2\nskew = 0.25',
    } | columns
    tables = "\n".join(f"[columns.{name}]\n{body}" for name, body in fields.items())
    shop.write("schemas/orders.toml", f'source = "orders"\nunique = ["order_id"]\n{more}\n' + tables)


def test_schema_skew_stops_and_the_version_before_stays_current(shop: Shop) -> None:
    reviewed(shop)
    shop.put(orders_table())
    good = shop.ingest()
    assert good.outcome == "pass"
    shop.put(orders_table(30, START + dt.timedelta(days=10), 9000).with_columns(city=pl.lit("Lugo")), "data/orders/2.parquet")
    for _ in range(2):
        with pytest.raises(DataRefused, match="'city' lies outside of its values") as caught:
            shop.ingest()
        assert caught.value.where == "schemas/orders.toml:14"
    validated = shop.events("data.validated")
    assert [event.data["outcome"] for event in validated] == ["pass", "stop"]
    with shop.home.ledger.read() as reader:
        assert current_versions(reader, shop.scope)["orders"] == good
    assert shop.snapshot().ids() == {"orders": good.id}


def test_value_skew_warns_and_keeps_the_month_from_training(shop: Shop) -> None:
    from bucle.data import read_snapshot

    reviewed(shop)
    later = START + dt.timedelta(days=40)
    shop.put(orders_table())
    shop.put(orders_table(100, later, 9000).with_columns(pl.col("paid") + 100), "data/orders/2.parquet")
    version = shop.ingest()
    validated = shop.events("data.validated")[-1]
    assert version.outcome == "warn"
    assert validated.data["vetoed"] == ["2013-02"]
    snapshot = shop.snapshot()
    assert snapshot.versions["orders"].vetoed == ("2013-02",)
    seen = read_snapshot(shop.artifacts, snapshot, "orders").collect()
    kept = read_snapshot(shop.artifacts, snapshot, "orders", trainable=True).collect()
    assert set(seen["placed_at"].dt.month()) == {1, 2, 3}
    assert set(kept["placed_at"].dt.month()) == {1, 3}


def test_a_reviewed_schema_that_allows_the_world_lets_the_same_data_pass(shop: Shop) -> None:
    reviewed(shop, city='type = "text"\nvalues = ["Madrid"]')
    shop.put(orders_table())
    with pytest.raises(DataRefused):
        shop.ingest()
    reviewed(shop)
    version = shop.ingest()
    assert version.outcome == "pass"
    assert len(shop.events("data.version_created")) == 1
    recorded = shop.events("data.schema_recorded")
    assert len({event.data["schema"] for event in recorded}) == 2
    assert recorded[1].seq in shop.events("data.validated")[-1].caused_by


def test_validation_on_demand_is_recorded_each_time(shop: Shop) -> None:
    reviewed(shop)
    shop.put(orders_table())
    shop.ingest()
    report = validate(shop.home, shop.artifacts, shop.runners, shop.code(), shop.scope, "orders")
    assert report.outcome == "pass"
    assert report.checks >= 20
    assert len(shop.events("data.validated")) == 2
    with shop.home.ledger.read() as reader:
        version = current_versions(reader, shop.scope)["orders"]
    assert version.validated_event == shop.events("data.validated")[-1].seq
    assert read_report(shop.artifacts, version) == report


def test_a_version_of_another_project_is_unknown(shop: Shop) -> None:
    shop.put(orders_table(5))
    version = shop.ingest()
    with shop.home.ledger.read() as reader:
        assert get_version(reader, version.id, "shop") == version
        with pytest.raises(UnknownVersion):
            get_version(reader, version.id, "other")


def test_a_child_that_is_killed_midway_leaves_nothing_and_the_next_attempt_succeeds(shop: Shop) -> None:
    shop.put(orders_table(50))
    kill = (
        'import os\n    if raw.collect().height:\n        os.kill(os.getpid(), 9)\n    return raw.filter(pl.col("amount") > 0)'
    )
    shop.write("shop/__init__.py", SHOP.replace('return raw.filter(pl.col("amount") > 0)', kill))
    with pytest.raises(RunnerDied):
        shop.ingest()
    assert shop.events() == []
    shop.write("shop/__init__.py", SHOP)
    assert shop.ingest().rows == 50
