"""Training frames from a real snapshot: which rows, which labels, what was known, how they are split and stored."""

import datetime as dt
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.air import START, flights_table
from tests.features.conftest import AIR, HOUR, Air, weather_table

from bucle.errors import BucleError
from bucle.features import RowEncoder, TrainingFrame, TrainingSet, build_frame, noted, planner, split
from bucle.ledger import from_us

AS_OF = START + dt.timedelta(days=10)


def frame(air: Air, as_of: dt.datetime = AS_OF, **bounds: Any) -> TrainingFrame:
    return build_frame(air.artifacts, air.definitions(), air.snapshot(as_of), "delays", **bounds)


def test_a_frame_holds_the_mature_labelled_rows_in_order_of_time(air: Air) -> None:
    made = frame(air)
    flights = flights_table().filter(pl.col("scheduled_at") <= AS_OF - 36 * HOUR)
    assert made.keys.to_list() == flights.filter(pl.col("arr_delay").is_not_null())["flight_id"].to_list()
    assert made.facts.unlabelled == flights["arr_delay"].null_count()
    assert made.facts.immature == len(
        flights_table().filter(pl.col("scheduled_at").is_between(AS_OF - 36 * HOUR, AS_OF, closed="right"))
    )
    assert made.times.is_sorted()
    assert set(made.y.tolist()) == {0, 1}


def test_a_frame_filtered_by_a_mask_keeps_its_rows_columns_and_order(air: Air) -> None:
    made = frame(air)
    known = ~np.isnan(made.X).any(axis=1)
    assert 0 < known.sum() < len(made)
    kept = made.filter(known)
    assert kept.keys.to_list() == [key for key, is_known in zip(made.keys, known, strict=True) if is_known]
    assert kept.columns == made.columns and not np.isnan(kept.X).any()
    assert kept.y.tolist() == made.y[known].tolist()
    with pytest.raises(ValueError, match=f"1 entries, the frame {len(made)} rows"):
        made.filter([True])


def test_features_are_as_each_row_would_have_seen_them(air: Air) -> None:
    made = frame(air, end=START + dt.timedelta(days=3)).to_polars()
    weather, flights = weather_table().with_row_index("place"), flights_table()
    for row in made.sample(60, seed=1).iter_rows(named=True):
        at, origin = row["scheduled_at"], row["origin"]
        seen = weather.filter((pl.col("origin") == origin) & (pl.col("observed_at") <= at) & (pl.col("recorded_at") <= at))
        seen = seen.filter(pl.col("observed_at") >= at - 3 * HOUR).sort("observed_at", "recorded_at", "place").tail(1)
        assert row["wind_speed"] == (seen["wind_speed"].to_list() or [None])[0]
        inside = flights.filter(
            (pl.col("origin") == origin) & (pl.col("departed_at") <= at) & (pl.col("departed_at") > at - 2 * HOUR)
        )
        inside = inside.filter(pl.col("scheduled_at") <= at)
        assert row["departures"] == len(inside)
        assert row["mean_delay"] == inside["dep_delay"].mean()
        assert row["worst"] == inside["dep_delay"].max()
        last = flights.filter((pl.col("origin") == origin) & (pl.col("scheduled_at") <= at)).sort("scheduled_at").tail(1)
        known = last["departed_at"].item() is not None and last["departed_at"].item() <= at
        assert row["last_delay"] == (last["dep_delay"].item() if known else None)


def test_a_label_that_came_after_the_snapshot_is_not_used(air: Air) -> None:
    late = flights_table().with_columns(
        arrived_at=pl.when(pl.col("flight_id") == "f3").then(pl.lit(AS_OF + HOUR)).otherwise(pl.col("arrived_at"))
    )
    air.put("flights", late)
    air.ingest()
    assert "f3" not in frame(air).keys.to_list()
    assert "f3" in frame(air, as_of=AS_OF + HOUR).keys.to_list()


