"""What a package says of its model: what goes in, what comes out, what it needs. Plain structs; nothing heavy."""

from typing import Literal

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.features import FrameColumn
from bucle.project import Task

Output = Literal["probability", "probabilities", "class", "value"]
"""What a model answers: the probability of the second class, one for each class, the class itself, or a number."""

ClassLabel = bool | int | float | str


class Signature(msgspec.Struct, frozen=True):
    """The columns that a model takes, in order, with their types and categories, and what it answers.

    `classes` are the label's values in the order of the model's probabilities; empty for a regression.
    """

    inputs: tuple[FrameColumn, ...]
    label: str
    task: Task
    output: Output
    classes: tuple[ClassLabel, ...] = ()

    def difference(self, other: "Signature") -> list[str]:
        """Return, in words, how another signature differs: what a caller of this model would have to change."""
        mine, theirs = {each.name: each for each in self.inputs}, {each.name: each for each in other.inputs}
        found = [f"{name} is new" for name in theirs if name not in mine]
        found += [f"{name} is gone" for name in mine if name not in theirs]
        found += [
            f"{n} was {c.dtype}, is {theirs[n].dtype}" for n, c in mine.items() if n in theirs and c.dtype != theirs[n].dtype
        ]
        if (self.output, self.label, self.classes) != (other.output, other.label, other.classes):
            found.append("the answer changed")
        return found


class BundleFile(msgspec.Struct, frozen=True):
    """A file that goes with the model (K-23): its name, such as `requirements.lock`, and its artifact."""

    name: str
    artifact: str


class Example(msgspec.Struct, frozen=True):
    """Some rows, and what the model answered to them when it was packaged. Nulls stand for missing values."""

    rows: tuple[tuple[float | None, ...], ...]
    answers: tuple[tuple[float, ...], ...]


class Library(msgspec.Struct, frozen=True):
    """An installed distribution that the model was made with."""

    name: str
    version: str


class Package(msgspec.Struct, frozen=True):
    """A model ready to be loaded anywhere: `id` is the artifact of this description, `model` that of the model's bytes.

    `types` are the names beyond those that skops trusts, all on the audited list or the project's `own`. Equal models with
    equal signatures and libraries make equal packages.
    """

    model: str
    format: str
    protocol: int
    size: int
    estimator: str
    signature: Signature
    types: tuple[str, ...]
    own: tuple[str, ...]
    libraries: tuple[Library, ...]
    python: str
    example: Example
    files: tuple[BundleFile, ...] = ()
    id: str = ""


class LoadOrder(msgspec.Struct, frozen=True):
    """The package that a clean process shall load."""

    package: str


class LoadReport(msgspec.Struct, frozen=True):
    """What came of loading a package in a clean process of its runtime: seconds, and how far its answers were off."""

    loadable: bool
    reason: str
    seconds: float = 0.0
    rows: int = 0
    largest_difference: float = 0.0
    python: str = ""
    libraries: tuple[Library, ...] = ()


def read_package(store: ArtifactStore, id: str) -> Package:
    """Return the package of a description's artifact. Raises what the store raises."""
    return msgspec.structs.replace(store.get_json(id, Package), id=id)


def keep_package(store: ArtifactStore, package: Package) -> Package:
    """Keep a package's description as an artifact and return it with its id."""
    return msgspec.structs.replace(package, id=store.put_json(msgspec.structs.replace(package, id="")))
