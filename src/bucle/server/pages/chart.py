"""A curve over time as the server draws it: places and paths of an SVG, with nothing left to the browser."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

_WIDTH, _HEIGHT = 960, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 30
_MOST_DATES = 6
_ROOM = 1.08
"""How much higher than its highest value a chart is, so that a curve does not touch its frame."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a moment with its interval; without a value the curve has a gap. `part` names the piece of the curve."""

    at: datetime
    value: float | None
    low: float | None = None
    high: float | None = None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what stands there."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A value on the curve, and its words: where on the other axis, the value, its interval if it has one."""

    x: float
    y: float
    at: str
    value: str
    interval: str = ""

    @property
    def title(self) -> str:
        """What a pointer finds there."""
        return f"{self.at}: {self.value}" + (f" ({self.interval})" if self.interval else "")


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves with a gap where there is no value, bands of their intervals, a level line, ticks.

    `dates` are the ticks of the axis below. `parts` are the places where another piece begins, such as the next deployment.
    """

    width: int
    height: int
    left: int
    right: int
    bottom: int
    curves: list[str]
    bands: list[str]
    dots: list[Dot]
    level: float | None
    values: list[Tick]
    dates: list[Tick]
    parts: list[Tick]


def draw(points: Sequence[Point], level: float | None = None, *, from_zero: bool = True) -> Chart | None:
    """Lay out points in the order of time with a line at `level`; None when there is no value to show."""
    shown = [number for each in points for number in (each.value, each.low, each.high) if number is not None]
    if not shown:
        return None
    if level is not None:
        shown.append(level)
    least, most = (min(0.0, *shown) if from_zero else min(shown)), max(shown)
    step = tick_step((most - least) * _ROOM or abs(most) or 1.0)
    least = math.floor(least / step) * step
    most = max(most + (most - least) * (_ROOM - 1), least + step)
    frame = _Frame(points[0].at.timestamp(), points[-1].at.timestamp(), least, most)
    pieces = [list(piece) for piece in _pieces(points)]
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        bottom=_HEIGHT - _BOTTOM,
        curves=[
            _path([(frame.x(each.at), frame.y(each.value or 0.0)) for each in piece]) for piece in pieces if len(piece) > 1
        ],
        bands=[band for piece in pieces if (band := _band(piece, frame))],
        dots=[_dot(each, frame) for piece in pieces for each in piece],
        level=None if level is None else frame.y(level),
        values=[Tick(frame.y(value), f"{value:.10g}") for value in multiples(least, most, step)],
        dates=_dates(points, frame),
        parts=[Tick(frame.x(b.at), b.part) for a, b in pairwise(points) if a.part != b.part],
    )


@dataclass(frozen=True, slots=True)
class _Frame:
    first: float
    last: float
    least: float
    most: float

    def x(self, at: datetime) -> float:
        width = _WIDTH - _LEFT - _RIGHT
        if self.last == self.first:
            return round(_LEFT + width / 2, 1)
        return round(_LEFT + width * (at.timestamp() - self.first) / (self.last - self.first), 1)

    def y(self, value: float) -> float:
        height = _HEIGHT - _TOP - _BOTTOM
        return round(_TOP + height * (self.most - value) / (self.most - self.least), 1)


def tick_step(extent: float) -> float:
    """The distance of the value ticks: one, two or five times a power of ten, so that there are about five."""
    power: float = 10.0 ** math.floor(math.log10(extent / 5))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * 5 >= extent * 0.999)


def multiples(least: float, most: float, step: float) -> list[float]:
    """The places of ticks from `least` on."""
    return [round(least + step * number, 12) for number in range(int((most - least) / step + 1e-9) + 1)]


def _pieces(points: Sequence[Point]) -> Iterator[list[Point]]:
    piece: list[Point] = []
    for each in points:
        if piece and (each.value is None or each.part != piece[-1].part):
            yield piece
            piece = []
        if each.value is not None:
            piece.append(each)
    if piece:
        yield piece


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in places)


def _band(piece: Sequence[Point], frame: _Frame) -> str:
    known = [each for each in piece if each.low is not None and each.high is not None]
    if not known:
        return ""
    over = [(frame.x(each.at), frame.y(each.high or 0.0)) for each in known]
    under = [(frame.x(each.at), frame.y(each.low or 0.0)) for each in known]
    if len(known) == 1:
        over, under = [(over[0][0] - 3, over[0][1]), (over[0][0] + 3, over[0][1])], [(under[0][0] - 3, under[0][1])]
        under.append((under[0][0] + 6, under[0][1]))
    return _path([*over, *reversed(under)]) + "Z"


def _dot(point: Point, frame: _Frame) -> Dot:
    value = point.value or 0.0
    interval = "" if point.low is None or point.high is None else f"{point.low:.4g} – {point.high:.4g}"
    return Dot(frame.x(point.at), frame.y(value), f"{point.at:%Y-%m-%d %H:%M}", f"{value:.4g}", interval)


def _dates(points: Sequence[Point], frame: _Frame) -> list[Tick]:
    every = max(1, math.ceil(len(points) / _MOST_DATES))
    within_a_day = frame.last - frame.first < 2 * 86_400
    return [Tick(frame.x(each.at), f"{each.at:%H:%M}" if within_a_day else f"{each.at:%m-%d}") for each in points[::every]]
