"""What runs in a serving child: a model, loaded once from its package, and its answers to vectors."""

from typing import TYPE_CHECKING

import msgspec

from bucle.errors import BucleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bucle.registry import LoadedModel
    from bucle.runtimes import Child

SERVING_MODULES = ("numpy", "sklearn", "bucle.registry")
"""What a serving child imports while its first call is on its way."""

_LONGEST_CAUSE = 200

_MODELS: dict[str, "LoadedModel"] = {}


class LoadOrder(msgspec.Struct, frozen=True):
    """Load the package of this artifact id; the store verifies its digest."""

    package: str


class Loaded(msgspec.Struct, frozen=True):
    """The model is in memory."""

    package: str


class InferOrder(msgspec.Struct, frozen=True, array_like=True):
    """Vectors in signature order for the model of a package; None stands for a missing value."""

    package: str
    vectors: list[list[float | None]]


Output = float | str | None
"""A model's answer to a row: a number, None where it is not finite, or the text of the exception that the row raised."""


class Inferred(msgspec.Struct, frozen=True, array_like=True):
    """One output for each vector: the probability of the second class, or the value; see `Output`.

    With more than two classes it is the place of the likeliest.
    """

    outputs: list[Output]


def load(order: LoadOrder, child: "Child") -> Loaded:
    """Load a model and answer one vector, so that nothing is left to be imported at the first request."""
    model = _model(order.package, child)
    answer_vectors(order.package, [[0.0] * len(model.package.signature.inputs)], child)
    return Loaded(order.package)


def infer(order: InferOrder, child: "Child") -> Inferred:
    """Answer vectors. A row on which the model raises does not take the others with it."""
    _model(order.package, child)
    try:
        return Inferred(list(answer_vectors(order.package, order.vectors, child)))
    except Exception:
        return Inferred([_alone(order.package, vector, child) for vector in order.vectors])


def _alone(package: str, vector: list[float | None], child: "Child") -> Output:
    try:
        return answer_vectors(package, [vector], child)[0]
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:_LONGEST_CAUSE]}"


def answer_vectors(package: str, given: list[list[float | None]], child: "Child") -> list[float | None]:
    """Return one number for each vector; see `Inferred`."""
    import numpy as np

    model, vectors = _model(package, child), np.array(given, dtype=np.float64)
    whole = _answers(model, vectors)
    if whole is not None:
        return whole
    single = [_answers(model, vectors[row : row + 1]) for row in range(len(vectors))]
    return [None if answer is None else answer[0] for answer in single]


def _answers(model: "LoadedModel", vectors: "NDArray[np.float64]") -> list[float | None] | None:
    """Return the answers to vectors, None when one of them is not finite."""
    try:
        return _numbers(model.answers(vectors))
    except BucleError as error:
        if error.code != "registry/bad-evaluation":
            raise
        return None


def _numbers(answers: "NDArray[np.float64]") -> list[float | None]:
    numbers: list[float | None] = (answers if answers.ndim == 1 else answers.argmax(axis=1).astype(float)).tolist()
    return numbers


def _model(package: str, child: "Child") -> "LoadedModel":
    if package not in _MODELS:
        from bucle.registry import load_in_child

        _MODELS[package] = load_in_child(package, child)
        _settle()
    return _MODELS[package]


def _settle() -> None:
    """Spare scikit-learn's checks of rows that were checked already, and its threads, which cost more than one row."""
    import sklearn
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)
    threadpool_limits(1)
