"""What a user can do wrong with features, their sources and their frames."""

from bucle.errors import BucleError


class UnknownFeature(BucleError, code="features/unknown", status=404):
    """A feature, view or training set was asked for that nobody defines."""

    message = "There is no {what} {name!r}."
    next = "{hint} `bucle features list` shows them all."


class UnknownColumn(BucleError, code="features/unknown-column"):
    """A definition names a column that its source does not have."""

    message = "{definition} needs the column {column!r}, which {source} does not have."
    next = "{hint} `bucle data list` shows each source and its columns."


class DuplicateFeature(BucleError, code="features/duplicate-name"):
    """Two columns of one frame would have the same name."""

    message = "{first} and {second} both give a column named {name!r}."
    next = 'Rename one of them, for instance with `.alias("...")` in the view.'


class LostKeys(BucleError, code="features/lost-keys"):
    """A view's function returned rows whose entity or moment is not known any more."""

    message = "The view {view!r} returns rows without {columns}."
    next = "Keep these columns in what the function returns, or use bucle.aggregates() for windows."


class NotAFrame(BucleError, code="features/not-a-frame"):
    """A view's function returned something else than a Polars frame."""

    message = "The view {view!r} returned {kind}, not a Polars LazyFrame."
    next = "Return the rows that were given to the function, with the columns that are features."


class ViewFailed(BucleError, code="features/view-failed"):
    """A view's function or a label's expression could not be evaluated on its source's rows."""

    message = "{definition} could not be evaluated: {reason}"
    next = "Correct the expression; `bucle data list` shows each source and its columns with their types."


class BadTime(BucleError, code="features/bad-time"):
    """A column that should hold moments holds something else."""

    message = "The column {column!r} ({dtype}) does not hold moments: {reason}."
    next = "Give timestamps, dates, or ISO 8601 texts; integers need a unit: convert them with pl.from_epoch()."


class BadKey(BucleError, code="features/bad-key"):
    """An entity key has a type that cannot be compared by value."""

    message = "{what} of type {dtype} cannot be the key of an entity."
    next = "Use numbers, texts, booleans, dates, timestamps or bytes."


class BadKeyValue(BucleError, code="features/bad-key-value", status=422):
    """A value was given for an entity's key that no stored key can equal: half a character, infinity, too many bits."""

    message = "{what} cannot be the key of an entity."
    next = "Give a text in Unicode, a finite number, or an integer of up to 64 bits; null where there is none."


class BadFrame(BucleError, code="features/bad-frame"):
    """Something else than a table was given where rows are needed, or a table that cannot be read."""

    message = "These rows cannot be used: {reason}"
    next = "Give a Polars or pandas frame, or the path of a Parquet file."


class BadColumnType(BucleError, code="features/bad-column-type"):
    """A model's input column has a type that is neither a number, a boolean nor a text."""

    message = "The column {column!r} has type {dtype}, which no model input can hold."
    next = "Derive a number or a text from it in the source or in a view, for instance the hour of a timestamp."


class BadDefinition(BucleError, code="features/bad-definition"):
    """An entity, view, label or training set is declared with arguments that make no sense."""

    message = "{definition}: {reason}."
    next = "See docs/features.md for what each argument means."


class OutsidePipeline(BucleError, code="features/outside-pipeline"):
    """A training set was split where there is neither a pipeline nor a snapshot of the data."""

    message = "{name}.split() works inside a pipeline, where the data's versions are pinned."
    next = "Call it in a function with @bucle.pipeline, or use bucle.connect().training_frame({name!r}, ...)."


class NoRows(BucleError, code="features/no-rows", status=409):
    """A training set has no row with a mature label in the wanted time."""

    message = "The training set {name!r} has no mature rows between {start} and {end} ({counts})."
    next = "Choose another time, wait for labels to mature, or ingest more data with `bucle data add`."


class TooFarBack(BucleError, code="features/too-far-back", status=409):
    """The online store no longer holds what a window needs for a moment in the past."""

    message = "The online store answers {view!r} from {horizon} on, not as of {as_of}."
    next = "Read the past offline: `bucle features join`."


class NotMaterialized(BucleError, code="features/not-materialized", status=409):
    """A view was read online before its rows, by the definition that is asked for, were ever written there."""

    message = "The view {view!r} (definition {definition}) has not been materialized in {environment!r} yet."
    next = "Run `bucle features materialize`."


class BehindTheClock(BucleError, code="features/behind", status=409):
    """A view was materialized once, but nothing in the environment takes it and nobody asked to keep it up."""

    message = "The view {view!r} is readable in {environment!r} up to {until} only, not as of {as_of}."
    next = "Run `bucle features materialize`: from then on it is kept up there."


class BadFrameFile(BucleError, code="features/bad-frame-file"):
    """A stored training frame is not readable by this version."""

    message = "The training frame in {path} cannot be read: {reason}."
    next = "Build it again from its run's snapshot."
