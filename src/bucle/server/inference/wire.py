"""The error of the Open Inference Protocol: an object with the one member `error`."""

import msgspec

from bucle.server.problems import Problem


class InferenceError(msgspec.Struct, frozen=True):
    """What a failed request is answered with; bucle's stable code stands first in the text."""

    error: str


def error_shape(problem: Problem) -> InferenceError:
    """Return the protocol's form of a problem."""
    place = f" ({problem.where})" if problem.where else ""
    return InferenceError(f"{problem.code}: {problem.detail}{place} {problem.next}".strip())
