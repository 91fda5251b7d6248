"""A driver's session: turns the calls of a pipeline function into plans, and handles into values."""

import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.errors import RemoteError
from bucle.ledger import content_id
from bucle.pipelines.codecs import FORMAT, NotPlain, ValueRef, decode_value, encode_tree, encode_value, is_heavy, tree_bytes
from bucle.pipelines.errors import HandleMisuse, UnsupportedValue
from bucle.pipelines.handles import Handle, Mapped, arity_of
from bucle.pipelines.keys import Argument, KeyParts
from bucle.pipelines.lint import bind_arguments
from bucle.pipelines.protocol import (
    Accepted,
    Answer,
    Asked,
    Await,
    Done,
    Fail,
    FindProduction,
    Finish,
    GivenValue,
    Heartbeat,
    Input,
    PlanStep,
    Production,
    Question,
    Queued,
    Refused,
    Registration,
    Run,
    StepDone,
    StepOutput,
    Values,
)
from bucle.pipelines.reached import file_digest, names_file, reached_by
from bucle.project import declared_here

if TYPE_CHECKING:
    from bucle.pipelines.executing import Workplace
    from bucle.pipelines.steps import Step

_SHOWN = 80
_ID = re.compile(r"(blake3:[0-9a-f]{8})[0-9a-f]+")


_FATAL = ("pipelines/run-cancelled", "pipelines/run-taken-over")


