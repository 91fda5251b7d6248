"""How the evidence of a rollout grew, as the server draws it: e-values on a logarithmic axis over the challenger's requests."""

import math
from collections.abc import Sequence
from itertools import pairwise

from bucle.delivery import Judgement, Point
from bucle.server.pages.chart import Chart, Dot, Tick, multiples, tick_step

_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 16, 30
_FLOOR = -4.0
"""Evidence below this power of ten stands at the bottom: how much less than nothing it is says nothing more."""
_MOST_DOTS = 60


def draw_evidence(points: Sequence[Point], judge: str) -> Chart | None:
    """Lay out the evidence of one judge, with its threshold as the level; None before it judged anything.

    `parts` are the places where a step began.
    """
    judged = [(point, found) for point in points for found in point.judgements if found.name == judge]
    if not judged:
        return None
    heights = [_power(found) for _, found in judged]
    threshold = math.log10(judged[-1][1].threshold)
    least, most = math.floor(min(-1.0, *heights)), math.ceil(max(threshold + 0.5, *heights))
    last = max(point.challenger_rows for point, _ in judged) or 1

    def x(rows: int) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * rows / last, 1)

    def y(power: float) -> float:
        return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (most - power) / (most - least), 1)

    places = [(x(point.challenger_rows), y(height)) for (point, _), height in zip(judged, heights, strict=True)]
    every = math.ceil(len(judged) / _MOST_DOTS)
    shown = [*range(0, len(judged) - 1, every), len(judged) - 1]
    decades = range(int(least), int(most) + 1, max(1, math.ceil((most - least) / 5)))
    return Chart(
        width=_WIDTH,
        height=_HEIGHT,
        left=_LEFT,
        right=_WIDTH - _RIGHT,
        bottom=_HEIGHT - _BOTTOM,
        curves=[stairs(places)] if len(places) > 1 else [],
        bands=[],
        dots=[_dot(places[n], *judged[n]) for n in shown],
        level=y(threshold),
        values=[Tick(y(power), _decade(power)) for power in decades],
        dates=[Tick(x(round(value)), f"{value:,.0f}") for value in multiples(0.0, last, max(1.0, tick_step(last)))],
        parts=[Tick(x(b.challenger_rows), str(b.step)) for a, b in pairwise(points) if a.step != b.step],
    )


def stairs(places: Sequence[tuple[float, float]]) -> str:
    """The path of what stays as it is until it changes."""
    path = "M{:g} {:g}".format(*places[0])
    return path + "".join(f"H{x:g}V{y:g}" for x, y in places[1:])


def _dot(place: tuple[float, float], point: Point, found: Judgement) -> Dot:
    return Dot(place[0], place[1], f"{point.challenger_rows:,}", f"{found.e_value:.3g}")


def _power(found: Judgement) -> float:
    return max(_FLOOR, math.log10(found.e_value)) if found.e_value > 0 else _FLOOR


def _decade(power: int) -> str:
    return f"{10.0**power:g}" if -3 <= power <= 4 else f"1e{power}"
