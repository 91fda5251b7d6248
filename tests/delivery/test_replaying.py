"""The replay of recorded traffic finds what only traffic has, and says what it cannot see."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
from tests.serving.conftest import CONTRACT

from bucle.delivery.checks.replay import Recorded, judge_replay, never_recorded, replay
from bucle.features import FrameColumn, ViewSpec

Output = float | str | None
WIND = ViewSpec("weather", "airport", ("origin",), "weather", "digest-1")
NOW = msgspec.structs.replace(
    CONTRACT, inputs=(*CONTRACT.inputs, FrameColumn("wind", "float", "weather", nullable=True)), views=(WIND,)
)
ROW = Recorded("pred_1", NOW, {"carrier": "AA", "distance": 1.0, "hour": 7, "weekend": False, "wind": 3.0}, 0.2)


def rows(*changes: dict[str, object]) -> list[Recorded]:
    return [replace(ROW, id=f"pred_{place}", values={**ROW.values, **each}) for place, each in enumerate(changes)]


def without_nulls(vectors: list[list[float | None]]) -> Sequence[Output]:
    return ["ValueError: NaN" if None in vector else 0.4 for vector in vectors]


def test_a_null_that_only_traffic_has_is_named_with_predictions() -> None:
    verdict = judge_replay(NOW, replay(NOW, rows({}, {"wind": None}, {}, {"wind": None}), without_nulls), "shop.py:7")
    (finding,) = verdict.findings
    assert verdict.outcome == "failed" and finding.where == "shop.py:7"
    assert "2 of 4 recorded requests are not answered any more: ValueError: NaN" in finding.message
    assert "in all of them wind is null, such as pred_1, pred_3" in finding.message


def test_a_category_that_training_never_saw_is_told_and_not_held_against_a_model_that_answers() -> None:
    verdict = judge_replay(NOW, replay(NOW, rows({"carrier": "ZZ"}, {}), lambda vectors: [0.3] * len(vectors)), None)
    assert verdict.outcome == "passed" and "in 1 carrier is new, which training never saw" in verdict.message


def test_what_is_no_finite_number_is_no_answer() -> None:
    found = replay(NOW, rows({}, {}), lambda _: [None, float("inf")])
    assert [cause for _, cause, _ in found.failures] == ["the answer is no finite number"] * 2


def test_requests_that_would_be_refused_now_are_found() -> None:
    strict = msgspec.structs.replace(NOW, inputs=(*NOW.inputs[:1], FrameColumn("distance", "float"), *NOW.inputs[2:]))
    found = replay(strict, rows({"distance": None}, {"distance": "far"}), without_nulls)
    assert [cause for _, cause, _ in found.failures] == [
        "it would be refused: distance may not be null any more",
        "it would be refused: serving/wrong-type",
    ]


def test_a_model_that_answers_all_alike_is_caught_when_the_one_before_told_them_apart() -> None:
    varied = [replace(ROW, id=f"pred_{place}", output=place / 100) for place in range(60)]
    same = judge_replay(NOW, replay(NOW, varied, lambda vectors: [0.5] * len(vectors)), None)
    assert same.outcome == "failed" and "all of 60 recorded requests are answered with 0.5" in same.message
    few = judge_replay(NOW, replay(NOW, varied[:40], lambda vectors: [0.5] * len(vectors)), None)
    assert few.outcome == "passed"


def test_other_answers_are_told_and_not_judged() -> None:
    verdict = judge_replay(NOW, replay(NOW, rows({}, {"hour": 8}), lambda _: [0.3, 0.7]), None)
    assert verdict.outcome == "passed"
    assert "answers differ by 0.3 on average, 95 % by at most 0.5; 50.0 % of the decisions are others" in verdict.message
    other = msgspec.structs.replace(NOW, kind="value", classes=(), threshold=None)
    verdict = judge_replay(other, replay(other, rows({}), lambda _: [17.0]), None)
    assert verdict.outcome == "passed" and "cannot be compared" in verdict.message


def test_what_another_definition_gave_was_never_recorded() -> None:
    changed = msgspec.structs.replace(NOW, views=(msgspec.structs.replace(WIND, digest="digest-2"),))
    gust = msgspec.structs.replace(NOW, inputs=(*NOW.inputs, FrameColumn("gust", "float", "weather")))
    text = msgspec.structs.replace(NOW, inputs=(FrameColumn("distance", "category"), *NOW.inputs[2:]))
    assert never_recorded(NOW, NOW) == []
    assert (never_recorded(changed, NOW), never_recorded(gust, NOW)) == (["wind"], ["gust"])
    assert never_recorded(text, NOW) == ["distance"]
