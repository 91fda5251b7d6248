"""Rehearsing a pipeline: its function and steps run here at once, on frames of the caller's choice; nothing is kept.

Checks of a commit use it: is a model trained at all, does it learn, does it answer with numbers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bucle.errors import BucleError
from bucle.features import planner
from bucle.pipelines.handles import Handle, arity_of
from bucle.pipelines.sessions import Session, session_of
from bucle.project import load_project_file

if TYPE_CHECKING:
    from bucle.pipelines.declared import Pipeline
    from bucle.pipelines.steps import Step

Frames = Callable[[str, Mapping[str, Any]], tuple[Any, Any]]
"""Gives the past and the recent frame that a training set's `split(window, holdout)` shall return."""


@dataclass(frozen=True, slots=True)
class StepCall:
    """A step that was called: its name, its arguments by name, what it returned."""

    step: str
    arguments: Mapping[str, Any]
    value: Any


class Rehearsal:
    """Plays the part of a run's session: a call runs the step's function and gives a handle whose value is there already."""

    def __init__(self, root: Path) -> None:
        self.calls: list[StepCall] = []
        self._root = root

    def call(self, step: "Step", args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Handle:
        """Run the step's function; steps that it calls are plain functions, as in a run."""
        given, named = [_value(each) for each in args], {name: _value(each) for name, each in kwargs.items()}
        bound = step.signature.bind(*given, **named)
        bound.apply_defaults()
        with session_of(None):
            value = step.function(*given, **named)
        return self._called(StepCall(step.name, bound.arguments, value), arity_of(step.function))

    def evaluate(self, model: Any, frame: Any, slices: Sequence[str]) -> Handle:
        """Evaluate without keeping anything: the step itself would want a run to log to."""
        from bucle.registry import slices_needed

        charter = load_project_file(self._root).charter
        needed = list(slices_needed(charter.success, slices))
        arguments = {"model": _value(model), "frame": _value(frame), "slices": needed, "task": charter.task}
        return self._called(StepCall("evaluate", arguments, _evaluated(arguments)), None)

    def _called(self, call: StepCall, arity: int | None) -> Handle:
        self.calls.append(call)
        return Handle(cast(Session, self), str(len(self.calls) - 1), arity)

    def value(self, handle: Handle) -> Any:
        """Return what the handle's step returned."""
        value = self.calls[int(handle.call)].value
        return value if handle.item is None else value[handle.item]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A pipeline within a pipeline needs no place of its own here."""
        yield


def rehearse(pipeline: "Pipeline", root: Path, frames: Frames) -> list[StepCall]:
    """Run the function of a pipeline of the project in `root` with its default parameters; return its steps' calls in order.

    An evaluation that cannot be made is None.

    Raises what the project's code raises.
    """
    rehearsal = Rehearsal(root)
    token = planner.set(lambda _, training_set, lengths: frames(training_set, lengths))
    try:
        with session_of(cast(Session, rehearsal)):
            pipeline.function()
    finally:
        planner.reset(token)
    return rehearsal.calls


def _evaluated(arguments: Mapping[str, Any]) -> Any:
    """Evaluate without keeping anything; the step itself would want a run to log to."""
    from bucle.registry import evaluate_model

    try:
        return evaluate_model(arguments["model"], arguments["frame"], arguments["slices"], arguments["task"])
    except BucleError:
        return None


def _value(given: Any) -> Any:
    """Return a value with all handles in it replaced by what they stand for."""
    if isinstance(given, Handle):
        return given.value
    if isinstance(given, list | tuple):
        return type(given)(_value(each) for each in given)
    if isinstance(given, dict):
        return {name: _value(each) for name, each in given.items()}
    return given
