"""Where a step runs: a workplace executes orders, one at a time, and says what came of it."""

import math
import os
import resource
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.errors import BucleError
from bucle.pipelines.codecs import NotPlain, decode_tree, decode_value, encode_value, named, own_modules
from bucle.pipelines.errors import StepFailed, StepNotImportable, StepTimeout, UnsupportedValue
from bucle.pipelines.orders import Failure, Result, Usage, WorkOrder
from bucle.pipelines.reads import Recorder, recording
from bucle.pipelines.sessions import session_of
from bucle.project import Definitions, describe_exception, load_project_file, user_line
from bucle.tracking import RunLog, collecting


class TimeUp(BaseException):
    """An attempt has used up its time; not an `Exception`, so that a step's own handlers let it pass."""


@dataclass(frozen=True)
class Workplace:
    """What a worker has at hand: the artifacts, the project's files and definitions, a folder for files."""

    store: ArtifactStore
    root: Path
    scratch: Path
    definitions: Callable[[], Definitions] = field(default=lambda: Definitions([]))
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """Steps that cannot be imported by name, for a driver that is a notebook or a script."""

    @cached_property
    def own_modules(self) -> tuple[str, ...]:
        """Return the project's own packages, whose classes a model may be made of."""
        try:
            return (load_project_file(self.root).definitions,)
        except BucleError:
            return ()

    def execute_after(self, order: WorkOrder, delay: float) -> Result:
        """Wait, then execute."""
        if delay:
            time.sleep(delay)
        return execute(order, self)


@dataclass(frozen=True, slots=True)
class Work:
    """The order that is being executed here, for the steps that are bucle's own."""

    order: WorkOrder
    place: Workplace


_work: ContextVar[Work | None] = ContextVar("bucle_work", default=None)


def current_work() -> Work:
    """Return the order being executed. Only steps of bucle itself call this."""
    work = _work.get()
    if work is None:
        raise RuntimeError("this runs only as a step")
    return work


def execute(order: WorkOrder, place: Workplace) -> Result:
    """Run one attempt at a step: inputs by reference in, output by reference out. Never raises for the step's own errors."""
    log, clock = RunLog(), _Meter()
    own = own_modules.set(place.own_modules)
    try:
        function = _function(order, place)
        arguments = _arguments(order, place)
        token = _work.set(Work(order, place))
        try:
            with session_of(None), _logging(log, order, place), _limited(order), _recording(order, place) as recorder:
                value = _call(function, arguments)
        finally:
            _work.reset(token)
        output = encode_value(value, place.store)
    except TimeUp:
        failure = timed_out(order.options.timeout or 0)
        return Result(order.step, order.attempt, clock.stop(), failure=failure, log=log)
    except (Exception, SystemExit) as error:
        return Result(order.step, order.attempt, clock.stop(), failure=_failure(error, order, place), log=log)
    finally:
        own_modules.reset(own)
    return Result(order.step, order.attempt, clock.stop(), output, log=log, reads=recorder.reads())


def timed_out(seconds: float) -> Failure:
    """Return the failure of an attempt that took too long."""
    error = StepTimeout(seconds=seconds)
    return Failure(error.code, error.text, None, error.next_step)


def _function(order: WorkOrder, place: Workplace) -> Callable[..., Any]:
    if order.target in place.functions:
        return place.functions[order.target]
    if not order.options.isolated:  # what has a process of its own is bucle's, and must be as clean as it can be
        place.definitions()
    try:
        found = named(order.target)
    except (ImportError, AttributeError) as error:
        raise StepNotImportable(step=order.call, target=order.target) from error
    function = getattr(found, "function", found)
    if not callable(function):
        raise StepNotImportable(step=order.call, target=order.target)
    return function  # type: ignore[no-any-return]


def _arguments(order: WorkOrder, place: Workplace) -> dict[str, Any]:
    def take(node: Mapping[str, Any]) -> object:
        if node["$"] != "input":
            raise NotPlain(str(node["$"]))
        return decode_value(order.inputs[node["n"]], place.store, place.scratch)

    tree: dict[str, Any] = msgspec.json.decode(order.arguments)
    return {name: decode_tree(node, take) for name, node in tree.items()}


def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    import inspect

    bound = inspect.signature(function).bind_partial()
    bound.arguments.update(arguments)
    return function(*bound.args, **bound.kwargs)


def _failure(error: BaseException, order: WorkOrder, place: Workplace) -> Failure:
    traceback.print_exception(error)
    where = user_line(place.root, error)
    if isinstance(error, NotPlain):
        code = getattr(named(order.target), "function", None) if order.target not in place.functions else None
        code = getattr(place.functions.get(order.target, code), "__code__", None)
        where = f"{_relative(code.co_filename, place.root)}:{code.co_firstlineno}" if code else where
        error = UnsupportedValue(role="What it returns", step=order.call, type=str(error), where=where)
        return Failure(error.code, error.text, where, error.next_step, retry=False)
    if isinstance(error, BucleError):
        return Failure(error.code, error.text, error.where or where, error.next_step)
    return Failure(StepFailed.code, describe_exception(error), where, "Its log has the details.")


def _relative(file: str, root: Path) -> str:
    path = Path(file)
    return str(path.relative_to(root)) if path.is_relative_to(root) else file


def _recording(order: WorkOrder, place: Workplace) -> AbstractContextManager[Recorder]:
    """Record what project code reads beside its inputs; what bucle's own steps read by themselves is their inputs."""
    built_in = order.target.startswith("bucle.")
    return recording(place.root, (place.store.root, place.scratch), only_from_project=built_in)


@contextmanager
def _logging(log: RunLog, order: WorkOrder, place: Workplace) -> Iterator[None]:
    """Let the step log, read settings, and find the environment variables that it declared."""
    before = {name: os.environ.get(name) for name in order.variables}
    os.environ.update(order.variables)
    try:
        with collecting(log, artifacts=place.store, settings=order.settings):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _limited(order: WorkOrder) -> Iterator[None]:
    """Interrupt the attempt when its time is up. Only a main thread can be: elsewhere whoever waits for the worker kills it."""
    seconds = order.options.timeout
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Meter:
    """Wall time, CPU time and peak memory of an attempt."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Usage:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Usage(os.getpid(), socket.gethostname(), round(wall, 6), round(cpu, 6), math.ceil(peak))
