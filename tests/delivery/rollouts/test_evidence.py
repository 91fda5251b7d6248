"""Evidence is what was seen, in its order: how often and when somebody looks changes nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.delivery.judging import alpha_of
from bucle.delivery.rollouts.evidence import Evidence
from bucle.serving import StoredObservation


def seen(
    position: int, arm: str, rows: int = 1, failed: int = 0, seconds: float | None = 0.01, step: int = 0
) -> StoredObservation:
    return StoredObservation(position, step, arm, rows, failed, seconds, "serving/model-failed: x" if failed else "")


observations = st.lists(
    st.tuples(st.sampled_from(["champion", "challenger"]), st.integers(1, 5), st.booleans(), st.floats(0.001, 0.5)), max_size=80
).map(
    lambda drawn: [
        seen(place, arm, rows, rows if bad else 0, None if bad else seconds)
        for place, (arm, rows, bad, seconds) in enumerate(drawn, 1)
    ]
)


@settings(deadline=None, max_examples=40)
@given(observations, st.lists(st.integers(0, 80), max_size=6))
def test_looking_more_often_leads_to_the_same_evidence(stream: list[StoredObservation], looks: list[int]) -> None:
    at_once, piecewise, start = Evidence().after(stream, 0), Evidence(), 0
    for look in [*sorted(looks), len(stream)]:
        piecewise = piecewise.after(stream[start : max(start, look)], 0)
        start = max(start, look)
    assert piecewise == at_once


def test_rows_of_another_step_are_evidence_but_do_not_fill_this_one() -> None:
    evidence = Evidence().after([seen(1, "challenger", 7, step=0), seen(2, "challenger", 5, step=1)], 1)
    assert (evidence.errors.challenger.requests, evidence.step_rows, evidence.seen) == (12, 5, 2)


def test_a_challenger_that_is_much_slower_is_found_and_one_that_is_as_fast_is_not() -> None:
    def stream(challenger: float) -> list[StoredObservation]:
        places = range(1, 2401, 2)
        return [
            each for place in places for each in (seen(place, "champion"), seen(place + 1, "challenger", seconds=challenger))
        ]

    slow, same = Evidence().after(stream(0.1), 0), Evidence().after(stream(0.01), 0)
    assert slow.latency.judgement(alpha_of("latency")).verdict == "worse"
    assert same.latency.judgement(alpha_of("latency")).verdict != "worse"


def test_the_most_frequent_causes_are_kept() -> None:
    stream = [StoredObservation(place, 0, "challenger", 1, 1, None, f"cause {place % 9}") for place in range(1, 60)]
    stream.append(StoredObservation(60, 0, "challenger", 50, 50, None, "cause 3"))
    causes = Evidence().after(stream, 0).causes
    assert len(causes) == 5 and next(iter(causes)) == "cause 3"
