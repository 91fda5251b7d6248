"""What a user can do wrong with sources, versions, schemas and profiles."""

from bucle.errors import BucleError


class BadSource(BucleError, code="data/bad-source"):
    """A source is declared with arguments that contradict each other."""

    message = "The source {name!r} cannot be as declared: {reason}."
    next = "Correct the arguments of `bucle.source`."


class UnknownSource(BucleError, code="data/unknown-source", status=404):
    """No source of that name is declared in the project."""

    message = "There is no source {name!r}."
    next = "{hint}"


class NoFiles(BucleError, code="data/no-files", status=404):
    """A source's location matches no file."""

    message = "No file matches {location!r} of the source {name!r} (looked in {base})."
    next = "Put the files there, or give the environment its own location under `sources` in bucle.toml."


class UnknownFormat(BucleError, code="data/unknown-format"):
    """A file of a source is neither Parquet nor CSV by its name."""

    message = "{file} is neither Parquet nor CSV by its name."
    next = "Name it .parquet or .csv (.csv.gz), or narrow the source's location."


class MalformedFile(BucleError, code="data/malformed-file"):
    """A file of a source cannot be read as what its name says."""

    message = "{file} cannot be read as {format}: {reason}"
    next = "Write the file again, or take it out of the source's location; the versions that exist are untouched."


class UnreadableFile(BucleError, code="data/unreadable-file"):
    """A file of a source cannot be opened by the account that bucle runs as, or its disk fails."""

    message = "{file} cannot be read: {reason}."
    next = "Let the account that bucle runs as read it, or take it out of the source's location."


class FilesChanged(BucleError, code="data/files-changed", status=409):
    """A file of a source was written or removed each time while it was being read: rows and digest would not agree."""

    message = "{file} changed while it was being read."
    next = "Write files under another name and rename them when they are complete; then try again."


class CleaningFailed(BucleError, code="data/cleaning-failed"):
    """The cleaning function raised, or what it returned cannot be computed."""

    message = "The cleaning rules of {name!r} failed: {reason}"
    next = "Correct the function; `bucle data add {name}` tries again."


class MissingColumn(BucleError, code="data/missing-column"):
    """The cleaned rows of a source lack a column that its declaration names."""

    message = "The cleaned rows of {name!r} have no column {column!r}, its {role}. They have: {columns}."
    next = "Let the cleaning function return it, or correct the declaration."


class BadTimestamp(BucleError, code="data/bad-timestamp"):
    """A column of moments holds something that is not an instant without doubt."""

    message = "The column {column!r} of {name!r} holds no instants: {reason}."
    next = "Make it a datetime in the cleaning function: `pl.from_epoch(..., time_unit=...)`, `str.to_datetime(...)`."


class NoVersion(BucleError, code="data/no-version", status=404):
    """A source has no dataset version that was cleaned by the rules of this code."""

    message = "The source {name!r} has no version by the present rules in {environment!r}."
    next = "`bucle data add {name}` ingests it."


class UnknownVersion(BucleError, code="data/unknown-version", status=404):
    """No dataset version has that id."""

    message = "There is no dataset version {id!r}."
    next = "`bucle data list` shows them all."


class DataRefused(BucleError, code="data/refused", status=422):
    """Validation stopped a dataset version: schema skew or a leak. The version before it stays current."""

    message = "The data of {name!r} were refused: {findings}"
    next = (
        "Correct the source or its cleaning rules, or review schemas/{name}.toml if the world has changed. "
        "A column that tells the label and is honest: `@bucle.source(..., accepted={{'COLUMN': 'why'}})`."
    )


class BadSchema(BucleError, code="data/bad-schema"):
    """A schema file does not say what a schema says."""

    message = "The schema {file} is not valid: {reason}"
    next = "`bucle data infer SOURCE` writes one to start from."


class SchemaExists(BucleError, code="data/schema-exists", status=409):
    """A reviewed schema stands where an inferred one would be written."""

    message = "There is a schema already: {file}."
    next = "Use --force to replace it; git keeps the old one."


class UnknownFile(BucleError, code="data/unknown-file", status=404):
    """A version has no Parquet file of that name."""

    message = "The version {version} has no file {name!r}."
    next = "The version's own page lists its files."


class ProfilesDiffer(BucleError, code="data/profiles-differ", status=409):
    """Two profiles do not count on the same bins and cannot be added."""

    message = "The profiles of {column!r} do not count on the same bins."
    next = "Profile both with the same reference."
