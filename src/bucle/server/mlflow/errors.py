"""Errors as the MLflow protocol words them: its literal texts, its error codes, never a 5xx for what a retry cannot mend."""

import msgspec

from bucle.errors import BucleError
from bucle.server.problems import Problem


class InvalidParameter(BucleError, code="mlflow/invalid-parameter", status=400):
    """A parameter is missing, of the wrong type, too long, or contradicts what is recorded."""

    message = "{text}"
    next = "Correct the parameter; repeating the request changes nothing."


class AlreadyExists(BucleError, code="mlflow/already-exists", status=400):
    """What is to be created is there already."""

    message = "{text}"
    next = "Use what is there, or another name."


class DoesNotExist(BucleError, code="mlflow/does-not-exist", status=404):
    """What is asked for is not there."""

    message = "{text}"
    next = "Search for it first; what the token may not see is not there either."


class InvalidState(BucleError, code="mlflow/invalid-state", status=400):
    """What is asked for cannot be done as things stand, for instance with something deleted."""

    message = "{text}"
    next = "Restore it first."


class BadRequest(BucleError, code="mlflow/bad-request", status=400):
    """The request is not JSON."""

    message = "{text}"
    next = "Send a JSON object with `Content-Type: application/json`."


class EndpointNotFound(BucleError, code="mlflow/endpoint-not-found", status=404):
    """The protocol has a path, or had one, that this server does not answer."""

    message = "{path} is no endpoint of this server."
    next = "`docs/mlflow.md` lists what answers."


class MlflowError(msgspec.Struct, frozen=True):
    """What every failed request is answered with."""

    error_code: str
    message: str


_CODES = {
    "mlflow/invalid-parameter": "INVALID_PARAMETER_VALUE",
    "mlflow/already-exists": "RESOURCE_ALREADY_EXISTS",
    "mlflow/does-not-exist": "RESOURCE_DOES_NOT_EXIST",
    "mlflow/invalid-state": "INVALID_STATE",
    "mlflow/bad-request": "BAD_REQUEST",
    "mlflow/endpoint-not-found": "ENDPOINT_NOT_FOUND",
}
_BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
    507: "RESOURCE_EXHAUSTED",
}


def error_shape(problem: Problem) -> MlflowError:
    """Return the protocol's form of a problem; for errors of bucle's own its code and next step stand in the text."""
    if problem.code in _CODES:
        return MlflowError(_CODES[problem.code], problem.detail)
    otherwise = "INVALID_PARAMETER_VALUE" if problem.status < 500 else "INTERNAL_ERROR"
    return MlflowError(_BY_STATUS.get(problem.status, otherwise), f"{problem.detail} {problem.next} [{problem.code}]")
