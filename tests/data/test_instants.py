"""Moments of any type become the right instant, or an error; never a wrong one in silence (R9)."""

import datetime as dt
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucle.data import INSTANT, to_instants
from bucle.data.errors import BadTimestamp

EPOCH = dt.datetime(1970, 1, 1)
moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))


def microseconds(column: pl.Series) -> list[int | None]:
    found, _ = to_instants(column)
    assert found.dtype == INSTANT
    return found.dt.epoch("us").to_list()


def since(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


@given(st.lists(st.none() | moments, min_size=1))
def test_naive_moments_are_utc_whatever_their_type(values: list[dt.datetime | None]) -> None:
    expected = [None if value is None else since(value) for value in values]
    column = pl.Series("at", values, dtype=pl.Datetime("us"))
    assert microseconds(column) == expected
    assert microseconds(column.cast(pl.Datetime("ns"))) == expected
    assert microseconds(column.dt.replace_time_zone("UTC")) == expected
    assert microseconds(pl.Series("at", [value and value.isoformat() for value in values], dtype=pl.String)) == expected
    assert microseconds(pl.Series("at", [value and str(value) for value in values], dtype=pl.String)) == expected


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_texts_with_an_offset_are_converted(moment: dt.datetime, minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    text = moment.replace(tzinfo=dt.UTC).astimezone(zone).isoformat()
    assert microseconds(pl.Series([text])) == [since(moment)]
    assert microseconds(pl.Series([text.replace("T", " ")])) == [since(moment)]


@given(moments)
def test_aware_columns_of_any_zone_keep_their_instant(moment: dt.datetime) -> None:
    column = pl.Series([moment.replace(tzinfo=dt.UTC)], dtype=pl.Datetime("ns", "UTC"))
    assert microseconds(column.dt.convert_time_zone("America/New_York")) == [since(moment)]
    assert microseconds(column.dt.convert_time_zone("Asia/Kathmandu").dt.cast_time_unit("us")) == [since(moment)]


@given(st.integers(-(10**18), 10**18))
def test_nanoseconds_are_cut_to_the_microsecond_before_and_said_so(nanoseconds: int) -> None:
    column = pl.Series([nanoseconds]).cast(pl.Datetime("ns"))
    found, cut = to_instants(column)
    assert found.dt.epoch("us").to_list() == [nanoseconds // 1000]
    assert cut == (nanoseconds % 1000 != 0)


def test_milliseconds_dates_and_nulls() -> None:
    assert microseconds(pl.Series([-1, 1]).cast(pl.Datetime("ms"))) == [-1000, 1000]
    assert microseconds(pl.Series([dt.date(1970, 1, 2), None])) == [86_400_000_000, None]
    assert microseconds(pl.Series([None, None])) == [None, None]
    assert microseconds(pl.Series(["1970-01-02", "19700102", "1970-01-02T00:00Z"])) == [86_400_000_000] * 3
    assert microseconds(pl.Series(["1970-01-02"], dtype=pl.Categorical)) == [86_400_000_000]


def test_python_moments_of_several_zones() -> None:
    new_york = dt.datetime(2013, 7, 1, 8, tzinfo=ZoneInfo("America/New_York"))
    column = pl.Series([new_york, None, dt.datetime(2013, 7, 1, 12)], dtype=pl.Object)
    found = microseconds(column)
    assert found[0] == found[2] == since(dt.datetime(2013, 7, 1, 12))


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("at", [1_357_000_000]),
        pl.Series("at", [1.5e9]),
        pl.Series("at", ["2013-01-01", "yesterday"]),
        pl.Series("at", ["1357000000"]),
        pl.Series("at", ["2013-02-30"]),
        pl.Series("at", ["01/02/2013"]),
        pl.Series("at", [True]),
        pl.Series("at", [object()], dtype=pl.Object),
        pl.Series("at", [2**62]).cast(pl.Datetime("ms")),
    ],
)
def test_what_is_no_instant_without_doubt_is_refused(column: pl.Series) -> None:
    with pytest.raises(BadTimestamp, match="'at'"):
        to_instants(column, "orders", "shop.py:3")
