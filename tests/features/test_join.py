"""The point-in-time join against the oracle and against each defect that peers have had (docs/features.md)."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import polars as pl
import pytest

from bucle.errors import BucleError
from bucle.features import JoinView, point_in_time_join

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def joined(spine: Any, rows: Any, **view: Any) -> pl.DataFrame:
    """Join one view "v" with key "k", feature "f" and timestamp "at"."""
    settings = {"keys": ("k",), "features": ("f",), "timestamp": "at"} | view
    return point_in_time_join(spine, [JoinView("v", rows, **settings)], timestamp="t")


def run(pit: ModuleType, seed: int, entities: int, rows: int) -> list[str]:
    case = pit.make_case(seed, n_entity=entities, n_feature=rows)
    views = [JoinView(v.name, v.df, tuple(v.keys), tuple(v.features), v.ts, v.created, v.ttl, v.join_map) for v in case.views]
    actual = point_in_time_join(case.entity, views, timestamp=case.ts, as_known=case.as_of_known)
    untouched = actual.select(case.entity.columns.tolist()).equals(pl.from_pandas(case.entity), null_equal=True)
    return pit.compare(case, actual.to_pandas()) + ([] if untouched else ["the spine's own columns changed"])


@pytest.mark.parametrize("block", range(10))
def test_the_join_agrees_with_the_oracle_on_fifty_cases(pit: ModuleType, block: int) -> None:
    wrong = {seed: found for seed in range(block * 50, block * 50 + 50) if (found := run(pit, seed, 20, 40))}
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_the_join_agrees_with_the_oracle_on_other_seeds_and_larger_cases(pit: ModuleType, block: int) -> None:
    wrong = {seed: found for seed in range(10_000 + block * 50, 10_050 + block * 50) if (found := run(pit, seed, 60, 200))}
    assert not wrong


def test_every_knob_of_the_oracle_turns_in_the_cases_of_the_suite(pit: ModuleType) -> None:
    turned = {knob for seed in range(60) for knob in pit.make_case(seed, n_entity=1, n_feature=1).knobs}
    assert turned == set(pit.KNOBS)


def test_rows_stay_when_only_future_features_exist() -> None:
    spine = pl.DataFrame({"k": [1, 1], "t": [NOON, NOON], "x": ["a", "a"]})
    result = joined(spine, pl.DataFrame({"k": [1], "at": [NOON + HOUR], "f": [1.0]}))
    assert result["f"].to_list() == [None, None]
    assert result.select(spine.columns).equals(spine)


@pytest.mark.parametrize(("left", "right"), [(1, "1"), ("1", 1), (True, 1), (date(2024, 1, 1), "2024-01-01")])
def test_keys_of_different_types_never_match(left: object, right: object) -> None:
    result = joined(
        pl.DataFrame({"k": [left], "t": [NOON]}), pl.DataFrame({"k": [right], "at": [NOON], "f": [1.0]}, strict=False)
    )
    assert result["f"].to_list() == [None]


def test_a_whole_float_key_equals_the_integer_without_rounding_large_ones() -> None:
    large = 2**53 + 1
    rows = pl.DataFrame({"k": [1, large], "at": [NOON, NOON], "f": [1.0, 2.0]})
    spine = pl.DataFrame({"k": [1.0, 1.5, None, float("nan"), float(2**53)], "t": [NOON] * 5})
    assert joined(spine, rows)["f"].to_list() == [1.0, None, None, None, None]


def test_parts_of_a_composite_key_are_compared_separately() -> None:
    rows = pl.DataFrame({"a": [1, 11], "b": [11, 1], "at": [NOON, NOON], "f": ["1,11", "11,1"]})
    spine = pl.DataFrame({"a": [11, 1, 1], "b": [1, 11, None], "t": [NOON] * 3})
    assert joined(spine, rows, keys=("a", "b"))["f"].to_list() == ["11,1", "1,11", None]


def test_a_key_is_found_in_another_column_of_the_spine() -> None:
    rows = pl.DataFrame({"k": ["JFK"], "at": [NOON], "f": [1]})
    spine = pl.DataFrame({"dest": ["JFK"], "t": [NOON]})
    assert joined(spine, rows, on={"k": "dest"})["f"].to_list() == [1]


def test_time_to_live_is_inclusive_and_mixed_units_work() -> None:
    rows = pl.DataFrame({"k": [1], "at": [NOON], "f": [1]})
    ttl = timedelta(days=1, hours=12)
    spine = pl.DataFrame({"k": [1, 1], "t": [NOON + ttl, NOON + ttl + timedelta(microseconds=1)]})
    assert joined(spine, rows, ttl=ttl)["f"].to_list() == [1, None]


def test_a_backfill_does_not_leak() -> None:
    rows = pl.DataFrame({"k": [1, 1], "at": [NOON, NOON + HOUR], "c": [NOON, NOON + 9 * HOUR], "f": ["then", "backfilled"]})
    spine = pl.DataFrame({"k": [1, 1], "t": [NOON + 2 * HOUR, NOON + 9 * HOUR]})
    assert joined(spine, rows, created="c")["f"].to_list() == ["then", "backfilled"]


def test_an_older_event_that_was_recorded_later_does_not_win() -> None:
    rows = pl.DataFrame({"k": [1, 1], "at": [NOON + HOUR, NOON], "c": [NOON + HOUR, NOON + 2 * HOUR], "f": ["new", "late old"]})
    spine = pl.DataFrame({"k": [1], "t": [NOON + 3 * HOUR]})
    assert joined(spine, rows, created="c")["f"].to_list() == ["new"]


def test_of_fully_equal_rows_the_latest_ingested_wins() -> None:
    rows = pl.DataFrame({"k": [1, 1, 1], "at": [NOON] * 3, "c": [NOON] * 3, "f": ["a", "b", "c"]})
    assert joined(pl.DataFrame({"k": [1], "t": [NOON]}), rows, created="c")["f"].to_list() == ["c"]


def test_a_column_is_null_until_its_own_moment_in_features_and_in_the_spine() -> None:
    rows = pl.DataFrame({"k": [1], "at": [NOON], "f": [5], "m": [NOON + HOUR]})
    spine = pl.DataFrame({"k": [1, 1], "t": [NOON, NOON + HOUR], "late": [1, 2], "when": [NOON + HOUR, NOON + HOUR]})
    view = JoinView("v", rows, ("k",), ("f",), "at", known_at={"f": "m"})
    result = point_in_time_join(spine, [view], timestamp="t", known_at={"late": "when"})
    assert result["f"].to_list() == [None, 5]
    assert result["late"].to_list() == [None, 2]


NANO = "2024-03-01T12:00:00.000000001"


@pytest.mark.parametrize(
    "moments",
    [
        pl.Series(["2024-03-01T12:00:00Z", "2024-03-01T13:00:00+01:00", "2024-03-01 12:00"]),
        pl.Series([NOON] * 3).cast(pl.Datetime("ns", "UTC")),
        pl.Series([NOON] * 3).cast(pl.Datetime("ms", "UTC")),
        pl.Series([NOON] * 3).dt.convert_time_zone("America/New_York"),
        pl.Series([NOON.replace(tzinfo=None)] * 3),
    ],
    ids=["iso", "nanoseconds", "milliseconds", "aware", "naive"],
)
def test_moments_of_every_type_are_the_same_instant(moments: pl.Series) -> None:
    rows = pl.DataFrame({"k": [1, 2, 3], "at": moments, "f": [1, 2, 3]})
    just_before = pl.DataFrame({"k": [1, 2, 3], "t": [NOON - timedelta(microseconds=1)] * 3})
    at_noon = pl.DataFrame({"k": [1, 2, 3], "t": [NOON] * 3})
    assert joined(just_before, rows)["f"].to_list() == [None, None, None]
    assert joined(at_noon, rows)["f"].to_list() == [1, 2, 3]


@pytest.mark.parametrize(
    "moment", [pl.Series([NANO]).str.to_datetime(time_unit="ns"), pl.Series([NANO])], ids=["typed", "text"]
)
def test_an_event_a_nanosecond_later_is_not_truncated_into_the_present(moment: pl.Series) -> None:
    rows = pl.DataFrame({"k": [1], "at": moment, "f": [1]})
    assert joined(pl.DataFrame({"k": [1], "t": [NOON]}), rows)["f"].to_list() == [None]
    far = pl.DataFrame({"k": [1], "t": [datetime(9999, 1, 1, tzinfo=UTC)]})
    assert joined(far, rows)["f"].to_list() == [1]


def test_dates_are_midnight_utc() -> None:
    rows = pl.DataFrame({"k": [1], "at": [date(2024, 3, 1)], "f": [1]})
    spine = pl.DataFrame({"k": [1, 1], "t": [datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 2, 29, 23, 59, tzinfo=UTC)]})
    assert joined(spine, rows)["f"].to_list() == [1, None]


def test_types_of_values_survive() -> None:
    values = {
        "cat": pl.Series(["x"], dtype=pl.Categorical),
        "list": pl.Series([[1, 2]]),
        "dec": pl.Series(["1.5"]).cast(pl.Decimal(9, 2)),
    }
    rows = pl.DataFrame({"k": [1], "at": [NOON], **values})
    result = joined(pl.DataFrame({"k": [1], "t": [NOON]}), rows, features=tuple(values))
    assert [result.schema[name] for name in values] == [rows.schema[name] for name in values]
    assert result.select(list(values)).equals(rows.select(list(values)))


def test_pandas_frames_and_parquet_files_are_accepted(tmp_path: Path) -> None:
    rows = pl.DataFrame({"k": ["a"], "at": [NOON], "f": [1.5], "unused": [0]})
    rows.write_parquet(tmp_path / "rows.parquet")
    spine = pd.DataFrame({"k": ["a", None], "t": [pd.Timestamp(NOON)] * 2})
    assert joined(spine, tmp_path / "rows.parquet")["f"].to_list() == [1.5, None]
    assert joined(pl.DataFrame({"k": ["a"], "t": [NOON]}).lazy(), rows.to_pandas())["f"].to_list() == [1.5]


@pytest.mark.parametrize(
    ("code", "spine", "rows", "view"),
    [
        ("features/unknown-column", {"k": [1], "t": [NOON]}, {"k": [1], "at": [NOON], "g": [1]}, {}),
        ("features/unknown-column", {"key": [1], "t": [NOON]}, {"k": [1], "at": [NOON], "f": [1]}, {}),
        ("features/duplicate-name", {"k": [1], "t": [NOON], "f": [1]}, {"k": [1], "at": [NOON], "f": [1]}, {}),
        ("features/bad-time", {"k": [1], "t": [5]}, {"k": [1], "at": [NOON], "f": [1]}, {}),
        ("features/bad-time", {"k": [1], "t": [NOON]}, {"k": [1], "at": ["yesterday"], "f": [1]}, {}),
        ("features/bad-key", {"k": [[1]], "t": [NOON]}, {"k": [[1]], "at": [NOON], "f": [1]}, {}),
    ],
)
def test_what_cannot_be_joined_is_refused_with_a_code(
    code: str, spine: dict[str, Any], rows: dict[str, Any], view: dict[str, Any]
) -> None:
    with pytest.raises(BucleError) as refused:
        joined(pl.DataFrame(spine), pl.DataFrame(rows), **view)
    assert refused.value.code == code


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(BucleError) as refused:
        joined(pl.DataFrame({"k": [1], "t": [NOON]}), tmp_path / "rows.parquet")
    assert refused.value.code == "features/bad-frame"


def test_a_misspelt_column_names_the_nearest() -> None:
    with pytest.raises(BucleError, match="wind_spede") as refused:
        joined(
            pl.DataFrame({"k": [1], "t": [NOON]}),
            pl.DataFrame({"k": [1], "at": [NOON], "wind_speed": [1]}),
            features=("wind_spede",),
        )
    assert refused.value.next_step.startswith("The nearest: wind_speed.")