def test_a_column_of_the_spine_that_is_known_later_is_null(air: Air) -> None:
    air.write(AIR.replace('"distance"]', '"distance", "dep_delay"]'))
    made = frame(air).to_polars()
    flights = flights_table().select("flight_id", "departed_at", true="dep_delay")
    early = made.join(flights, on="flight_id").with_columns(known=pl.col("departed_at") <= pl.col("scheduled_at"))
    assert early.filter("known")["dep_delay"].equals(early.filter("known")["true"].alias("dep_delay"))
    assert early.filter(~pl.col("known"))["dep_delay"].null_count() == len(early.filter(~pl.col("known"))) > 0


def test_a_key_of_the_spine_that_is_known_later_finds_no_features_before(air: Air) -> None:
    diverted = AIR.replace('"arr_delay": "arrived_at"}', '"arr_delay": "arrived_at", "landed": "arrived_at"}')
    diverted = diverted.replace("    return raw\n", "    return raw.with_columns(landed=pl.col('origin'))\n", 1)
    air.write(diverted.replace("last_flight, traffic]", 'last_flight, traffic, weather_now.on(origin="landed")]'))
    air.ingest()
    made = frame(air).to_polars()
    assert made["wind_speed"].null_count() < len(made) == made["landed_wind_speed"].null_count()


def test_inputs_are_floats_with_categories_by_place_and_nulls_as_nan(air: Air) -> None:
    made = frame(air)
    assert made.X.dtype == np.float64
    assert made.X.shape == (len(made), len(made.columns))
    carrier = made.columns[0]
    assert carrier.categories == ("AA", "B6")
    assert carrier.view is None
    assert [column.view for column in made.columns if column.name == "sky"] == ["weather_now"]
    encode = RowEncoder(made.columns).encode
    for number, row in enumerate(made.to_polars().head(50).iter_rows(named=True)):
        assert np.array_equal(made.X[number], np.array(encode(row)), equal_nan=True)
    assert math.isnan(encode({"carrier": "never seen"})[0])


def test_a_split_is_disjoint_in_order_of_time_and_encoded_by_the_past(air: Air) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    token = noted.set(lambda kind, data: heard.append((kind, dict(data))))
    try:
        past, recent = split(air.artifacts, air.definitions(), air.snapshot(AS_OF), "delays", window="4d", holdout="2d", seed=7)
    finally:
        noted.reset(token)
    last = flights_table().filter(pl.col("scheduled_at") <= AS_OF - 36 * HOUR)["scheduled_at"].max()
    assert isinstance(last, dt.datetime)
    assert recent.facts.end_us is not None
    assert from_us(recent.facts.end_us) == last + dt.timedelta(microseconds=1)
    assert past.times.max() < recent.times.min()
    assert past.facts.end_us == recent.facts.start_us
    assert recent.columns == past.columns
    assert past.seed == recent.seed == 7
    cancelled = flights_table().filter(pl.col("arr_delay").is_null())["scheduled_at"]
    for part in (past, recent):
        assert part.facts.start_us is not None
        assert part.facts.end_us is not None
        inside = cancelled.is_between(from_us(part.facts.start_us), from_us(part.facts.end_us), closed="left")
        assert part.facts.unlabelled == inside.sum() > 0
    (note,) = [data for kind, data in heard if kind == "features.split_made"]
    assert note["disjoint"] is True
    assert note["past"]["id"] == past.id != recent.id == note["recent"]["id"]
    read = [data for kind, data in heard if kind == "features.frame_read"]
    assert read[0]["rows"] == len(past)
    assert read[0]["versions"].keys() == {"flights", "weather"}
    assert read[0]["views"].keys() == {"weather_now", "last_flight", "traffic"}


