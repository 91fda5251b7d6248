"""What a user can do wrong with a home, its clock or its events."""

from bucle.errors import BucleError


class BadInstant(BucleError, code="ledger/bad-instant"):
    """A text is not an ISO 8601 instant."""

    message = "{text!r} is not an instant."
    next = "Write it as ISO 8601, for instance 2013-04-01T12:00:00Z."


class BadDuration(BucleError, code="ledger/bad-duration"):
    """A text is not a duration."""

    message = "{text!r} is not a duration."
    next = 'Write it as numbers with units w, d, h, m, s, ms, us: "36h", "1d12h".'


class HomeBusy(BucleError, code="ledger/home-busy", status=409):
    """Another process holds the home's lock and does not answer."""

    message = "The home {path} is held by process {pid}."
    next = "Wait for it to end, use its address with BUCLE_URL, or stop it with `bucle down`."


class HomeNewer(BucleError, code="ledger/home-newer", status=409):
    """The home was written by a newer bucle."""

    message = "The home {path} has schema {found}; this bucle knows {known}."
    next = "Upgrade bucle; nothing was changed."


class HomeUnfit(BucleError, code="ledger/home-unfit"):
    """The home's folder cannot hold a ledger: not writable, not a folder, or on a network file system."""

    message = "The home {path} cannot be used: {reason}."
    next = "Choose another folder with --home or BUCLE_HOME."


class DiskFull(BucleError, code="ledger/disk-full", status=507):
    """The disk has no room for the write; nothing of it was kept."""

    message = "The disk of {path} is full; the write was undone."
    next = "Free some space (`bucle gc` removes what nothing refers to) and try again."


class ClockNotReplay(BucleError, code="ledger/clock-not-replay", status=409):
    """Only a home made with a replay clock can be advanced."""

    message = "This home follows the wall clock; it cannot be advanced."
    next = "Make a home with a replay clock: `bucle init DIR --replay-from TIME`."


class ClockBackwards(BucleError, code="ledger/clock-backwards", status=409):
    """A clock moves only forward."""

    message = "The clock stands at {now}; it cannot go back to {to}."
    next = "Give a later moment."


class UnknownId(BucleError, code="ledger/unknown-id", status=404):
    """Nothing in the ledger has this id."""

    message = "Nothing is known under the id {id!r}."
    next = "`bucle events` shows what the ledger holds."
