"""What a user can do wrong with runs, parameters and metrics."""

from bucle.errors import BucleError


class UnknownRun(BucleError, code="tracking/unknown-run", status=404):
    """There is no run of that id in the project."""

    message = "There is no run {id!r}."
    next = "`bucle runs` shows them."


class RunOver(BucleError, code="tracking/run-over", status=409):
    """A run that has ended takes no more of this."""

    message = "The run {id} has already ended ({status})."
    next = "Start another run; what a run has recorded does not change."


class BadName(BucleError, code="tracking/bad-name", status=422):
    """A name of a parameter, metric, tag, artifact, run or experiment cannot be used."""

    message = "{name!r} cannot be a name here."
    next = "Use 1 to {limit} printable characters, no leading slash and no `..`."


class BadMetric(BucleError, code="tracking/bad-metric", status=422):
    """A metric's value or step is not a number that can be kept."""

    message = "The metric {name!r} cannot be logged: {reason}."
    next = "Give a number (NaN and infinities are kept) and a step that is a whole number."


class ParameterChanged(BucleError, code="tracking/param-changed", status=409):
    """A parameter of a run was logged again with another value."""

    message = "The parameter {name!r} is {old!r} in this run and cannot become {new!r}."
    next = "Log what changes during a run as a metric, or start a nested run for each value."


class TooMuch(BucleError, code="tracking/too-much", status=413):
    """A run would hold more, or a longer text, than one run may."""

    message = "Too many {what}; one run may have {limit}."
    next = "Keep large values as an artifact with `bucle.log_artifact`."


class UnknownSetting(BucleError, code="tracking/unknown-setting", status=404):
    """The code read a setting that the environment does not have."""

    message = "There is no setting {name!r} here."
    next = "Write it under [environments.NAME.settings] in bucle.toml, or give `setting` a default."


class NoArtifactStore(BucleError, code="tracking/no-artifact-store", status=409):
    """An artifact was logged where nothing can keep it."""

    message = "The artifact {name!r} cannot be kept: this run has no artifact store."
    next = "Log artifacts inside a step or inside `bucle.start_run()`."


class NotSent(BucleError, code="tracking/artifact-not-sent", status=409):
    """A script logged an artifact that it had not sent for this run."""

    message = "The artifact {id} was not sent for the run {run}."
    next = "Send its bytes to the run's `artifacts` first."


class UnknownExperiment(BucleError, code="tracking/unknown-experiment", status=404):
    """There is no experiment of that id or name in the project."""

    message = "There is no experiment {id!r}."
    next = "`bucle runs` shows the experiment of each run."


class ExperimentExists(BucleError, code="tracking/experiment-exists", status=409):
    """An experiment of that name exists in the project already, perhaps deleted."""

    message = "The experiment {name!r} exists already ({stage})."
    next = "Use it, restore it if it is deleted, or take another name."


class NotActive(BucleError, code="tracking/not-active", status=409):
    """What is deleted takes no changes."""

    message = "The {what} {id} is {stage}."
    next = "Restore it first."


class UnknownTag(BucleError, code="tracking/unknown-tag", status=404):
    """A tag that is to be removed is not there."""

    message = "The {what} {id} has no tag {name!r}."
    next = "`bucle runs ID` shows the tags of a run."


class UnknownModel(BucleError, code="tracking/unknown-model", status=404):
    """There is no logged model of that id in the project."""

    message = "There is no logged model {id!r}."
    next = "The run that made it names its logged models."


class BadFilter(BucleError, code="tracking/bad-filter", status=400):
    """A filter or an order of a search cannot be understood, or names what there is not."""

    message = "{reason} (character {place} of {filter!r})."
    next = "`docs/tracking.md` has the filter language: `metrics.roc_auc > 0.7 AND params.window = '90d'`."
