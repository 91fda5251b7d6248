"""What a user can do wrong with steps, pipelines and runs."""

from bucle.errors import BucleError


class UnknownStep(BucleError, code="pipelines/unknown-step", status=404):
    """A pipeline calls a name that is neither a step nor anything else that is defined."""

    message = "The pipeline {pipeline} uses {name!r}, which is not defined."
    next = "{hint}"


class UnknownParameter(BucleError, code="pipelines/unknown-parameter"):
    """A step or pipeline was given an argument that it does not take."""

    message = "{target} takes no parameter {name!r}."
    next = "{hint}"


class MissingArgument(BucleError, code="pipelines/missing-argument"):
    """A step or pipeline was called without an argument that it needs."""

    message = "{target} needs an argument for {name!r}."
    next = "Give it, or give the parameter a default."


class BadParameter(BucleError, code="pipelines/bad-parameter"):
    """A parameter of a run cannot be read as the type that the pipeline declares."""

    message = "The parameter {name!r} of {target} must be {wanted}; it was {given}."
    next = "Write it as `-p {name}=VALUE` with a value of that type."


class HandleMisuse(BucleError, code="pipelines/handle-misuse"):
    """A step's handle was used as if the value were already there."""

    message = "{use} a step's result that is not there yet ({name})."
    next = "Hand it to another step, or write `.value` to wait for it."


class Cycle(BucleError, code="pipelines/cycle"):
    """Steps wait on themselves, or pipelines call each other in a circle."""

    message = "{path} wait on themselves."
    next = "Break the circle: something must come first."


class UnsupportedValue(BucleError, code="pipelines/unsupported-value"):
    """A value of this type cannot travel between steps; pickle is never used."""

    message = "{role} of {step} is a {type}, which cannot be stored between steps."
    next = (
        "Use a data frame, a NumPy array, a scikit-learn estimator, a dataclass, plain values, bytes or a Path; "
        "or do both things in one step."
    )


class StepNotImportable(BucleError, code="pipelines/step-not-importable"):
    """A step defined inside a function or a notebook cannot run in another process."""

    message = "The step {step} cannot be found from another process as {target}."
    next = "Define it at the top level of a module, or use --engine inline."


class StepFailed(BucleError, code="pipelines/step-failed", status=422):
    """A step's code raised an error, in its last attempt."""

    message = "The step {step} failed: {reason}"
    next = "{hint}"


class StepTimeout(BucleError, code="pipelines/step-timeout", status=422):
    """An attempt at a step took longer than the step allows, and was ended."""

    message = "it took longer than {seconds:g} s"
    next = "Give the step a longer timeout, or make it faster."


class DriverSilent(BucleError, code="pipelines/driver-silent", status=422):
    """Nothing was heard for a minute of the script that drove a run."""

    message = "the script that drove the run {run} has ended"
    next = "Call `run` again: steps that are committed come from the cache."


class PipelineFailed(BucleError, code="pipelines/pipeline-failed", status=422):
    """The pipeline function itself raised an error."""

    message = "The pipeline {pipeline} failed: {reason}"
    next = "Its log is {log}; `bucle resume {run}` goes on after a repair."


class RunCancelled(BucleError, code="pipelines/run-cancelled", status=409):
    """Somebody cancelled the run."""

    message = "The run {run} was cancelled."
    next = "`bucle resume {run}` takes it up again."


class RunNotResumable(BucleError, code="pipelines/run-not-resumable", status=409):
    """A run that is finished or still active cannot be resumed."""

    message = "The run {run} is {state}; there is nothing to resume."
    next = "`bucle runs` shows the runs that failed or were interrupted."


class RunTakenOver(BucleError, code="pipelines/run-taken-over", status=409):
    """A driver spoke for a run that another driver drives by now, or that has ended."""

    message = "The run {run} is no longer driven from here ({state})."
    next = "Nothing was lost: `bucle runs` shows where it stands."


class UnknownRun(BucleError, code="pipelines/unknown-run", status=404):
    """There is no pipeline run of this id."""

    message = "There is no pipeline run {run!r}."
    next = "`bucle runs` shows them all."


class UnknownEngine(BucleError, code="pipelines/unknown-engine"):
    """An engine was asked for that does not exist."""

    message = "There is no engine {name!r}."
    next = "Use inline or processes."


class NoConnection(BucleError, code="pipelines/no-connection", status=409):
    """`pipeline.run` found neither a home nor a server to record the run in."""

    message = "There is no home to run {pipeline} in: {reason}"
    next = "Call it inside a project, or set BUCLE_HOME or BUCLE_URL."


class BadTrigger(BucleError, code="pipelines/bad-trigger"):
    """A trigger is declared with something that it cannot use."""

    message = "{trigger} cannot use {value!r}: {reason}."
    next = "{hint}"


class NotAnEvaluation(BucleError, code="pipelines/not-an-evaluation"):
    """A pipeline that declares a model must return what `bucle.evaluate` gives."""

    message = "The pipeline {pipeline} declares model={model!r} and returned {given}."
    next = "Return `bucle.evaluate(model, frame)`."
