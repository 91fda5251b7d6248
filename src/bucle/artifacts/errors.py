"""What can go wrong with stored bytes."""

from bucle.errors import BucleError


class BadArtifactId(BucleError, code="artifacts/bad-id"):
    """A text is not the id of an artifact; it is never taken for a path."""

    message = "{id!r} is not the id of an artifact."
    next = "An id is blake3: and 64 hexadecimal digits."


class MissingArtifact(BucleError, code="artifacts/missing", status=404):
    """The store does not hold the bytes of an id."""

    message = "The store does not hold {id}."
    next = "It may have been collected, or belong to another home; `bucle why {id}` shows what is known of it."


class CorruptArtifact(BucleError, code="artifacts/corrupt", status=500):
    """The bytes on disk are not those that the id names."""

    message = "The bytes of {id} were damaged: they are now {found}."
    next = "Put the same bytes again, or restore {path} from a backup; look at the disk."


class UnreadableFile(BucleError, code="artifacts/unreadable-file"):
    """A file that was to be stored cannot be read."""

    message = "{path} cannot be stored: {reason}."
    next = "Check that the file is there and may be read."


class ArtifactDiskFull(BucleError, code="artifacts/disk-full", status=507):
    """The disk has no room for an artifact; nothing of it was kept."""

    message = "The disk of {path} is full; nothing was stored."
    next = "Free some space (`bucle gc` removes what nothing refers to) and try again."
