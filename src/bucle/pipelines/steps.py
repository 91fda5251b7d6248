"""Steps: plain typed functions that a pipeline calls."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar, overload

import msgspec

from bucle.ledger import parse_duration
from bucle.pipelines.orders import Options
from bucle.pipelines.sessions import current_session
from bucle.project import Definition


class StepSpec(msgspec.Struct, frozen=True):
    """What others must know of a step; seconds. `target` is `module:qualname`."""

    name: str
    target: str
    doc: str
    parameters: list[str]
    retries: int
    timeout: float | None
    cpu: int
    cache: bool


class Step(Definition):
    """A function that runs as a step of a pipeline; called outside of a pipeline it is just the function."""

    kind: ClassVar[str] = "step"

    def __init__(self, function: Callable[..., Any], options: Options, name: str | None = None) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.signature = inspect.signature(function)
        self.target = f"{function.__module__}:{function.__qualname__}"
        self.declare_at(function)
        self.bind(name or function.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Plan the step and return its handle at once; outside of a pipeline run the function and return its value."""
        session = current_session()
        return session.call(self, args, kwargs) if session else self.function(*args, **kwargs)

    def map(self, items: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        """Call the step once for each item, as its first argument, with the same other arguments.

        Inside a pipeline returns the handles in the order of the items (`.value` waits for all of them), outside a list of
        values. `items` may be the handle of a step that returns a list: then it is waited for.
        """
        from bucle.pipelines.handles import Handle, Mapped

        given = items.value if isinstance(items, Handle) else items
        results = [self(item, *args, **kwargs) for item in given]
        return Mapped(results) if current_session() else results

    def spec(self) -> StepSpec:
        """Return what others must know of this step."""
        options = self.options
        doc, parameters = inspect.getdoc(self.function) or "", [str(each) for each in self.signature.parameters.values()]
        return StepSpec(self.name, self.target, doc, parameters, options.retries, options.timeout, options.cpu, options.cache)

    def __repr__(self) -> str:
        return f"<step {self.name}>"


@overload
def step(function: Callable[..., Any], /) -> Step: ...
@overload
def step(
    *,
    name: str | None = None,
    retries: int = 0,
    backoff: str | float | timedelta = 1.0,
    timeout: str | float | timedelta | None = None,
    cpu: int = 1,
    cache: bool = True,
    env: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Step]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    backoff: str | float | timedelta = 1.0,
    timeout: str | float | timedelta | None = None,
    cpu: int = 1,
    cache: bool = True,
    env: Sequence[str] = (),
) -> Step | Callable[[Callable[..., Any]], Step]:
    """Declare a function as a step.

    `retries`: further attempts after a failure, the first after `backoff` (seconds or "10s"), each later one after twice as
    long. `timeout`: an attempt that takes longer is killed and counts as failed. `cpu`: how many cores an attempt occupies in
    the process engine. `cache=False`: for steps with effects, which must run each time. `env`: environment variables that the
    step reads; their values belong to its cache key. Raises `ledger/bad-duration`. Source: Kreuzberger's C3 and C5.
    """
    options = Options(
        retries=retries,
        backoff=_seconds(backoff),
        timeout=None if timeout is None else _seconds(timeout),
        cpu=max(1, cpu),
        cache=cache,
        env=tuple(env),
    )

    def declare(target: Callable[..., Any]) -> Step:
        return Step(target, options, name)

    return declare(function) if function is not None else declare


def built_in(target: Callable[..., Any], name: str, options: Options | None = None) -> Step:
    """Return a step of bucle itself, which no project declares."""
    return Step(target, options or Options(), name)


def _seconds(value: str | float | timedelta) -> float:
    return float(value) if isinstance(value, int | float) else parse_duration(value).total_seconds()
