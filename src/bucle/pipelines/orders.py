"""A work order, and what a worker does with it: all that runs where a step runs; it knows neither engine nor ledger."""

import msgspec

from bucle.pipelines.codecs import ValueRef
from bucle.pipelines.reads import Read
from bucle.tracking import RunLog


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a step is to be run; seconds. `isolated` asks for a fresh process, `env` names environment variables."""

    retries: int = 0
    backoff: float = 1.0
    timeout: float | None = None
    cpu: int = 1
    memory: int | None = None
    cache: bool = True
    isolated: bool = False
    env: tuple[str, ...] = ()


class WorkOrder(msgspec.Struct, frozen=True):
    """One attempt at a step. `target` is `module:qualname`; `inputs` stand where the arguments name them."""

    run: str
    step: str
    call: str
    attempt: int
    target: str
    arguments: str
    inputs: dict[str, ValueRef]
    seed: int
    as_of_us: int
    options: Options
    settings: dict[str, object] = {}
    variables: dict[str, str] = {}
    code: str = ""
    runtime: str = ""


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt has no output; `where` is the line of the user's code."""

    code: str
    reason: str
    where: str | None
    next: str
    retry: bool = True


class Usage(msgspec.Struct, frozen=True):
    """Who ran the attempt and what it took: seconds of wall and CPU time, peak memory in MB."""

    pid: int
    node: str
    seconds: float
    cpu_seconds: float
    peak_mb: float


class Result(msgspec.Struct, frozen=True):
    """What an attempt leaves: an output or a failure, what the code logged, and what it read beside its inputs."""

    step: str
    attempt: int
    usage: Usage
    output: ValueRef | None = None
    failure: Failure | None = None
    log: RunLog = msgspec.field(default_factory=RunLog)
    reads: tuple[Read, ...] = ()
