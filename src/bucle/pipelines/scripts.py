"""`pipeline.run(...)`: the driver in the process that calls it, the ledger wherever a connection leads."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.errors import RemoteError
from bucle.pipelines.declared import PipelineSpec
from bucle.pipelines.errors import NoConnection
from bucle.pipelines.executing import Workplace
from bucle.pipelines.journal import LEASE_US
from bucle.pipelines.lint import check_pipeline
from bucle.pipelines.protocol import Fail
from bucle.project import Definition, Definitions, load_definitions, load_project_file

if TYPE_CHECKING:
    from bucle.pipelines.declared import Pipeline


class ScriptRun(msgspec.Struct, frozen=True):
    """What a script asks for: a pipeline that it drives itself, from the tree in `root`."""

    spec: PipelineSpec
    parameters: dict[str, Any]
    seed: int
    root: str


class OpenedRun(msgspec.Struct, frozen=True):
    """A run that a script may drive: its id and epoch, where artifacts are, the snapshot that it sees."""

    run: str
    epoch: int
    artifacts: str
    snapshot: str | None


class Connection(Protocol):
    """What `run` needs of whoever holds the ledger."""

    def open_run(self, request: ScriptRun) -> OpenedRun:
        """Begin a run."""

    def ask(self, run: str, message: bytes) -> bytes:
        """Take a question of the run's driver to its coordinator and return the answer."""

    def close(self) -> None:
        """Give back what is held."""


Connector = Callable[[str], Connection]
_connectors: list[Connector] = []


def register_connector(connector: Connector) -> None:
    """Say how `pipeline.run` finds the holder of the ledger, given the project's folder; the last one registered counts."""
    _connectors.append(connector)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that `pipeline.run` drove to its end: its id, and what the pipeline returned, handles replaced by values."""

    id: str
    value: Any

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>Run <code>{escape(self.id)}</code>: {escape(repr(self.value))}</p>"


def run_here(pipeline: "Pipeline", parameters: Mapping[str, Any], seed: int) -> FinishedRun:
    """Drive a pipeline in this process. See `Pipeline.run`."""
    if not _connectors:
        raise NoConnection(pipeline=pipeline.name, reason="nothing connects this process to one")
    root = _root_of(pipeline)
    definitions = _definitions(root, pipeline)  # also names what the pipeline reaches: what it is made of is known by name
    check_pipeline(pipeline)
    connection = _connectors[-1](str(root))
    try:
        return _drive(pipeline, parameters, seed, root, connection, definitions)
    finally:
        connection.close()


def _drive(
    pipeline: "Pipeline",
    parameters: Mapping[str, Any],
    seed: int,
    root: Path,
    connection: Connection,
    definitions: Definitions,
) -> FinishedRun:
    from bucle.pipelines.driver import drive, failure_of
    from bucle.pipelines.engines.worker import scratch_folder
    from bucle.pipelines.sessions import Session

    opened = connection.open_run(ScriptRun(pipeline.spec(), dict(parameters), seed, str(root)))
    place = Workplace(
        ArtifactStore(Path(opened.artifacts)),
        root,
        scratch_folder(),
        definitions=lambda: definitions,
        functions=_Functions(pipeline),
    )
    session = Session(partial(_post, connection, opened.run), place, opened.epoch, seed, opened.snapshot)
    with _beating(session):
        try:
            driven = drive(session, pipeline, parameters)
        except BaseException as error:
            failure = failure_of(error, None)
            session.fail(Fail(failure.code, failure.reason, failure.where, failure.next))
            raise
        if driven.failure is not None:
            failure = driven.failure
            if driven.state == "failed":
                session.fail(Fail(failure.code, failure.reason, failure.where, failure.next))
            raise RemoteError(failure.code, failure.reason, failure.where, failure.next, 422)
    return FinishedRun(opened.run, session.returned)


def _post(connection: Connection, run: str, message: bytes) -> Callable[[], bytes]:
    answer = connection.ask(run, message)
    return lambda: answer


def _definitions(root: Path, pipeline: "Pipeline") -> Definitions:
    """What the project declares, and what the script itself declares beside it."""
    declared = list(load_definitions(root, load_project_file(root)))
    known = {(each.kind, each.name) for each in declared}
    own = []
    for name, each in pipeline.function.__globals__.items():
        if isinstance(each, Definition):
            each.bind(name)
            own.append(each)
    return Definitions([*declared, *(each for each in dict.fromkeys(own) if (each.kind, each.name) not in known)])


class _Functions(Mapping[str, Callable[..., Any]]):
    """The steps of the script itself, which cannot be imported by name."""

    def __init__(self, pipeline: "Pipeline") -> None:
        from bucle.pipelines.steps import Step

        known = pipeline.function.__globals__
        self._steps = {each.target: each.function for each in known.values() if isinstance(each, Step)}

    def __getitem__(self, target: str) -> Callable[..., Any]:
        return self._steps[target]

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)


@contextmanager
def _beating(session: Any) -> Iterator[None]:
    """Let the holder know every now and then that the script is still there, however long a step takes."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(LEASE_US / 3e6):
            try:
                session.beat()
            except Exception:
                return

    threading.Thread(target=beat, name="bucle-heartbeat", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _root_of(pipeline: "Pipeline") -> Path:
    """The folder of the project: above the file that declares the pipeline, else above the working folder."""
    for start in (Path(pipeline.file), Path.cwd() / "notebook"):
        for folder in start.absolute().parents:
            if (folder / "bucle.toml").is_file():
                return folder
    raise NoConnection(pipeline=pipeline.name, reason="no bucle.toml in this folder or above")
