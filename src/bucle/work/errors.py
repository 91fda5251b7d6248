"""What a user can do wrong with work items."""

from bucle.errors import BucleError


class UnknownItem(BucleError, code="work/unknown", status=404):
    """No work item has this id."""

    message = "There is no work item {id!r}."
    next = "`bucle work` lists them."


class BadField(BucleError, code="work/bad-field"):
    """A field of a work item that it cannot have."""

    message = "{field} cannot be {value!r}."
    next = "Choose {allowed}."


class AlreadyClosed(BucleError, code="work/closed", status=409):
    """A work item that is done already."""

    message = "Work item {id} is done already."
    next = "Open it again first: `bucle work change {id} --state open`."
