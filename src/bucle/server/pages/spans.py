"""Values with their intervals, one below the other on one axis with its zero, as the server draws them."""

from collections.abc import Sequence
from dataclasses import dataclass

from bucle.server.pages.chart import Tick, multiples, tick_step

_WIDTH = 760
_LEAST = 1e-200
_LEFT, _RIGHT, _TOP, _BOTTOM = 270, 24, 8, 28
_ROW, _GAP = 24, 8


@dataclass(frozen=True, slots=True)
class Span:
    """A value with its interval, and whose it is."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as it is drawn; `tone` says on which side of zero all of its interval lies."""

    name: str
    group: str
    y: float
    x: float
    x1: float
    x2: float
    tone: str


@dataclass(frozen=True, slots=True)
class Spans:
    """Bars in groups, the name of a group at its first bar, with the place of zero and the axis' ticks."""

    width: int
    height: int
    left: int
    right: int
    zero: float
    bars: list[Bar]
    ticks: list[Tick]


def lay_out(groups: Sequence[tuple[str, Sequence[Span]]]) -> Spans | None:
    """Lay out groups of spans, from the top; None when there is none."""
    spans = [span for _, members in groups for span in members]
    if not spans:
        return None
    least, most = min(0.0, *(span.low for span in spans)), max(0.0, *(span.high for span in spans))
    extent = most - least if most - least > _LEAST else 1.0
    step = tick_step(extent)
    scale = (_WIDTH - _LEFT - _RIGHT) / extent

    def place(value: float) -> float:
        return round(_LEFT + (value - least) * scale, 1)

    bars, y = [], float(_TOP)
    for group, members in groups:
        for number, span in enumerate(members):
            y += _ROW
            tone = "good" if span.low > 0 else "bad" if span.high < 0 else "quiet"
            name = group if not number else ""
            bars.append(Bar(span.name, name, y - _ROW / 2, place(span.value), place(span.low), place(span.high), tone))
        y += _GAP if members else 0
    first = -(-least // step) * step
    ticks = [Tick(place(value), f"{value:.10g}") for value in multiples(first, most, step)]
    return Spans(_WIDTH, int(y) + _BOTTOM, _LEFT, _WIDTH - _RIGHT, place(0.0), bars, ticks)
