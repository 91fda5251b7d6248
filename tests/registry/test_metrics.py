"""The metrics are scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bucle.registry import classification_metrics, regression_metrics, row_losses

SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.500001, 0.75, 0.9, 1.0]) | st.floats(0, 1)


@given(st.lists(st.tuples(st.booleans(), SCORES), min_size=1, max_size=60))
@settings(max_examples=150, deadline=None)
def test_two_classes(rows: list[tuple[bool, float]]) -> None:
    y = np.array([float(label) for label, _ in rows])
    p = np.array([score for _, score in rows])
    found = classification_metrics(y, p)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, labels=[0, 1]), rel=1e-9)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p, labels=[0, 1]))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, p > 0.5))
    called = p > 0.5
    if len(set(y)) == 2:
        assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p))
    else:
        assert found["roc_auc"] is None
    if y.any():
        assert found["average_precision"] == pytest.approx(sk.average_precision_score(y, p))
        assert found["recall"] == pytest.approx(sk.recall_score(y, called))
        assert found["f1"] == pytest.approx(sk.f1_score(y, called))
    else:
        assert found["average_precision"] is None and found["recall"] is None
    assert found["precision"] == (pytest.approx(sk.precision_score(y, called)) if called.any() else None)


@given(st.integers(0, 10_000), st.integers(3, 5), st.integers(20, 60))
@settings(max_examples=40, deadline=None)
def test_several_classes(seed: int, classes: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(classes), size=rows)
    y = random.integers(0, classes, size=rows).astype(float)
    found = classification_metrics(y, p)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p, labels=range(classes)))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(y, p.argmax(axis=1)))
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p, labels=range(classes), scale_by_half=True))
    if len(set(y)) == classes:
        assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"))
    else:
        assert found["roc_auc"] is None


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=2, max_size=50))
@settings(max_examples=100, deadline=None)
def test_values(rows: list[tuple[float, float]]) -> None:
    y, p = (np.array(column) for column in zip(*rows, strict=True))
    found = regression_metrics(y, p)
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(y, p))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(y, p))
    if found["r2"] is not None and ((y - y.mean()) ** 2).sum() > 1e-6:
        assert found["r2"] == pytest.approx(sk.r2_score(y, p), rel=1e-6)


def test_a_wholly_wrong_row_costs_one_and_a_right_one_nothing() -> None:
    assert row_losses(np.array([1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])).tolist() == [1, 0, 0]
    columns = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert row_losses(np.array([0.0, 1.0]), columns).tolist() == [0, 1]
    two = np.array([[0.3, 0.7]])
    assert row_losses(np.array([0.0]), two) == pytest.approx(row_losses(np.array([0.0]), two[:, 1]))
