"""What a driver and the process that holds the ledger say to each other: JSON, one question, one answer.

A driver runs the pipeline function. It plans steps, waits for values, reports what it ran itself (engine `inline`) and says
when it is done. It never touches the ledger; the answers come from the run's `Coordinator`.
"""

import msgspec

from bucle.pipelines.codecs import ValueRef
from bucle.pipelines.keys import KeyParts
from bucle.pipelines.orders import Options, Result, WorkOrder


class StepOutput(msgspec.Struct, frozen=True, tag="step"):
    """An input that is the output of a step of this run, or one item of it."""

    call: str
    item: int | None = None


class GivenValue(msgspec.Struct, frozen=True, tag="value"):
    """An input that the pipeline function made itself and stored."""

    value: ValueRef


Input = StepOutput | GivenValue


class PlanStep(msgspec.Struct, frozen=True, tag="plan"):
    """A step was called: `call` is its place in the run (`fit#2`), `arguments` the tree of its arguments as JSON text."""

    call: str
    target: str
    arguments: str
    inputs: dict[str, Input]
    parts: KeyParts
    options: Options
    where: str


class Await(msgspec.Struct, frozen=True, tag="await"):
    """The pipeline needs the values of these calls now."""

    calls: tuple[str, ...]


class StepDone(msgspec.Struct, frozen=True, tag="done"):
    """The driver has executed an order itself."""

    result: Result


class FindProduction(msgspec.Struct, frozen=True, tag="production"):
    """Which version of this model answers now? Its package is what a new version is compared with."""

    model: str


class Registration(msgspec.Struct, frozen=True):
    """The model that a pipeline makes, and the call whose output names what its version is made of."""

    model: str
    gates: str


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """The pipeline function has returned; `output` is the tree of what it returned, its inputs as in `PlanStep`."""

    output: str
    inputs: dict[str, Input]
    registration: Registration | None = None


class Fail(msgspec.Struct, frozen=True, tag="fail"):
    """The pipeline function raised an error (drivers in a process of their own tell it by their end)."""

    code: str
    reason: str
    where: str | None
    next: str


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """A driver that is nobody's child is still there."""


Question = PlanStep | Await | StepDone | FindProduction | Finish | Fail | Heartbeat


class Asked(msgspec.Struct, frozen=True):
    """A question with the epoch of its driver, which fences drivers that were replaced."""

    epoch: int
    question: Question


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The step's output is committed (by this run, or taken from the cache)."""

    call: str
    output: ValueRef
    hit: bool


class Run(msgspec.Struct, frozen=True, tag="run"):
    """The driver is to execute the order itself, after `delay` seconds."""

    order: WorkOrder
    delay: float = 0.0


class Queued(msgspec.Struct, frozen=True, tag="queued"):
    """The step runs elsewhere, or waits for its inputs."""

    call: str


class Values(msgspec.Struct, frozen=True, tag="values"):
    """The outputs that were awaited, in the order of the calls."""

    outputs: tuple[ValueRef, ...]


class Production(msgspec.Struct, frozen=True, tag="production"):
    """The version that answers now and its package, or nothing."""

    version: str | None
    package: str | None


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    """Taken note of."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The run cannot go on: a step failed, it was cancelled, or another driver has taken over."""

    code: str
    text: str
    where: str | None
    next: str
    status: int = 400


Answer = Done | Run | Queued | Values | Production | Accepted | Refused
