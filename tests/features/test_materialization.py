"""The online store says at t what the offline join says at t, after any history of materializations (K-C4, BR-O3)."""

import datetime as dt
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from tests.air import START, flights_table
from tests.features.conftest import AIR, DEV, HOUR, Air

from bucle.data import read_snapshot
from bucle.errors import BucleError
from bucle.features import (
    TrainingSet,
    ViewSpec,
    list_materialized,
    materialization,
    read_online,
    read_online_rows,
    require_up_to_date,
)
from bucle.features.frames import TIME
from bucle.features.instants import to_integers
from bucle.features.join import point_in_time_join
from bucle.features.rows import contributions, join_view, view_rows
from bucle.features.views import AggregateView, FeatureView
from bucle.features.windows import Questions, window_column
from bucle.ledger import Scope

DAY = dt.timedelta(days=1)


def offline(air: Air, at: dt.datetime, keys: list[str | None]) -> list[dict[str, object]]:
    """Return what the offline join says of airports at a moment, from everything there ever was."""
    snapshot = air.snapshot(START + 30 * DAY)
    spine = pl.DataFrame({"origin": pl.Series(keys, dtype=pl.String), TIME: [at] * len(keys)})
    columns: dict[str, list[object]] = {}
    for view in air.definitions().get(TrainingSet, "delays").features:
        spec = view.spec()
        source, rows = snapshot.versions[spec.source].spec, read_snapshot(air.artifacts, snapshot, spec.source)
        if isinstance(view, FeatureView):
            joined = join_view(spec, view_rows(view, spec, rows, source))
            result = point_in_time_join(spine, [joined], timestamp=TIME)
            columns |= {name: result[name].to_list() for name in joined.features}
        elif isinstance(view, AggregateView):
            asked = Questions((spine["origin"],), to_integers(spine[TIME]))
            held = rows.collect()
            for each in spec.aggregates:
                columns[each.name] = window_column(asked, contributions(view, spec, each, held, source), each).to_list()
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def online(air: Air, at: dt.datetime, keys: list[str | None]) -> list[Mapping[str, object]]:
    return list(read_online_rows(air.home.ledger, DEV, air.views(), [{"origin": key} for key in keys], at))


KEYS: list[str | None] = ["JFK", "LGA", "nowhere", None]


def test_online_equals_offline_at_every_moment_of_a_replay(air: Air) -> None:
    for hour in range(30):
        now = START + 2 * DAY + hour * HOUR
        air.materialize(now)
        assert online(air, now, KEYS) == offline(air, now, KEYS)
    assert len({tuple(each.items()) for each in online(air, now, ["JFK", "LGA"])}) == 2


def test_steps_of_any_length_lead_to_the_same_as_one(air: Air) -> None:
    end = START + 6 * DAY
    for minutes in (0, 1, 59, 60, 61, 700, 3000):
        air.materialize(START + 3 * DAY + dt.timedelta(minutes=minutes))
    air.materialize(end)
    stepwise = online(air, end, KEYS)
    with air.home.ledger.write() as transaction:
        transaction.execute("DELETE FROM online_feature")
        transaction.execute("DELETE FROM materialized_view")
    air.materialize(end)
    assert online(air, end, KEYS) == stepwise == offline(air, end, KEYS)


def test_windows_are_exact_after_the_last_materialization_and_an_hour_before_it(air: Air) -> None:
    now = START + 4 * DAY
    air.materialize(now)
    windows = [view for view in air.views() if view.name == "traffic"]
    for minutes in (-60, -59, -1):
        at = now + dt.timedelta(minutes=minutes)
        expected = offline(air, at, ["JFK"])[0]
        found = read_online(air.home.ledger, DEV, windows, {"origin": "JFK"}, at)
        assert found == {name: expected[name] for name in found}
    later = read_online(air.home.ledger, DEV, windows, {"origin": "JFK"}, now + 2 * HOUR)
    assert later == {"mean_delay": None, "departures": 0, "worst": None}


def test_what_no_tick_keeps_up_is_refused_instead_of_answered_with_old_news(air: Air) -> None:
    now = START + 4 * DAY
    air.materialize(now)
    require_up_to_date(air.home.ledger, DEV, air.views(), now + 2 * HOUR)
    with pytest.raises(BucleError) as refused:
        require_up_to_date(air.home.ledger, DEV, air.views(), now + 3 * HOUR)
    assert refused.value.code == "features/behind"


def test_the_past_is_not_answered_online_with_what_came_later(air: Air) -> None:
    air.materialize(START + 4 * DAY)
    with pytest.raises(BucleError) as refused:
        online(air, START + 3 * DAY, ["JFK"])
    assert refused.value.code == "features/too-far-back"


def test_a_window_before_the_margin_is_refused_also_for_an_entity_without_a_row(air: Air) -> None:
    now = START + 25 * DAY  # the last flight is of day 20: what is built now holds no row of any airport
    air.materialize(now)
    windows = [view for view in air.views() if view.name == "traffic"]
    for origin in ("JFK", "nowhere"):
        for at in (now - HOUR, now):
            assert read_online(air.home.ledger, DEV, windows, {"origin": origin}, at)["departures"] == 0
        with pytest.raises(BucleError) as refused:
            read_online(air.home.ledger, DEV, windows, {"origin": origin}, START + 4 * DAY)
        assert refused.value.code == "features/too-far-back"
    nobody = read_online(air.home.ledger, DEV, windows, {"origin": None}, START + 4 * DAY)
    assert nobody == {"mean_delay": None, "departures": None, "worst": None}


