"""Making a package of a fitted estimator, loading it, and proving that it loads in a clean process (K-22, K-23)."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bucle.artifacts import ArtifactStore
from bucle.errors import BucleError
from bucle.features import FrameColumn
from bucle.project import Task
from bucle.registry.answers import answers, classes_of, output_of, task_of
from bucle.registry.errors import BrokenPackage
from bucle.registry.packages import (
    BundleFile,
    Example,
    Library,
    LoadOrder,
    LoadReport,
    Package,
    Signature,
    keep_package,
    read_package,
)
from bucle.registry.packaging import PROTOCOL, audit, dump_model, load_model, parse

if TYPE_CHECKING:
    from bucle.runtimes import Child

Floats = NDArray[np.float64]

EXAMPLE_ROWS = 5
CLOSE = 1e-9
"""How far an answer may be off in another process of the same lock, as a share of the answer where that is above 1.

Sums may be added in another order, and the larger a sum, the coarser its last digit."""

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "skops")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that was parsed, audited and constructed, with its description."""

    estimator: Any
    package: Package

    def answers(self, rows: Floats) -> Floats:
        """Return what the model answers to rows of its inputs: see `Signature.output`."""
        return answers(self.estimator, rows, self.package.signature.task)


def package_model(
    store: ArtifactStore,
    estimator: Any,
    columns: Sequence[FrameColumn],
    label: str,
    task: Task | None = None,
    example: Floats | None = None,
    *,
    own: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> Package:
    """Keep a fitted estimator and its description in the store.

    `columns` are its inputs in order, `example` some rows of them (their answers are kept, to be compared wherever the
    package is loaded), `own` the project's modules, `files` artifacts that go with it by name (config, lock).
    Raises `registry/unpackable-model`, `registry/untrusted-types`, `registry/bad-evaluation`.
    """
    task = task_of(estimator, task)
    data = dump_model(estimator, own)
    signature = Signature(tuple(columns), label, task, output_of(estimator, task), classes_of(estimator, task))
    made = Package(
        model=store.put_bytes(data),
        format="skops",
        protocol=PROTOCOL,
        size=len(data),
        estimator=f"{type(estimator).__module__}.{type(estimator).__qualname__}",
        signature=signature,
        types=audit(parse(data), own),
        own=tuple(own),
        libraries=_libraries(),
        python=platform.python_version(),
        example=_example(estimator, example, task),
        files=tuple(BundleFile(name, artifact) for name, artifact in sorted((files or {}).items())),
    )
    return keep_package(store, made)


def load_package(store: ArtifactStore, package: Package | str) -> LoadedModel:
    """Return the model of a package (or of its description's artifact id): parsed, audited, then constructed.

    Raises `registry/broken-package`, `registry/newer-package`, `registry/untrusted-types`, and what the store raises.
    """
    described = read_package(store, package) if isinstance(package, str) else package
    return LoadedModel(load_model(store.get_bytes(described.model), described.own), described)


def check_loadable(store: ArtifactStore, package: Package | str) -> LoadReport:
    """Load a package here and compare its answers with those that it gave when it was made; never raises a coded error."""
    begun = time.perf_counter()
    try:
        model = load_package(store, package)
        off = _largest_difference(model)
    except BucleError as error:
        return LoadReport(False, error.text, time.perf_counter() - begun, python=platform.python_version())
    seconds, rows = time.perf_counter() - begun, len(model.package.example.rows)
    same = off <= CLOSE
    reason = f"It loads in {seconds:.2f} s" + (f" and answers {rows} example rows as before." if same and rows else ".")
    if not same:
        reason = f"It loads, but its answers to {rows} example rows are off by up to {off:.3g}."
    return LoadReport(same, reason, seconds, rows, off, platform.python_version(), _libraries())


def check_loadable_in_child(order: LoadOrder, child: "Child") -> LoadReport:
    """Entry point for a fresh process of the runtime: see `check_loadable`."""
    store = ArtifactStore(child.artifacts)
    described = read_package(store, order.package)
    with_own_types(described, child)
    return check_loadable(store, described)


def load_in_child(package: str, child: "Child") -> LoadedModel:
    """Load a package in a child, which imports its project when the model is made of the project's own types."""
    store = ArtifactStore(child.artifacts)
    described = read_package(store, package)
    with_own_types(described, child)
    return load_package(store, described)


def with_own_types(package: Package, child: "Child") -> None:
    """Import the project where a package names types of the project's own modules: a fresh child has nothing of it."""
    if any(name.split(".")[0] in package.own for name in package.types):
        child.definitions()


def _example(estimator: Any, rows: Floats | None, task: Task) -> Example:
    if rows is None:
        return Example((), ())
    finite = np.asarray(rows, dtype=np.float64)
    held = finite[~np.isinf(finite).any(axis=1)][:EXAMPLE_ROWS]  # JSON has no infinity
    if not len(held):
        return Example((), ())
    given = np.atleast_2d(answers(estimator, held, task).reshape(len(held), -1))
    as_rows = tuple(tuple(None if np.isnan(value) else float(value) for value in row) for row in held)
    return Example(as_rows, tuple(tuple(float(value) for value in row) for row in given))


def _largest_difference(model: LoadedModel) -> float:
    example = model.package.example
    if not example.rows:
        return 0.0
    rows = np.array([[np.nan if value is None else value for value in row] for row in example.rows], dtype=np.float64)
    try:
        given = model.answers(rows).reshape(len(rows), -1)
    except BucleError:
        raise
    except Exception as error:  # a model that loads may still fail to answer with the libraries here
        raise BrokenPackage(reason=f"it does not answer ({type(error).__name__}: {error})") from error
    before = np.asarray(example.answers)
    return float((np.abs(given - before) / np.maximum(1.0, np.abs(before))).max())


def _libraries() -> tuple[Library, ...]:
    found = []
    for name in _LIBRARIES:
        try:
            found.append(Library(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)
