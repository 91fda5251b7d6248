"""Windows against the definition: offline, online and step by step they are what a loop over all values says, to the bit."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.features.online.windows import WindowState, column_group, merge_window
from bucle.features.views import AggregateSpec
from bucle.features.windows import Contributions, Questions, window_column

HOWS = ("count", "mean", "sum", "min", "max")
numbers = st.one_of(
    st.integers(-1000, 1000).map(float),
    st.floats(-1e6, 1e6),
    st.sampled_from([1e16, 1.0, -1e16, 1e280, -1e280, 1e-300, 0.1, -0.0]),
)


@dataclass(frozen=True)
class History:
    """Values as (key, event, delay until it is known, value), a window, questions as (key, moment)."""

    values: list[tuple[str | None, int, int, float | None]]
    window: int
    asked: list[tuple[str | None, int]]


keys = st.sampled_from(["a", "b", None])
moments = st.integers(0, 40)
histories = st.builds(
    History,
    st.lists(st.tuples(keys, moments, st.sampled_from([0, 0, 1, 7, 50]), st.one_of(st.none(), numbers)), max_size=30),
    st.integers(1, 20),
    st.lists(st.tuples(st.sampled_from(["a", "b", "unseen", None]), st.integers(-5, 70)), min_size=1, max_size=15),
)


def by_definition(history: History, key: str | None, at: int, how: str) -> float | int | None:
    """The window (t - w, t] of what was known at t, value by value."""
    if key is None:
        return None
    seen = [
        value
        for owner, event, delay, value in history.values
        if owner == key and value is not None and at - history.window < event <= at and event + delay <= at
    ]
    if how == "count":
        return len(seen)
    if not seen:
        return None
    total = math.fsum(seen)
    return {"sum": total, "mean": total / len(seen), "min": min(seen), "max": max(seen)}[how]


def contributions(history: History) -> Contributions:
    return Contributions(
        (pl.Series([value[0] for value in history.values], dtype=pl.String),),
        pl.Series([value[1] + value[2] for value in history.values], dtype=pl.Int64),
        pl.Series([value[1] + history.window for value in history.values], dtype=pl.Int64),
        pl.Series([value[3] for value in history.values], dtype=pl.Float64),
    )


@settings(deadline=None, max_examples=150)
@given(histories)
def test_offline_windows_are_what_the_definition_says(history: History) -> None:
    asked = Questions(
        (pl.Series([key for key, _ in history.asked], dtype=pl.String),), pl.Series([at for _, at in history.asked])
    )
    for how in HOWS:
        found = window_column(asked, contributions(history), AggregateSpec("f", "c", how)).to_list()  # type: ignore[arg-type]
        assert found == [by_definition(history, key, at, how) for key, at in history.asked]


@settings(deadline=None, max_examples=150)
@given(histories, st.lists(st.integers(0, 70), max_size=8))
def test_online_windows_are_the_same_after_any_steps_and_equal_one_step(history: History, steps: list[int]) -> None:
    features = [AggregateSpec(how, "c", how) for how in HOWS]  # type: ignore[arg-type]
    end = 75
    stepwise: dict[str, WindowState] = {}
    since = -1
    for until in [*sorted(steps), end]:
        for key in ("a", "b"):
            arrived = [
                (event + delay, event + history.window, value)
                for owner, event, delay, value in history.values
                if owner == key and value is not None and since < event + delay <= until
            ]
            groups = {column_group(each): arrived for each in features}
            held = stepwise.get(key)
            stepwise[key] = WindowState.unpack(merge_window(held, groups, until - 3).pack())
            for at in (until, until - 3):
                for each in features:
                    if at >= stepwise[key].horizon_us:
                        assert stepwise[key].value(each, at) == by_definition(history, key, at, each.how)
        since = until
    for key in ("a", "b"):
        whole = [
            (event + delay, event + history.window, value)
            for owner, event, delay, value in history.values
            if owner == key and value is not None
        ]
        assert merge_window(None, {column_group(each): whole for each in features}, end - 3) == stepwise[key]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, None])
def test_values_that_are_no_usable_numbers_do_not_count(
    value: float | None, aggregate: Callable[[float | None], list[object]]
) -> None:
    assert aggregate(value) == [5.0, 5.0, 2 if value is not None else 1]


@pytest.fixture
def aggregate() -> Callable[[float | None], list[object]]:
    """Mean, largest and count of a column with 5.0 and another value, through the view's own rules."""
    import bucle
    from bucle.features.rows import contributions as contributions_of

    @dataclass(frozen=True)
    class Source:
        name: str = "s"
        timestamp: str = "at"
        created: str | None = None
        known_at: dict[str, str] | None = None

    def run(value: float | None) -> list[object]:
        entity = bucle.Entity("e", key="k")
        how = {"mean": ("x", "mean"), "max": ("x", "max"), "count": ("x", "count")}
        view = bucle.aggregates(entity, source="s", at="at", window="1h", name="v", **how)  # type: ignore[arg-type]
        rows = pl.DataFrame({"k": [1, 1], "x": [5.0, value], "at": [10, 20]}).with_columns(pl.col("at").cast(pl.Datetime("us")))
        asked = Questions((pl.Series([1]),), pl.Series([30]))
        spec, source = view.spec(), Source(known_at={})
        return [
            window_column(asked, contributions_of(view, spec, each, rows, source), each).item()  # type: ignore[arg-type]
            for each in spec.aggregates
        ]

    return run


@dataclass(frozen=True)
class Late:
    """A source with columns that become known later."""

    known_at: dict[str, str]
    name: str = "s"
    timestamp: str = "at"
    created: str | None = None


@pytest.mark.parametrize("late", ["k", "until", "x"])
def test_a_value_does_not_count_before_its_key_and_its_moment_are_known(late: str) -> None:
    import bucle
    from bucle.features.rows import contributions as contributions_of

    view = bucle.aggregates(bucle.Entity("e", key="k"), source="s", at="until", window="1h", name="v", n=("x", "count"))
    moments = [pl.col(name).cast(pl.Datetime("us")) for name in ("at", "until", "known")]
    rows = pl.DataFrame({"k": [1], "x": [5.0], "at": [10], "until": [10], "known": [50]}).with_columns(moments)
    asked = Questions((pl.Series([1, 1, 1]),), pl.Series([30, 49, 50]))
    values = contributions_of(view, view.spec(), view.spec().aggregates[0], rows, Late({late: "known"}))
    assert window_column(asked, values, view.spec().aggregates[0]).to_list() == [0, 0, 1]


def test_bounds_of_nanoseconds_are_exact_beside_values_that_are_never_known() -> None:
    now = 1_357_000_000_000_000_001
    asked = Questions((), pl.Series([now - 1, now, now + 99, now + 100]))
    values = Contributions((), pl.Series([now, None]), pl.Series([now + 100, now]), pl.Series([1.0, 1.0]))
    assert window_column(asked, values, AggregateSpec("n", "x", "count")).to_list() == [0, 1, 1, 0]
