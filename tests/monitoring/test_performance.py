"""Realised performance agrees with scikit-learn, knows how sure it is, and says when there is too little to say."""

import random

from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from bucle.monitoring.performance import Outcome, area_under_curve, measure, measure_slices

PAIRS = st.lists(
    st.tuples(st.integers(0, 10).map(lambda tenth: tenth / 10), st.sampled_from([0.0, 1.0])), min_size=2, max_size=80
)


@given(PAIRS)
def test_the_area_under_the_curve_is_that_of_scikit_learn(pairs: list[tuple[float, float]]) -> None:
    area = area_under_curve(pairs)
    if len({label for _, label in pairs}) < 2:
        assert area is None
    else:
        assert area is not None
        expected = roc_auc_score([label for _, label in pairs], [output for output, _ in pairs])
        assert abs(area.value - expected) < 1e-12
        assert 0 <= area.low <= area.value <= area.high <= 1


def outcomes(count: int, seed: int = 0) -> list[Outcome]:
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        output = chance.random()
        rows.append(Outcome(output, float(chance.random() < output), (chance.choice(("JFK", "LGA")),)))
    return rows


def test_the_loss_is_the_brier_score_and_its_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rows = outcomes(500)
    found = measure(rows, "probability")
    assert found.loss is not None
    expected = brier_score_loss([row.label for row in rows], [row.output for row in rows])
    assert abs(found.loss.value - expected) < 1e-12
    truth = 1 / 6
    inside = sum(
        1
        for seed in range(200)
        if (each := measure(outcomes(300, seed), "probability").loss) and each.low <= truth <= each.high
    )
    assert 180 <= inside <= 198


def test_too_few_labels_are_insufficient_data_but_coverage_is_known() -> None:
    rows = [*outcomes(29), *(Outcome(0.5, None) for _ in range(29))]
    found = measure(rows, "probability")
    assert (found.loss, found.auc, found.mean_label, found.coverage) == (None, None, None, 0.5)
    assert measure([], "probability").coverage is None


def test_slices_hold_each_row_once() -> None:
    rows = outcomes(200)
    slices = measure_slices(rows, ["origin"], "probability")
    assert [each.slice for each in slices] == ["origin=JFK", "origin=LGA"]
    assert sum(each.mature for each in slices) == 200


def test_a_regression_has_no_area_under_the_curve() -> None:
    found = measure([Outcome(2.0, 1.0)] * 40, "value")
    assert found.auc is None
    assert found.loss is not None
    assert found.loss.value == 1.0


def test_of_a_column_with_many_values_the_rarer_ones_are_one_slice() -> None:
    rows = [Outcome(0.5, 1.0, (str(number if number < 300 else number % 50),)) for number in range(2000)]
    found = measure_slices(rows, ["distance"], "probability")
    assert len(found) == 51
    assert sum(each.mature for each in found) == 2000
    assert next(each for each in found if each.slice == "distance=(others)").mature == 250
