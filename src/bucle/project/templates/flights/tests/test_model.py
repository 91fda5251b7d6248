"""The model code, on data made here."""

from types import SimpleNamespace

import flights
import numpy as np


def test_fit_learns_a_plain_rule() -> None:
    generator = np.random.default_rng(7)
    columns = generator.normal(size=(400, 3))
    late = (columns[:, 0] > 0).astype(int)
    model = flights.fit(SimpleNamespace(X=columns, y=late, seed=7))
    assert model.score(columns, late) > 0.95


def test_fit_repeats_itself() -> None:
    generator = np.random.default_rng(7)
    columns, late = generator.normal(size=(200, 3)), generator.integers(0, 2, 200)
    frame = SimpleNamespace(X=columns, y=late, seed=7)
    first, second = (flights.fit(frame).predict_proba(columns) for _ in range(2))
    assert (first == second).all()
