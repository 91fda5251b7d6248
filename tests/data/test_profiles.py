"""Profiles: sums of their parts, the same in Polars and in plain Python, distances that chance does not move."""

import datetime as dt
import random
import subprocess
import sys

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.data import (
    Profile,
    ProfilesDiffer,
    add_profiles,
    empty_like,
    jensen_shannon,
    kolmogorov,
    profile_distances,
    profile_frame,
    profile_rows,
    psi,
)

numbers = st.none() | st.floats(-1e6, 1e6, width=32) | st.just(float("nan")) | st.just(float("inf"))
rows = st.lists(st.tuples(numbers, st.none() | st.integers(-5, 5), st.none() | st.text("abc", max_size=2), st.booleans()))
TYPES = {"x": pl.Float64, "n": pl.Int64, "t": pl.String, "b": pl.Boolean}


def frame(values: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame(values, schema=TYPES, orient="row")


@settings(deadline=None, max_examples=60)
@given(rows, rows, rows)
def test_the_profile_of_all_rows_is_the_sum_of_its_parts(reference: list, one: list, two: list) -> None:
    like = profile_frame(frame(reference))
    parts = [profile_frame(frame(part), like) for part in (one, two)]
    whole = profile_frame(frame(one + two), like)
    added = add_profiles(*parts)
    assert added.rows == whole.rows
    for name, column in whole.columns.items():
        other = added.columns[name]
        assert (column.counts, column.nulls, column.unseen, column.least) == (
            other.counts,
            other.nulls,
            other.unseen,
            other.least,
        )
        assert column.rows == len(one) + len(two)
        assert column.total == pytest.approx(other.total)
    assert add_profiles(whole, empty_like(like)) == whole


@settings(deadline=None, max_examples=60)
@given(rows, rows)
def test_plain_python_counts_as_polars_does(reference: list, values: list) -> None:
    like = profile_frame(frame(reference))
    fast, plain = profile_frame(frame(values), like), profile_rows(frame(values).to_dicts(), like)
    for name, column in fast.columns.items():
        other = plain.columns[name]
        assert (column.counts, column.nulls, column.unseen, column.most) == (
            other.counts,
            other.nulls,
            other.unseen,
            other.most,
        )
        assert column.squares == pytest.approx(other.squares)


def test_a_profile_survives_json_and_says_what_it_counts() -> None:
    values = pl.DataFrame({"x": list(range(1000)), "c": ["a", "b"] * 500, "at": [dt.datetime(2013, 1, 1)] * 1000})
    profile = profile_frame(values)
    assert msgspec.json.decode(msgspec.json.encode(profile), type=Profile) == profile
    column = profile.columns["x"]
    assert len(column.counts) == 256
    assert column.mean == pytest.approx(499.5)
    assert column.deviation == pytest.approx(288.67, abs=0.1)
    assert column.quantile(0.5) == pytest.approx(500, abs=5)
    assert profile.columns["at"].lowest == dt.datetime(2013, 1, 1, tzinfo=dt.UTC).timestamp() * 1e6


def test_what_the_reference_never_had_is_unseen_and_what_is_missing_is_null() -> None:
    like = profile_frame(pl.DataFrame({"x": [1.0, 2.0], "c": ["a", "b"]}))
    seen = profile_frame(pl.DataFrame({"x": [0.5, 1.0, 3.0], "c": ["a", "z", None]}), like)
    assert (seen.columns["x"].unseen, seen.columns["c"].unseen, seen.columns["c"].nulls) == (2, 1, 1)
    lacking = profile_frame(pl.DataFrame({"x": ["text", "text"]}), like)
    assert lacking.columns["x"].nulls == 2
    assert lacking.columns["c"].nulls == 2


def test_profiles_on_other_bins_are_not_added() -> None:
    one, two = profile_frame(pl.DataFrame({"x": [1, 2]})), profile_frame(pl.DataFrame({"x": [1, 3]}))
    with pytest.raises(ProfilesDiffer, match="'x'"):
        add_profiles(one, two)
    with pytest.raises(ProfilesDiffer):
        add_profiles(one, profile_frame(pl.DataFrame({"y": [1]})))
    with pytest.raises(ProfilesDiffer):
        psi(one.columns["x"], two.columns["x"])


def test_distances_are_small_for_chance_and_large_for_a_shift() -> None:
    chance = random.Random(1)
    like = profile_frame(pl.DataFrame({"x": [chance.gauss(0, 1) for _ in range(20_000)]}))
    same = [profile_rows([{"x": chance.gauss(0, 1)} for _ in range(300)], like) for _ in range(20)]
    shifted = [profile_rows([{"x": chance.gauss(1, 1)} for _ in range(300)], like) for _ in range(20)]
    assert max(profile_distances(like, each)["x"] for each in same) < 0.1
    assert min(profile_distances(like, each)["x"] for each in shifted) > 0.5
    for distance in (jensen_shannon, kolmogorov):
        far = distance(like.columns["x"], shifted[0].columns["x"])
        assert 0 <= distance(like.columns["x"], same[0].columns["x"]) < far <= 1


def test_new_nulls_and_new_categories_are_far() -> None:
    like = profile_frame(pl.DataFrame({"c": ["a", "b"] * 500}))
    nulls = profile_rows([{"c": None}, {"c": "a"}] * 200, like)
    fresh = profile_rows([{"c": "z"}, {"c": "a"}] * 200, like)
    assert psi(like.columns["c"], nulls.columns["c"]) > 1
    assert psi(like.columns["c"], fresh.columns["c"]) > 1
    assert kolmogorov(like.columns["c"], fresh.columns["c"]) == pytest.approx(0.5)


def test_the_server_profiles_without_polars_or_numpy() -> None:
    code = (
        "import sys; from bucle.data import Profile, ColumnProfile, profile_rows, psi, add_profiles, ingest, take_snapshot, "
        "ingest_due, load_schema, write_schema, source, Snapshot, validate, diff_versions;"
        "like = Profile(0, {'x': ColumnProfile('number', (0, 0), edges=(1.0,), lowest=0.0, highest=2.0)});"
        "p = profile_rows([{'x': 0.5}, {'x': True}, {}], like); assert p.columns['x'].counts == (1, 1), p;"
        "assert not {'polars', 'numpy', 'pyarrow', 'duckdb', 'pandas'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "src"}, timeout=120)
