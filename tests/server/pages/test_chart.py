"""Curves stay in their frame, have a gap where there is nothing to say, and break where another deployment begins."""

import re
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from bucle.server.pages.chart import Chart, Point, draw

BEGIN = datetime(2013, 4, 1, tzinfo=timezone.utc)  # noqa: UP017
values = st.none() | st.floats(-1e9, 1e9).map(lambda number: round(number, 3))


def points(*numbers: float | None, part: str = "") -> list[Point]:
    return [Point(BEGIN + timedelta(days=day), number, part=part) for day, number in enumerate(numbers)]


def drawn(*numbers: float | None, level: float | None = None) -> Chart:
    chart = draw(points(*numbers), level)
    assert chart is not None
    return chart


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.e+]+) (-?[\d.e+]+)", path)]


def test_without_a_value_there_is_no_chart() -> None:
    assert draw(points(None, None), level=1.0) is None


def test_a_gap_parts_the_curve() -> None:
    chart = drawn(1, 2, None, 3, 4)
    assert [len(places(curve)) for curve in chart.curves] == [2, 2]
    assert len(chart.dots) == 4


def test_another_deployment_begins_another_curve_with_a_mark() -> None:
    both = [*points(1, 2, part="dep_1"), *(Point(BEGIN + timedelta(days=day), 1.0, part="dep_2") for day in (2, 3))]
    chart = draw(both)
    assert chart is not None
    assert len(chart.curves) == 2
    assert [tick.text for tick in chart.parts] == ["dep_2"]


def test_the_level_line_is_where_its_value_is() -> None:
    chart = drawn(0, 300, level=300)
    assert chart.level == chart.dots[1].y


def test_a_higher_value_stands_higher() -> None:
    low, high = drawn(1, 5).dots
    assert high.y < low.y


@given(st.lists(values, min_size=1, max_size=30), st.none() | st.floats(-1e6, 1e6), st.booleans())
def test_everything_is_within_the_frame(numbers: list[float | None], level: float | None, from_zero: bool) -> None:
    chart = draw([Point(each.at, each.value, each.value, each.value) for each in points(*numbers)], level, from_zero=from_zero)
    if chart is None:
        assert all(number is None for number in numbers)
        return
    found = [place for path in (*chart.curves, *chart.bands) for place in places(path)]
    found += [(dot.x, dot.y) for dot in chart.dots] + [(chart.left, tick.place) for tick in chart.values]
    found += [(chart.left, chart.level)] if chart.level is not None else []
    assert all(chart.left - 4 <= x <= chart.right + 4 and 0 <= y <= chart.bottom + 0.1 for x, y in found)
    assert 2 <= len(chart.values) <= 12
