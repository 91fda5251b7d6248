"""What a user can do wrong with models, their packages, versions, gates and aliases."""

from bucle.errors import BucleError


class UnpackableModel(BucleError, code="registry/unpackable-model", status=422):
    """A model is of a kind that cannot be packaged."""

    message = "A {type} cannot be packaged: {reason}."
    next = "Return a scikit-learn estimator or pipeline; classes of your own must stand in the project's package."


class BrokenPackage(BucleError, code="registry/broken-package", status=422):
    """A model package is not one, is damaged, or does not fit the libraries here."""

    message = "The model package cannot be used: {reason}."
    next = "Train the model again; bucle never loads pickle files."


class NewerPackage(BucleError, code="registry/newer-package", status=409):
    """A model package was written by a newer bucle."""

    message = "The model package has protocol {found}; this bucle reads up to {known}."
    next = "Upgrade bucle in this runtime."


class UntrustedTypes(BucleError, code="registry/untrusted-types", status=422):
    """A model package names types or functions that may not be constructed."""

    message = "The model package would construct what is not allowed: {names}."
    next = "Classes of your own must be defined in the project's package; other types are not loaded."


class UnknownModel(BucleError, code="registry/unknown-model", status=404):
    """There is no model of that name in the project."""

    message = "There is no model {name!r} in the project."
    next = "`bucle models` shows them."


class UnknownVersion(BucleError, code="registry/unknown-version", status=404):
    """There is no version of that number, alias or id."""

    message = "There is no version {reference!r}."
    next = "`bucle models list` shows the versions, `bucle models show MODEL@VERSION` one of them."


class BadReference(BucleError, code="registry/bad-reference"):
    """A text does not name a model version."""

    message = "{text!r} does not name a model version."
    next = "Write MODEL@VERSION or MODEL@ALIAS, for instance delay@7."


class RetiredVersion(BucleError, code="registry/retired-version", status=409):
    """A version was retired and cannot be used any more."""

    message = "{version} was retired."
    next = "Choose another version: `bucle models list`."


class UnknownGate(BucleError, code="registry/unknown-gate", status=404):
    """A version has no gate of that name."""

    message = "{version} has no gate {name!r}."
    next = "Its gates are: {gates}."


class BadWaiver(BucleError, code="registry/bad-waiver", status=422):
    """A gate can be waived only when it failed, by a named person, with a reason."""

    message = "The gate {gate!r} cannot be waived: {problem}."
    next = "A person with the permission registry.waive gives a reason: `bucle models waive MODEL@VERSION GATE --reason TEXT`."


class BadAlias(BucleError, code="registry/bad-alias", status=422):
    """A text cannot be an alias."""

    message = "{alias!r} cannot be an alias."
    next = "Use lower-case letters, digits, - and _, beginning with a letter, at most 60; not `latest`, `mv_…` or a stage."


class UnknownSlice(BucleError, code="registry/unknown-slice", status=422):
    """An evaluation was asked for by a column that the frame does not have."""

    message = "There is no column {name!r} to slice by."
    next = "{hint}"


class BadEvaluation(BucleError, code="registry/bad-evaluation", status=422):
    """A model cannot be evaluated on the rows given."""

    message = "The model cannot be evaluated: {reason}."
    next = "Look at the frame's rows and label; an evaluation needs rows with labels and finite predictions."


class BadGate(BucleError, code="registry/bad-gate", status=422):
    """A gate of the project is neither a criterion nor a function of an evaluation, failed to judge, or has another's name."""

    message = "The gate {name!r} cannot judge: {reason}."
    next = 'Give a criterion such as "brier <= 0.2", or a function that takes an Evaluation and returns a bool.'
