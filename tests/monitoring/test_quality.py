"""A share that cannot be chance is found at once; one that can is left alone."""

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from bucle.monitoring.quality import chance_of_at_least, judge


@given(st.integers(1, 2000), st.floats(1e-6, 0.999), st.data())
def test_the_chance_is_the_tail_of_the_binomial(rows: int, share: float, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, rows))
    exact = float(binom.sf(count - 1, rows, share))
    found = chance_of_at_least(count, rows, share)
    if count > rows * share:
        assert abs(found - exact) <= 1e-9 + 1e-6 * exact
    else:
        assert found == 1.0


def test_nulls_that_training_never_had_are_found_in_words() -> None:
    finding = judge("wind_speed", "null_share", 40, 900, 0.001, 1e-4)
    assert finding is not None
    assert "40 of 900 values of wind_speed (4.4%) are null" in str(finding.said())


def test_what_chance_explains_is_no_finding() -> None:
    assert judge("wind_speed", "null_share", 2, 900, 0.001, 1e-4) is None
    assert judge("wind_speed", "null_share", 0, 900, 0.0, 1e-4) is None
    assert judge("wind_speed", "null_share", 0, 0, 0.0, 1e-4) is None
