"""The model code, on data made here."""

from types import SimpleNamespace

import numpy as np

import {{package}}


def test_fit_learns_a_plain_rule() -> None:
    generator = np.random.default_rng(7)
    columns = generator.normal(size=(400, 3))
    truth = {{truth}}
    model = {{package}}.fit(SimpleNamespace(X=columns, y=truth, seed=7))
    assert model.score(columns, truth) > 0.9


def test_fit_repeats_itself() -> None:
    generator = np.random.default_rng(7)
    columns = generator.normal(size=(200, 3))
    truth = {{truth}}
    frame = SimpleNamespace(X=columns, y=truth, seed=7)
    first, second = ({{package}}.fit(frame).predict(columns) for _ in range(2))
    assert (first == second).all()