def test_a_frame_is_stored_in_equal_bytes_and_read_back(air: Air, tmp_path: Path) -> None:
    made, again = frame(air), frame(air)
    made.save(tmp_path / "a")
    again.save(tmp_path / "b")
    for file in ("frame.parquet", "frame.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    loaded = TrainingFrame.load(tmp_path / "a")
    assert loaded.to_polars().equals(made.to_polars())
    assert np.array_equal(loaded.X, made.X, equal_nan=True)
    assert (loaded.columns, loaded.facts, loaded.seed) == (made.columns, made.facts, made.seed)
    assert loaded.to_pandas()["origin"].tolist() == made.to_polars()["origin"].to_list()
    assert "rows" in made._repr_html_()
    (tmp_path / "a" / "frame.json").write_text("{}")
    with pytest.raises(BucleError) as refused:
        TrainingFrame.load(tmp_path / "a")
    assert refused.value.code == "features/bad-frame-file"


def test_a_view_in_another_role_reads_another_column(air: Air) -> None:
    text = AIR.replace(
        "[weather_now, last_flight, traffic]", '[weather_now, weather_now.on(origin="dest"), traffic.on(origin="dest")]'
    )
    air.write(text.replace("return raw\n", 'return raw.with_columns(dest=pl.lit("LGA"))\n', 1))
    air.ingest()
    made = frame(air).to_polars()
    at_lga = made.filter(pl.col("origin") == "LGA")
    assert at_lga["wind_speed"].equals(at_lga["dest_wind_speed"].alias("wind_speed"), null_equal=True)
    assert not made["wind_speed"].equals(made["dest_wind_speed"].alias("wind_speed"), null_equal=True)
    assert made["dest_departures"].sum() > 0


@pytest.mark.parametrize(
    ("code", "old", "new"),
    [
        ("features/unknown-column", '"wind_speed", "sky"', '"wind_sped", "sky"'),
        ("features/unknown-column", '["carrier", "origin"', '["carier", "origin"'),
        ("features/unknown-column", '("dep_delay", "mean")', '("dep_dely", "mean")'),
        ("features/unknown-column", 'pl.col("arr_delay")', 'pl.col("ar_delay")'),
        ("features/duplicate-name", '"wind_speed", "sky"', 'carrier="sky"'),
        ("features/lost-keys", 'rows.select("wind_speed", "sky")', 'rows.group_by("sky").agg(pl.len())'),
        ("features/not-a-frame", 'rows.select("wind_speed", "sky")', "5"),
        ("features/view-failed", '"wind_speed", "sky"', 'pl.col("sky").dt.hour()'),
        ("features/view-failed", 'pl.col("arr_delay") > 15', 'pl.col("arr_delay").str.len_bytes() > 15'),
        ("features/bad-definition", '("flight_id", "count")', '("flight_id", "mean")'),
        ("features/bad-column-type", '"wind_speed", "sky"', '"observed_at", hour="observed_at"'),
    ],
)
def test_what_is_wrong_in_a_definition_is_told_with_its_line(air: Air, code: str, old: str, new: str) -> None:
    assert old in AIR
    air.write(AIR.replace(old, new, 1))
    with pytest.raises(BucleError) as refused:
        frame(air)
    assert refused.value.code == code
    assert refused.value.where is not None
    assert "air/__init__.py:" in refused.value.where


def test_no_row_and_no_such_training_set_are_coded(air: Air) -> None:
    with pytest.raises(BucleError) as refused:
        frame(air, end=START - 100 * HOUR)
    assert refused.value.code == "features/no-rows"
    with pytest.raises(BucleError, match="delay") as unknown:
        build_frame(air.artifacts, air.definitions(), air.snapshot(AS_OF), "delay")
    assert unknown.value.code == "features/unknown"
    assert unknown.value.next_step.startswith("The nearest: delays.")


def test_a_split_outside_a_pipeline_says_where_it_works_and_inside_one_is_planned(air: Air) -> None:
    delays = air.definitions().get(TrainingSet, "delays")
    with pytest.raises(BucleError) as refused:
        delays.split(window="90d", holdout="14d")
    assert refused.value.code == "features/outside-pipeline"
    planned: list[Any] = []
    token = planner.set(lambda *given: (planned.append(given), ("past", "recent"))[1])
    try:
        assert delays.split(window="14d", holdout="336h") == ("past", "recent")
    finally:
        planner.reset(token)
    assert planned == [("bucle.features:split", "delays", {"window": "1209600000000us", "holdout": "1209600000000us"})]