@pytest.mark.parametrize("value", ["\udfff", float("inf"), 10**30])
def test_a_key_that_none_can_equal_is_refused_with_its_field(air: Air, value: object) -> None:
    now = START + 4 * DAY
    air.materialize(now)
    with pytest.raises(BucleError) as refused:
        read_online_rows(air.home.ledger, DEV, air.views(), [{"origin": "JFK"}, {"origin": value}], now)
    assert (refused.value.code, refused.value.status) == ("features/bad-key-value", 422)
    assert refused.value.where == "rows[1].origin"


def test_rows_of_a_source_whose_key_nobody_can_ask_for_keep_no_view_from_being_read(air: Air) -> None:
    flights = flights_table(5).with_columns(origin=pl.when(pl.col("origin") == "JFK").then(1.0).otherwise(float("inf")))
    air.put("flights", flights)
    air.ingest()
    now = START + 4 * DAY
    materialization.materialize(air.home, air.runners, air.code(), DEV, now, only="traffic")
    (traffic,) = (view for view in air.views() if view.name == "traffic")
    found = read_online(air.home.ledger, DEV, [traffic], {"origin": 1}, now)
    assert found["departures"] and found["mean_delay"] is not None


def test_nothing_later_than_until_becomes_readable(air: Air) -> None:
    now = START + 4 * DAY
    air.materialize(now)
    at_now = online(air, now, ["JFK"])[0]
    much_later = online(air, now + 30 * DAY, ["JFK"])[0]
    assert much_later["last_delay"] == at_now["last_delay"]
    assert (much_later["wind_speed"], much_later["sky"]) == (None, None)  # its time to live is over


def test_the_later_row_of_one_moment_stays_the_newest_when_the_earlier_one_becomes_known(air: Air) -> None:
    rows = flights_table().head(2).with_columns(origin=pl.lit("JFK"), scheduled_at=pl.lit(START), dep_delay=pl.Series([7, 9]))
    days = pl.Series([START + 5 * DAY, START], dtype=pl.Datetime("us", "UTC"))
    air.put("flights", rows.with_columns(departed_at=days, arrived_at=days))
    air.ingest()
    for now in (START + 2 * DAY, START + 6 * DAY):
        air.materialize(now)
        assert online(air, now, KEYS) == offline(air, now, KEYS)
    assert online(air, now, ["JFK"])[0]["last_delay"] == 9


def test_a_view_that_never_ends_is_stopped(air: Air, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materialization, "_SECONDS", 1.0)
    air.write(
        AIR.replace("    return rows.select(last_delay", "    import time; time.sleep(60)\n    return rows.select(last_delay")
    )
    with pytest.raises(BucleError) as refused:
        air.materialize(START + 2 * DAY)
    assert refused.value.code == "runtimes/runner-timeout"


def test_a_corrected_file_replaces_what_was_readable(air: Air) -> None:
    now = START + 5 * DAY
    air.materialize(now)
    before = online(air, now, ["JFK"])
    air.put("flights", flights_table().with_columns(dep_delay=pl.col("dep_delay") + 1000).head(150))
    air.ingest()
    air.materialize(now)
    assert online(air, now, KEYS) == offline(air, now, KEYS)
    assert online(air, now, ["JFK"]) != before


def test_another_definition_is_built_beside_the_one_that_serves(air: Air) -> None:
    now = START + 5 * DAY
    air.materialize(now)
    old = air.views()
    air.write(AIR.replace('window="2h"', 'window="5h"'))
    with pytest.raises(BucleError) as refused:
        online(air, now, ["JFK"])
    assert refused.value.code == "features/not-materialized"
    air.materialize(now)
    assert online(air, now, KEYS) == offline(air, now, KEYS)
    assert (
        read_online(air.home.ledger, DEV, old, {"origin": "JFK"}, now)["departures"]
        < online(air, now, ["JFK"])[0]["departures"]
    )  # type: ignore[operator]


def test_a_materialization_says_what_it_read_and_wrote_and_why(air: Air) -> None:
    now = START + 5 * DAY
    done = air.materialize(now)
    assert [each.view for each in done] == ["weather_now", "last_flight", "traffic"]
    events = air.events("features.materialized")
    assert [event.data["view"] for event in events] == ["weather_now", "last_flight", "traffic"]
    assert events[0].data["rows"] == done[0].rows == events[0].data["written"] == 2
    versions = {event.data["source"]: event.seq for event in air.events("data.version_created")}
    assert [event.caused_by for event in events] == [(versions["weather"],), (versions["flights"],), (versions["flights"],)]
    again = air.materialize(now)
    assert [(each.rows, each.written) for each in again] == [(0, 0)] * 3
    assert len(air.events("features.materialized")) == 3
    with air.home.ledger.read() as reader:
        held = {each.view: each for each in list_materialized(reader, DEV)}
    assert held["weather_now"].features == ("wind_speed", "sky")
    assert {each.event for each in held.values()} == {event.seq for event in events}


def test_an_environment_does_not_see_another_ones_values(air: Air) -> None:
    air.materialize(START + 5 * DAY)
    with pytest.raises(BucleError) as refused:
        read_online(air.home.ledger, Scope("air", "production"), air.views(), {"origin": "JFK"}, START + 5 * DAY)
    assert refused.value.code == "features/not-materialized"


def test_reading_imports_neither_polars_nor_numpy() -> None:
    program = """
import sys
from bucle.features import RowEncoder, ViewSpec, materialize, read_online, read_online_rows
assert not {"polars", "numpy", "pyarrow", "duckdb"} & set(sys.modules), sys.modules.keys()
"""
    source = str(Path(__file__).parent.parent.parent / "src")
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": source}, timeout=120)


def test_every_view_of_the_project_is_described_for_serving(air: Air) -> None:
    views = air.views()
    assert [view.name for view in views] == ["weather_now", "last_flight", "traffic"]
    assert all(isinstance(view, ViewSpec) and view.spine_keys == ("origin",) for view in views)
