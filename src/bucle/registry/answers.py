"""What an estimator answers, in one form for all kinds of estimator."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bucle.project import Task
from bucle.registry.errors import BadEvaluation
from bucle.registry.packages import ClassLabel, Output

Floats = NDArray[np.float64]


def task_of(estimator: Any, task: Task | None = None) -> Task:
    """Return the task of an estimator: as given, else what the estimator says."""
    if task is not None:
        return task
    return "classification" if hasattr(estimator, "classes_") else "regression"


def classes_of(estimator: Any, task: Task) -> tuple[ClassLabel, ...]:
    """Return the label's values in the estimator's order, none for a regression. Raises `registry/bad-evaluation`."""
    if task == "regression":
        return ()
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise BadEvaluation(reason=f"{type(estimator).__name__} is no fitted classifier")
    return tuple(np.asarray(classes).tolist())


def output_of(estimator: Any, task: Task) -> Output:
    """Return what kind of answer an estimator gives."""
    if task == "regression":
        return "value"
    if not hasattr(estimator, "predict_proba"):
        return "class"
    return "probability" if len(classes_of(estimator, task)) <= 2 else "probabilities"


def answers(estimator: Any, rows: Floats, task: Task) -> Floats:
    """Return the probability of the second class, a column per class, or the value, for each row.

    A classifier without probabilities counts as sure of its class. Raises `registry/bad-evaluation` when an answer is not a
    finite number.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")  # fitted on a data frame
        given = _answers(estimator, rows, task)
    if not np.isfinite(given).all():
        raise BadEvaluation(reason=f"{int((~np.isfinite(given)).sum())} of {given.size} predictions are NaN or infinite")
    return given


def _answers(estimator: Any, rows: Floats, task: Task) -> Floats:
    if task == "regression":
        return np.asarray(estimator.predict(rows), dtype=np.float64).reshape(len(rows))
    classes = classes_of(estimator, task)
    if hasattr(estimator, "predict_proba"):
        probabilities = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    else:
        predicted = np.asarray(estimator.predict(rows))
        probabilities = (predicted[:, None] == np.asarray(estimator.classes_)[None, :]).astype(np.float64)
    if len(classes) == 1:  # all training rows were of one class
        return np.full(len(rows), float(classes[0] in (1, True)))
    return probabilities[:, 1] if len(classes) == 2 else probabilities


def coded(y: NDArray[Any], classes: Sequence[ClassLabel]) -> Floats:
    """Return each label's place among the classes, or the value itself for a regression.

    Raises `registry/bad-evaluation` for a label that is missing or that the model does not know.
    """
    if not classes:
        values = np.asarray(y, dtype=np.float64)
        if not np.isfinite(values).all():
            raise BadEvaluation(reason="a label is missing or not a finite number")
        return values
    known = list(classes) if len(classes) > 1 else [0, 1]
    codes = np.full(len(y), -1.0)
    for place, value in enumerate(known):
        codes[np.asarray(y == value)] = place
    if (codes < 0).any():
        strange = np.asarray(y)[codes < 0][0]
        raise BadEvaluation(reason=f"the label {strange!r} is none of the classes {', '.join(map(repr, classes))}")
    return codes
