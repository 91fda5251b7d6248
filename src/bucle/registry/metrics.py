"""How good predictions are: the metrics that charters, gates and monitors speak of, on numpy arrays.

Each agrees with scikit-learn's function of the same name (tests/registry/test_metrics.py). A metric that the rows do not
define, such as the area under the curve with one class, is None.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def row_losses(y: Floats, predicted: Floats) -> Floats:
    """Return each row's loss: the squared error of the probability, 1 for a wholly wrong one, or of the value.

    `y` is the class as its place among the classes, or the value; `predicted` the probability of the second class, a column
    per class, or the value. With columns the loss is half the sum of the squared errors, so that a wholly wrong row costs 1.
    """
    if predicted.ndim == 1:
        return np.asarray((predicted - y) ** 2, dtype=np.float64)
    truth = y[:, None] == np.arange(predicted.shape[1])[None, :]
    return np.asarray(((predicted - truth) ** 2).sum(axis=1) / 2, dtype=np.float64)


def classification_metrics(y: Floats, predicted: Floats) -> dict[str, float | None]:
    """Return the metrics of class probabilities: `y` and `predicted` as in `row_losses`."""
    if predicted.ndim == 1:
        return {name: metric(y == 1, predicted) for name, metric in BINARY.items()}
    truth = y[:, None] == np.arange(predicted.shape[1])[None, :]
    one_against_rest = [roc_auc(truth[:, column], predicted[:, column]) for column in range(predicted.shape[1])]
    known = [area for area in one_against_rest if area is not None]
    return {
        "roc_auc": float(np.mean(known)) if len(known) == predicted.shape[1] else None,
        "log_loss": float(-np.mean(np.log(_inside((predicted * truth).sum(axis=1))))),
        "brier": float(np.mean(row_losses(y, predicted))),
        "accuracy": float(np.mean(truth[np.arange(len(y)), predicted.argmax(axis=1)])),
    }


def regression_metrics(y: Floats, predicted: Floats) -> dict[str, float | None]:
    """Return mean absolute error, root mean squared error and coefficient of determination, in the label's unit."""
    error = predicted - y
    spread = float(((y - y.mean()) ** 2).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": 1 - float((error**2).sum()) / spread if len(y) > 1 and spread > 0 else None,
    }


def roc_auc(truth: NDArray[np.bool_], score: Floats) -> float | None:
    """Return the chance that a positive row scores higher than a negative one, ties counting half."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(truth: NDArray[np.bool_], score: Floats) -> float | None:
    """Return the mean of the precision over the recall: sum of (recall step x precision) at each distinct score."""
    if not truth.any():
        return None
    order = np.argsort(-score, kind="stable")
    last_of_ties = np.append(np.nonzero(np.diff(score[order]))[0], len(score) - 1)
    hits = np.cumsum(truth[order])[last_of_ties]
    precision, recall = hits / (last_of_ties + 1), hits / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def log_loss(truth: NDArray[np.bool_], probability: Floats) -> float:
    """Return the mean negative logarithm of the probability of what happened, in nats."""
    happened = np.where(truth, probability, 1 - probability)
    return float(-np.mean(np.log(_inside(happened))))


def brier(truth: NDArray[np.bool_], probability: Floats) -> float:
    """Return the mean squared error of the probability."""
    return float(np.mean((probability - truth) ** 2))


def accuracy(truth: NDArray[np.bool_], probability: Floats) -> float:
    """Return the share of rows whose likelier class is the right one (0.5 counts as the first, as in scikit-learn)."""
    return float(np.mean((probability > 0.5) == truth))


def precision(truth: NDArray[np.bool_], probability: Floats) -> float | None:
    """Return the share of rows called positive that are."""
    called = probability > 0.5
    return float(truth[called].mean()) if called.any() else None


def recall(truth: NDArray[np.bool_], probability: Floats) -> float | None:
    """Return the share of positive rows that are called so."""
    return float((probability[truth] > 0.5).mean()) if truth.any() else None


def f1(truth: NDArray[np.bool_], probability: Floats) -> float | None:
    """Return the harmonic mean of precision and recall."""
    called = probability > 0.5
    either = int(called.sum()) + int(truth.sum())
    return float(2 * (called & truth).sum() / either) if either else None


BINARY: dict[str, Callable[[NDArray[np.bool_], Floats], float | None]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "log_loss": log_loss,
    "brier": brier,
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
}


def _inside(probability: Floats) -> Floats:
    tiny = float(np.finfo(np.float64).eps)
    return np.clip(probability, tiny, 1 - tiny)
