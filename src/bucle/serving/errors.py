"""What can go wrong with a service, a request, a label or the prediction log."""

from bucle.errors import BucleError


class UnknownService(BucleError, code="serving/unknown-service", status=404):
    """A service was asked for under which nothing is deployed, or not in that version."""

    message = "There is no service {service!r}."
    next = "{hint}"


class AmbiguousService(BucleError, code="serving/ambiguous-service", status=409):
    """Several projects or environments serve the name."""

    message = "Several services are called {service!r}."
    next = "Say which is meant: {names}."


class BadTensor(BucleError, code="serving/bad-tensor", status=400):
    """A tensor of an inference request does not fit its own shape or type."""

    message = "The tensor {name!r} cannot be read: {reason}."
    next = "GET /v2/models/NAME shows names, types and shapes."


class BadObjective(BucleError, code="serving/bad-objective"):
    """A service objective is declared with a value that makes no sense."""

    message = "The objective cannot be as declared: {reason}."
    next = "Correct the arguments of `bucle.Objective`."


class NothingDeployed(BucleError, code="serving/nothing-deployed", status=409):
    """The service exists, but no model version answers for it here yet."""

    message = "The service {service!r} has no deployed model version in {environment!r}."
    next = "`bucle models` lists versions; `bucle promote MODEL@VERSION {environment}` deploys one."


class NothingToRestore(BucleError, code="serving/nothing-to-restore", status=409):
    """A rollback was asked for, but the service had no earlier deployment."""

    message = "The service {service!r} has no earlier deployment in {environment!r} to go back to."
    next = "`bucle promote MODEL@VERSION {environment}` deploys a version."


class ContractBroken(BucleError, code="serving/contract-broken", status=409):
    """A model version needs features that the project's definitions do not have."""

    message = "Model version {version} needs the feature view {view!r}, which the project does not declare."
    next = "Declare the view again, or deploy a version that does without it."


class WrongModel(BucleError, code="serving/wrong-model", status=409):
    """A version of another model was to be deployed for a service."""

    message = "The service {service!r} answers with the model {wanted!r}, not with {given!r}."
    next = "Deploy a version of {wanted!r}, or change the service's definition."


class CodeGone(BucleError, code="serving/code-gone", status=503):
    """The folder with the code of a deployment is not there any more."""

    message = "The code that the service {service!r} was deployed with is gone from {root}."
    next = "Deploy the service again: `bucle promote MODEL@VERSION ENVIRONMENT`."


class EmptyRequest(BucleError, code="serving/empty-request", status=422):
    """A prediction was asked for without rows."""

    message = "The request has no rows."
    next = 'Send {{"rows": [{{...}}]}} with one object for each prediction.'


class TooManyRows(BucleError, code="serving/too-many-rows", status=413):
    """A request has more rows than one request may have."""

    message = "The request has {rows} rows; at most {limit} are answered at once."
    next = "Send several requests, or use `bucle predict SERVICE --rows FILE --batch`."


class MissingInput(BucleError, code="serving/missing-input", status=422):
    """A row lacks an input that the model's signature needs."""

    message = "Row {row} lacks the input {column!r}."
    next = "The service {service!r} takes: {expected}."


class NullInput(BucleError, code="serving/null-input", status=422):
    """A row has a null for an input that was never null in training."""

    message = "Row {row}: the input {column!r} is null; the model never saw it null in training."
    next = "Send a value of type {dtype}."


class ExtraInput(BucleError, code="serving/extra-input", status=422):
    """A row has a field that is not an input of the service."""

    message = "Row {row} has the field {column!r}, which is not an input of the service."
    next = "The service {service!r} takes: {expected}. Features come from the feature store."


class WrongType(BucleError, code="serving/wrong-type", status=422):
    """A row's value is not of the type of the model's signature."""

    message = "Row {row}: the input {column!r} must be of type {dtype}, not {given}."
    next = "Send a value of type {dtype}; numbers must be finite."


class NotANumber(BucleError, code="serving/not-a-number", status=500):
    """The model's answer is NaN or infinite; no prediction is given."""

    message = "The model {model} version {version} answered row {row} with a number that is not finite."
    next = "Nothing was predicted. `bucle rollback {service}` restores the version before."


class ModelFailed(BucleError, code="serving/model-failed", status=500):
    """The model raised an exception on a row; no prediction is given."""

    message = "The model {model} version {version} failed on row {row}: {error}."
    next = "Nothing was predicted. `bucle rollback {service}` restores the version before."


class ModelUnavailable(BucleError, code="serving/model-unavailable", status=503):
    """The child process that holds the model died or did not answer in time."""

    message = "The model {model} version {version} does not answer: {reason}."
    next = "Try again: a new process is started for the next request. `bucle logs` shows why it failed."


class LogFull(BucleError, code="serving/log-full", status=503):
    """The prediction log's spool is full, or its disk is; nothing may be predicted that is not logged."""

    message = "The prediction log cannot take more: {reason}."
    next = "Try again in a moment. Free some disk space if it lasts."


class BadRows(BucleError, code="serving/bad-rows", status=422):
    """A file or body of rows cannot be read."""

    message = "The rows of {source} cannot be read: {reason}."
    next = "Give a CSV, Parquet or JSON lines file with a column for each input."


class UnknownPrediction(BucleError, code="serving/unknown-prediction", status=422):
    """A label names a prediction that was never made here, or a key for which none was made before the label's moment."""

    message = "Label {row}: there is no prediction for {name}.{more}"
    next = "Nothing of this batch was recorded. Leave these labels out, or correct them."


class LabelDiffers(BucleError, code="serving/label-differs", status=409):
    """A prediction already has another label."""

    message = "Label {row}: the prediction {prediction} already has the label {held}, not {given}.{more}"
    next = 'Nothing of this batch was recorded. To correct a label send it with "replace": true.'


class LabelFromFuture(BucleError, code="serving/label-from-future", status=422):
    """A label's moment of observation is later than the home's clock."""

    message = "Label {row} was observed at {observed}, later than the clock, {now}.{more}"
    next = "Nothing of this batch was recorded. Correct observed_at; it is in UTC unless it states an offset."


class BadLabel(BucleError, code="serving/bad-label", status=422):
    """A label is not of the task's type, or it names neither or both of a prediction and a key."""

    message = "Label {row}: {reason}.{more}"
    next = 'Each label is {{"prediction_id" or "key", "value", "observed_at"}}.'
