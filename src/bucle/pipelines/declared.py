"""Pipelines: plain functions that call steps."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, overload

import msgspec

from bucle.pipelines.errors import BadParameter
from bucle.pipelines.lint import check_call
from bucle.pipelines.sessions import current_session
from bucle.pipelines.triggers import OnDegradation, OnNewData, Trigger
from bucle.project import Definition, code_closure

_TYPES: Mapping[str, Any] = {"int": int, "float": float, "bool": bool, "str": str}


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a pipeline: its type's name ("int", "float", "bool", "str", else any JSON) and its default."""

    name: str
    type: str
    required: bool
    default: Any = None


class PipelineSpec(msgspec.Struct, frozen=True):
    """What others must know of a pipeline. `code` is the digest of all user code that it and its steps reach."""

    name: str
    target: str
    doc: str
    model: str | None
    parameters: list[Parameter]
    triggers: list[Trigger]
    retrain_cost: float | None
    code: str

    @property
    def waits_for(self) -> set[str]:
        """The sources whose new rows start a run."""
        return {trigger.source for trigger in self.triggers if isinstance(trigger, OnNewData)}


class Pipeline(Definition):
    """A function whose calls of steps are planned, run where the engine says, kept and taken up again."""

    kind: ClassVar[str] = "pipeline"

    def __init__(
        self, function: Callable[..., Any], model: str | None, triggers: Sequence[Trigger], name: str | None = None
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.model = model
        self.triggers = tuple(triggers)
        self.signature = inspect.signature(function)
        self.target = f"{function.__module__}:{function.__qualname__}"
        self.declare_at(function)
        self.bind(name or function.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function: inside another pipeline its steps become that run's, elsewhere they are plain calls."""
        session = current_session()
        if session is None:
            return self.function(*args, **kwargs)
        with session.part(self.name):
            return self.function(*args, **kwargs)

    def run(self, *, seed: int = 0, **parameters: Any) -> Any:
        """Run the pipeline here, in this process, recorded in the project's home, and return the finished run.

        Works in scripts and notebooks; `bucle run` does the same in child processes. Raises what its steps raise, coded,
        `pipelines/unknown-parameter`, `pipelines/no-connection`.
        """
        from bucle.pipelines.scripts import run_here

        return run_here(self, parameters, seed)

    def spec(self) -> PipelineSpec:
        """Return what others must know of this pipeline."""
        costs = [each.retrain_cost for each in self.triggers if isinstance(each, OnDegradation)]
        parameters = [_parameter(each) for each in self.signature.parameters.values()]
        doc, code = inspect.getdoc(self.function) or "", code_closure(self.function).digest
        return PipelineSpec(
            self.name, self.target, doc, self.model, parameters, list(self.triggers), min(costs, default=None), code
        )

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


@overload
def pipeline(function: Callable[..., Any], /) -> Pipeline: ...
@overload
def pipeline(
    *, name: str | None = None, model: str | None = None, triggers: Sequence[Trigger] = ()
) -> Callable[[Callable[..., Any]], Pipeline]: ...
def pipeline(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    model: str | None = None,
    triggers: Sequence[Trigger] = (),
) -> Pipeline | Callable[[Callable[..., Any]], Pipeline]:
    """Declare a function that calls steps as a pipeline.

    `model`: the name under which a finished run registers what the function returns, which must be `bucle.evaluate(...)`.
    `triggers`: what starts a run by itself. Source: Kreuzberger's C3; Google's level 1.
    """

    def declare(target: Callable[..., Any]) -> Pipeline:
        return Pipeline(target, model, triggers, name)

    return declare(function) if function is not None else declare


def bind_parameters(spec: PipelineSpec, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return all parameters of a run as plain values, texts from a command line read as the declared types.

    Raises `pipelines/unknown-parameter`, `pipelines/missing-argument`, `pipelines/bad-parameter`.
    """
    shape = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=inspect.Parameter.empty if each.required else None)
        for each in spec.parameters
    ]
    check_call(inspect.Signature(shape), f"The pipeline {spec.name}", 0, given, where)
    return {
        each.name: _read(spec.name, each, given[each.name]) if each.name in given else each.default for each in spec.parameters
    }


def _read(target: str, parameter: Parameter, value: Any) -> Any:
    wanted = _TYPES.get(parameter.type)
    if wanted is None or value is None or (wanted is str and isinstance(value, str)):
        return _read_json(value) if wanted is None else value
    try:
        return msgspec.convert(value, wanted, strict=False)
    except (msgspec.ValidationError, ValueError):
        raise BadParameter(name=parameter.name, target=target, wanted=parameter.type, given=repr(value)) from None


def _read_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value.encode())
    except msgspec.DecodeError:
        return value


def _parameter(parameter: inspect.Parameter) -> Parameter:
    annotation = parameter.annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "any")
    if annotation is parameter.empty and parameter.default is not parameter.empty:
        name = type(parameter.default).__name__
    required = parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    try:
        default = None if required else msgspec.to_builtins(parameter.default)
    except TypeError:
        default = None
    return Parameter(
        parameter.name, name if name in _TYPES else "any", required, None if default is parameter.empty else default
    )
