"""Features are kept readable online where a model takes them, and are exact from its first answer on (K-C4, BR-O3)."""

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from bucle.delivery import Delivery, promote
from bucle.identity import Grant, Principal
from bucle.ledger import EventFilter, Scope, StoredEvent, Ticked, acting
from bucle.project import load_project_file, register_project

DEV = Scope("air", "dev")
ANA = Principal("prn_ana", "ana", "person", (Grant("owner"),))


def pass_hours(served, count: int) -> None:
    """Let hours pass as the timekeeper does."""
    ledger = served.house.ledger
    for _ in range(count):
        following = ledger.clock.now() + dt.timedelta(hours=1)
        ledger.move_clock(following, Ticked(following))
        served.house.dispatcher.drain()


def events(served, kind: str) -> list[StoredEvent]:
    return served.house.ledger.events(EventFilter(kinds=(kind,)))


def agree(served, row: Any, folder: Path) -> None:
    """Check that the service answers as with the features that the offline join has for this moment."""
    rows = [row(number, origin=("JFK", "LGA", "nowhere")[number % 3]) for number in range(6)]
    online = served.predict(*rows)["predictions"]
    moment = {"scheduled_at": served.house.ledger.clock.now()}
    pl.DataFrame([each | moment for each in rows]).write_parquet(folder / "rows.parquet")
    path = served.client.path("services", "delay", "batch")
    offline = served.client.post(path, folder / "rows.parquet", {"format": "parquet"})["predictions"]
    assert [each["prediction"] for each in online] == [each["prediction"] for each in offline]
    recent = served.client.get(served.client.path("services", "delay", "predictions"))
    assert any(None not in each["inputs"] for each in recent), "weather and traffic are there"


def test_a_model_that_begins_to_serve_finds_its_features_exact_at_once(idle, make_row, tmp_path: Path) -> None:
    house = idle.house
    register_project(house.ledger, load_project_file(idle.root), working_tree=True)
    before = len(events(idle, "features.materialized"))
    pass_hours(idle, 30)
    assert len(events(idle, "features.materialized")) == before, "nobody reads them here"
    with acting("ana", "owner"):
        promote(house.part(Delivery), DEV, "delay@1", ANA)
    agree(idle, make_row, tmp_path)  # before any event was handed out
    for _ in range(2):
        pass_hours(idle, 1)
        agree(idle, make_row, tmp_path)
    assert events(idle, "ledger.ticked")[-1].seq in events(idle, "features.materialized")[-1].caused_by


def test_what_stands_by_is_kept_exact_for_the_rollback(idle, make_row, tmp_path: Path) -> None:
    from bucle.serving import rollback

    register_project(idle.house.ledger, load_project_file(idle.root), working_tree=True)
    idle.deploy(0)
    idle.deploy(1)
    pass_hours(idle, 3)
    with idle.house.ledger.write() as transaction:
        rollback(transaction, DEV, "delay")
    agree(idle, make_row, tmp_path)


def test_rows_that_nobody_waits_for_are_announced_once_a_day_and_none_is_left_out(idle) -> None:
    register_project(idle.house.ledger, load_project_file(idle.root), working_tree=True)
    pass_hours(idle, 25)
    quiet = events(idle, "data.arrived")
    assert len(quiet) == 2 * 2, "two sources; the first tick and the first of the next day"
    idle.deploy()
    pass_hours(idle, 2)
    arrived = events(idle, "data.arrived")
    assert len(arrived) > len(quiet) + 2
    for source in ("flights", "weather"):
        counted = sum(event.data["rows"] for event in arrived if event.subject == source)
        assert counted == idle.client.get(idle.client.path("data", "versions", source))["visible"]
