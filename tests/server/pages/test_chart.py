"""Curves stay in their frame, have a gap where there is nothing to say, and break where another deployment begins."""

import re
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from bucle.delivery import Judgement
from bucle.delivery import Point as Look
from bucle.messages import Phrase
from bucle.server.pages.chart import Chart, Point, draw
from bucle.server.pages.evidence import draw_evidence
from bucle.server.pages.graph import layered
from bucle.server.pages.spans import Span, lay_out

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


def looks(*evidence: float, threshold: float = 50.0) -> list[Look]:
    judged = [Judgement("errors", each, each, threshold, "undecided", 1, "", Phrase("judge.errors")) for each in evidence]
    return [Look(n, n // 3, BEGIN, BEGIN, 2 * n, 0, n, 0, 0, (each,)) for n, each in enumerate(judged)]


def test_a_judge_that_has_not_judged_has_no_chart() -> None:
    assert draw_evidence(looks(1.0), "latency") is None


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=90), st.floats(1.1, 1e4))
def test_evidence_stays_in_its_frame_and_stands_over_the_line_when_it_passed_it(
    evidence: list[float], threshold: float
) -> None:
    chart = draw_evidence(looks(*evidence, threshold=threshold), "errors")
    assert chart is not None and chart.level is not None and len(chart.dots) <= 61
    assert all(chart.left <= dot.x <= chart.right and 0 <= dot.y <= chart.bottom for dot in chart.dots)
    assert chart.dots[-1].y <= chart.level + 0.1 if evidence[-1] >= threshold else chart.dots[-1].y >= chart.level - 0.1
    assert len(chart.parts) == (len(evidence) - 1) // 3


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0, 10), st.floats(0, 10)), max_size=8))
def test_a_span_has_a_tone_only_when_all_of_it_lies_beyond_zero(found: list[tuple[float, float, float]]) -> None:
    spans = [Span("a", value, value - down, value + up) for value, down, up in found]
    drawn = lay_out([("group", spans)])
    if drawn is None:
        assert not spans
        return
    assert [bar.tone for bar in drawn.bars] == ["good" if s.low > 0 else "bad" if s.high < 0 else "quiet" for s in spans]
    assert all(drawn.left - 0.1 <= bar.x1 <= bar.x <= bar.x2 <= drawn.right + 0.1 for bar in drawn.bars)
    assert [bar.group for bar in drawn.bars[:2]] == ["group", ""][: len(spans)]


def test_a_need_that_another_need_has_already_is_not_drawn() -> None:
    steps = [("a", "a", "done", ()), ("b", "b", "done", ("a",)), ("c", "c", "done", ("a", "b")), ("d", "d", "done", ("a",))]
    assert len(layered(steps).paths) == 3
