"""A project's code, ready to run: a checkout, the runtime of its lock, and what it declares."""

from dataclasses import dataclass

import msgspec

from bucle.ledger import Home, Reader, aside
from bucle.project import Checkout, DescribeRequest, ProjectDescription
from bucle.runtimes import store
from bucle.runtimes.installation import ensure_runtime
from bucle.runtimes.interpreter import Runtime, current_runtime
from bucle.runtimes.pool import RunnerPool

_DESCRIBE_SECONDS = 120.0
_REMEMBERED = 64
_described: dict[tuple[str, str, str], ProjectDescription] = {}


@dataclass(frozen=True, slots=True)
class Code:
    """Everything that is needed to run a project at one moment of its history."""

    checkout: Checkout
    runtime: Runtime
    description: ProjectDescription


def load_code(home: Home, runners: RunnerPool, checkout: Checkout) -> Code:
    """Ensure the checkout's runtime (without a lock: the interpreter that runs now) and describe the project in a child.

    An exported commit is described once for all time, a working tree whenever it has changed. Raises what
    `ensure_runtime` and `load_definitions` raise.
    """
    runtime = ensure_runtime(home, checkout.lock) if checkout.lock.is_file() else current_runtime()
    return Code(checkout, runtime, _description(home, runners, checkout, runtime))


def described_commit(reader: Reader, project: str, commit: str) -> ProjectDescription | None:
    """Return what a commit declares, as it was described when its code was loaded; None when it never was. Starts no child."""
    row = reader.row(store.SELECT_DESCRIBED, (project, commit))
    return msgspec.json.decode(row["document"], type=ProjectDescription) if row else None


def _description(home: Home, runners: RunnerPool, checkout: Checkout, runtime: Runtime) -> ProjectDescription:
    key = (str(checkout.root), checkout.stamp, runtime.digest)
    if key in _described:
        return _described[key]
    description = _stored(home, checkout, runtime)
    if description is None:
        with runners.lend(runtime, checkout) as runner:
            request, entry = DescribeRequest(), "bucle.project:describe_in_child"
            description = runner.call(entry, request, ProjectDescription, timeout=_DESCRIBE_SECONDS)
        _keep(home, checkout, runtime, description)
    while len(_described) >= _REMEMBERED:
        _described.pop(next(iter(_described)), None)
    _described[key] = description
    return description


def _stored(home: Home, checkout: Checkout, runtime: Runtime) -> ProjectDescription | None:
    if not _is_exported(checkout):
        return None
    with home.ledger.read() as reader:
        row = reader.row(store.SELECT_DESCRIPTION, (checkout.project, checkout.commit, runtime.digest))
    return msgspec.json.decode(row["document"], type=ProjectDescription) if row else None


def _keep(home: Home, checkout: Checkout, runtime: Runtime, description: ProjectDescription) -> None:
    if _is_exported(checkout):
        document = msgspec.json.encode(description).decode()
        with aside(), home.ledger.write() as transaction:
            values = (checkout.project, checkout.commit, runtime.digest, document)
            transaction.execute(store.INSERT_DESCRIPTION, values)


def _is_exported(checkout: Checkout) -> bool:
    return checkout.commit is not None and checkout.stamp == checkout.commit
