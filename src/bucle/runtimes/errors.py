"""What can go wrong with locks, installed runtimes and the child processes that run a project's code."""

from bucle.errors import BucleError


class NoLock(BucleError, code="runtimes/no-lock", status=404):
    """A project has no requirements.lock where one is needed."""

    message = "There is no lock {path}."
    next = "`bucle lock` makes requirements.lock from requirements.in."


class BadLock(BucleError, code="runtimes/bad-lock"):
    """A line of a lock is not a pinned requirement with hashes."""

    message = "The lock cannot be used: {reason}."
    next = "`bucle lock` makes it again from requirements.in."


class LockFailed(BucleError, code="runtimes/lock-failed", status=422):
    """No set of packages satisfies the requirements, or the index could not be reached."""

    message = "The requirements cannot be locked: {reason}"
    next = "Change {path}, or look at the index that uv is set up with."


class InstallFailed(BucleError, code="runtimes/install-failed", status=422):
    """uv could not install a lock: a package is not to be had, a hash differs, or it has no wheel for this machine."""

    message = "The lock cannot be installed: {reason}"
    next = "Correct the lock and commit it; nothing was left half-installed."


class NoPython(BucleError, code="runtimes/no-python", status=422):
    """The Python that a lock was made for is not on this machine."""

    message = "The lock was made for Python {wanted}, which is not on this machine."
    next = "Install Python {wanted}, or make the lock again for {own} with `bucle lock`."


class NoUv(BucleError, code="runtimes/no-uv", status=500):
    """The uv binary that bucle depends on is not there."""

    message = "The program uv was not found."
    next = "Install bucle again with its dependencies: pip install bucle"


class ProjectCodeFailed(BucleError, code="runtimes/project-code-failed", status=422):
    """The project's own code raised an exception."""

    message = "The project's code failed: {error}."
    next = "Correct the line; the traceback is in {log}."


class RunnerDied(BucleError, code="runtimes/runner-died", status=502):
    """A child process that ran the project's code ended before it answered."""

    message = "The process that ran {entry} ended: {reason}."
    next = "Its output is in {log}; an end by SIGKILL often means that memory ran out."


class RunnerTimeout(BucleError, code="runtimes/runner-timeout", status=504):
    """A child process that ran the project's code took too long and was ended."""

    message = "{entry} took longer than {seconds:g} s and was ended."
    next = "Give it more time, or less to do; its output is in {log}."


class RunnerNotStarted(BucleError, code="runtimes/runner-not-started", status=500):
    """The operating system would not start a child process."""

    message = "A process of {python} cannot be started: {reason}."
    next = "Look at the runtime with `bucle doctor`; remove its folder and it is installed again."