class Stopped(BaseException):
    """The run is no longer this driver's; not an `Exception`, so that a pipeline's own handlers let it pass."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.text)
        self.refused = refused


class Session:
    """One drive of one pipeline.

    `post` takes a question's bytes to the holder of the ledger and returns what waits for its answer.
    """

    def __init__(
        self, post: Callable[[bytes], Callable[[], bytes]], place: "Workplace", epoch: int, seed: int, snapshot: object = None
    ) -> None:
        self.place, self.seed, self.snapshot = place, seed, snapshot
        self._post, self._epoch = post, epoch
        self._commit: tuple[str, StepDone, Callable[[], bytes]] | None = None
        self._counts: dict[str, int] = {}
        self._prefix: list[str] = []
        self._outputs: dict[str, ValueRef] = {}
        self._values: dict[tuple[str, int | None], object] = {}
        self._plans: dict[str, PlanStep] = {}
        self.evaluations: dict[str, tuple[Any, Any, tuple[str, ...]]] = {}
        self.returned: object = None
        self._decode = msgspec.json.Decoder(Answer).decode

    def call(
        self, step: "Step", args: tuple[Any, ...], kwargs: Mapping[str, Any], code: Mapping[str, str] | None = None
    ) -> Handle:
        """Plan a step (and run it, if the answer says so) and return its handle; `code` is more of what it depends on."""
        where = ":".join(map(str, declared_here()))
        arguments = bind_arguments(step, args, kwargs, where)
        call = self._next_call(step.name)
        plan = self._plan(step, call, arguments, where, code or {})
        self._plans[call] = plan
        self._settle(call, self.ask(plan, Done | Run | Queued))
        return Handle(self, call, arity_of(step.function))

    def evaluate(self, model: Any, frame: Any, slices: Sequence[str]) -> Handle:
        """Plan the evaluation of a model."""
        from bucle.pipelines.evaluation import plan_evaluation

        return plan_evaluation(self, model, frame, slices)

    def value(self, handle: Handle) -> Any:
        """Wait for a handle's value."""
        key = (handle.call, handle.item)
        if key not in self._values:
            ref = self.outputs([handle.call])[0]
            if handle.item is not None:
                ref = ref.parts[handle.item]
            self._values[key] = decode_value(ref, self.place.store, self.place.scratch)
        return self._values[key]

    def outputs(self, calls: Iterable[str]) -> list[ValueRef]:
        """Wait for the outputs of calls."""
        calls = list(calls)
        self._settle_commit()
        missing = tuple(call for call in dict.fromkeys(calls) if call not in self._outputs)
        if missing:
            values: Values = self.ask(Await(missing), Values)
            self._outputs.update(zip(missing, values.outputs, strict=True))
        return [self._outputs[call] for call in calls]

    def finish(self, output: object, registration: Registration | None) -> None:
        """Say what the pipeline returned; the answer comes when everything is committed."""
        gathered = _Gathered({}, {}, {}, {})
        tree = self._tree(output, "output", gathered, _Place("What it returned", "the pipeline", None))
        self.ask(Finish(tree_bytes(tree).decode(), gathered.inputs, registration), Accepted)
        self.returned = _resolved(output)

    def fail(self, failure: Fail) -> None:
        """Say that the pipeline function raised an error."""
        self.ask(failure, Accepted)

    def beat(self) -> None:
        """Say that this driver is still there; any thread may, whatever is asked meanwhile."""
        self._answer(self._post(self._asked(Heartbeat())), Heartbeat(), Accepted)

    def production(self, model: str) -> Production:
        """Ask which version of a model answers now."""
        production: Production = self.ask(FindProduction(model), Production)
        return production

    def ask(self, question: Question, wanted: Any) -> Any:
        """Ask the holder of the ledger. Raises what a failed step left, as a `RemoteError`."""
        self._settle_commit()
        return self._answer(self._post(self._asked(question)), question, wanted)

    def _asked(self, question: Question) -> bytes:
        return msgspec.json.encode(Asked(self._epoch, question))

    def _answer(self, take: Callable[[], bytes], question: Question, wanted: Any) -> Any:
        answer = self._decode(take())
        if isinstance(answer, Refused):
            if answer.code in _FATAL:
                raise Stopped(answer)
            raise RemoteError(answer.code, answer.text, answer.where, answer.next, answer.status)
        if not isinstance(answer, wanted):
            raise TypeError(f"{type(question).__name__} was answered with {type(answer).__name__}")
        return answer

    def given_to(self, value: object) -> list[Handle]:
        """Return the handles that the step behind a handle was given."""
        plan = self._plans.get(value.call) if isinstance(value, Handle) else None
        inputs = plan.inputs.values() if plan else ()
        return [Handle(self, each.call, None, each.item) for each in inputs if isinstance(each, StepOutput)]

    def code_of(self, value: object) -> dict[str, str]:
        """Return the code of the step behind a handle: what it made may carry classes whose code counts wherever it goes."""
        plan = self._plans.get(value.call) if isinstance(value, Handle) else None
        return dict(plan.parts.code) if plan else {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Let the calls within belong to a pipeline that this one calls."""
        self._prefix.append(self._next_call(name))
        try:
            yield
        finally:
            self._prefix.pop()

    def _settle(self, call: str, answer: Any) -> None:
        while isinstance(answer, Run):
            done = StepDone(self.place.execute_after(answer.order, answer.delay))
            if done.result.output is not None:
                self._commit = call, done, self._post(self._asked(done))
                return
            answer = self.ask(done, Done | Run | Queued)
        if isinstance(answer, Done):
            self._outputs[call] = answer.output

    def _settle_commit(self) -> None:
        """Wait for the commit of the last output: it is made while the pipeline goes on to its next question."""
        if self._commit is not None:
            (call, done, take), self._commit = self._commit, None
            self._settle(call, self._answer(take, done, Done | Run | Queued))

    def _next_call(self, name: str) -> str:
        path = "/".join([*self._prefix, name])
        self._counts[path] = self._counts.get(path, 0) + 1
        return f"{path}#{self._counts[path]}"

    def _plan(self, step: "Step", call: str, arguments: Mapping[str, Any], where: str, code: Mapping[str, str]) -> PlanStep:
        gathered = _Gathered.of(step.function)
        gathered.code.update(code)
        trees = {
            name: self._tree(value, name, gathered, _Place(f"The argument {name!r}", step.name, where))
            for name, value in arguments.items()
        }
        parts = KeyParts(
            step=step.name,
            code=gathered.code,
            parameters={name: _argument(tree, arguments[name]) for name, tree in trees.items() if not _is_input(tree)},
            packages=gathered.packages,
            python=".".join(platform.python_version_tuple()[:2]),
            seed=self.seed,
            format=FORMAT,
            files=gathered.files,
        )
        return PlanStep(call, step.target, tree_bytes(trees).decode(), gathered.inputs, parts, step.options, where)

    def _tree(self, value: object, name: str, gathered: "_Gathered", at: "_Place") -> Any:
        def put(item: object) -> Any:
            if isinstance(item, Handle):
                if item._session is not self:
                    raise HandleMisuse(use="Another run made", name=item.call, where=at.where)
                return gathered.enter(name, StepOutput(item.call, item.item))
            if isinstance(item, Mapped):
                return encode_tree(list(item), put)
            if isinstance(item, str | Path):
                gathered.name_file(item)
                return None
            if is_heavy(item):
                return gathered.enter(name, GivenValue(encode_value(item, self.place.store)))
            gathered.reach(item)
            return None

        try:
            return encode_tree(value, put)
        except NotPlain as error:
            raise UnsupportedValue(role=at.role, step=at.step, type=str(error), where=at.where) from None


@dataclass(frozen=True, slots=True)
class _Place:
    """What is being encoded, for an error message."""

    role: str
    step: str
    where: str | None


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What the arguments of one call bring along: inputs by name, and more of what the result depends on."""

    code: dict[str, str]
    packages: dict[str, str]
    files: dict[str, str]
    inputs: dict[str, Input]

    @classmethod
    def of(cls, function: object) -> "_Gathered":
        reached = reached_by(function)
        return cls(dict(reached.code), dict(reached.packages), {path: file_digest(path) for path in reached.files}, {})

    def enter(self, name: str, given: Input) -> dict[str, str]:
        key = name if name not in self.inputs else f"{name}.{len(self.inputs)}"
        self.inputs[key] = given
        return {"$": "input", "n": key}

    def name_file(self, item: str | Path) -> None:
        if path := names_file(item):
            self.files[path] = file_digest(path)

    def reach(self, item: object) -> None:
        """Code that travels as an argument counts like code that is called: functions, classes, the class of an object."""
        kind = item if isinstance(item, type | FunctionType) else type(item)
        if kind.__module__ != "builtins":
            reached = reached_by(kind)
            self.code.update(reached.code)
            self.packages.update(reached.packages)


_session: ContextVar[Session | None] = ContextVar("bucle_session", default=None)


def current_session() -> Session | None:
    """Return the session of the pipeline that is being driven here, or None."""
    return _session.get()


@contextmanager
def session_of(session: Session | None) -> Iterator[None]:
    """Drive `session` within; None hides it, so that steps called by a step's own code are plain functions."""
    token = _session.set(session)
    try:
        yield
    finally:
        _session.reset(token)


def _resolved(output: Any) -> Any:
    """Return what a pipeline returned with values where it has handles."""
    if isinstance(output, Handle):
        return output.value
    if isinstance(output, list):
        return [_resolved(item) for item in output]
    if type(output) is tuple:
        return tuple(_resolved(item) for item in output)
    return {key: _resolved(item) for key, item in output.items()} if isinstance(output, dict) else output


def _argument(tree: object, value: object) -> Argument:
    shown = _ID.sub(r"\1…", repr(value))
    return Argument(content_id(tree_bytes(tree)), shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…")


def _is_input(tree: object) -> bool:
    return isinstance(tree, dict) and tree.get("$") == "input"
