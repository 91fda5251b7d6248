"""The coordinator of a run: answers its driver, gives out orders, commits results. The only part that writes the ledger."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.ledger import Ledger, content_id, new_id
from bucle.pipelines.caching import look_up, reasons
from bucle.pipelines.codecs import ValueRef, identity
from bucle.pipelines.engines import Engine
from bucle.pipelines.errors import RunCancelled, RunTakenOver, StepFailed, StepTimeout
from bucle.pipelines.executing import timed_out
from bucle.pipelines.journal import Journal
from bucle.pipelines.keys import KeyParts, differences, key_of
from bucle.pipelines.orders import Failure, Options, Result, WorkOrder
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
    Run,
    StepDone,
    StepOutput,
    Values,
)
from bucle.pipelines.runs import PipelineRun, StepState

_GRACE = 3.0
MOST_LOST = 3
"""How often a step is tried again whose worker died, beside its own retries."""


@dataclass(slots=True)
class Committed:
    """An output of a step of this run, with the key that it was made under."""

    key: str
    parts: KeyParts
    output: ValueRef


@dataclass(slots=True)
class Planned:
    """A step as it stands in this drive of the run."""

    id: str
    call: str
    plan: PlanStep | None = None
    state: StepState = "waiting"
    key: str = ""
    parts: KeyParts | None = None
    order: WorkOrder | None = None
    committed: Committed | None = None
    failure: Failure | None = None
    failed: int = 0
    lost: int = 0
    attempts: int = 0
    answered: bool = False
    """Whether the driver has been told of the failure, so that the pipeline could deal with it."""

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "skipped", "cancelled")


@dataclass(slots=True)
class Conclusion:
    """How the driver ended: what it returned, or why it could not."""

    finish: Finish | None = None
    outputs: dict[str, ValueRef] = field(default_factory=dict)
    failure: Failure | None = None


class Coordinator:
    """Holds one run. Thread-safe: its driver's questions and its workers' results come from different threads."""

    def __init__(
        self,
        ledger: Ledger,
        artifacts: ArtifactStore,
        run: PipelineRun,
        journal: Journal,
        engine_of: "Callable[[Coordinator], Engine]",
        production: Callable[[str], Production],
    ) -> None:
        self.run, self.journal = run, journal
        self.conclusion: Conclusion | None = None
        self._ledger, self._artifacts, self._production = ledger, artifacts, production
        self._steps: dict[str, Planned] = {}
        self._by_id: dict[str, Planned] = {}
        self._turn = threading.Condition(threading.RLock())
        self._cancelled = self._closed = False
        self._decode = msgspec.json.Decoder(Asked).decode
        self._engine = engine_of(self)
        self._inline = run.engine == "inline"
        for row, committed in journal.committed_steps():
            self._enter(Planned(row.id, row.call, committed=committed, attempts=row.attempts))

    def answer(self, message: bytes) -> bytes:
        """Answer one question of a driver."""
        asked = self._decode(message)
        refused = self._refusal(asked.epoch)
        return msgspec.json.encode(refused or self._answer(asked.question))

    def deliver(self, result: Result, *, lost: bool = False) -> None:
        """Take a worker's result; commit it unless its attempt has been ended before."""
        with self._turn:
            step = self._by_id.get(result.step)
            if step is None or step.order is None or step.order.attempt != result.attempt or step.state != "running":
                return
            retry = self._settle(step, result, lost=lost)
            if retry is not None:
                self._engine.submit(*retry)
            self._advance_waiting()
            self._turn.notify_all()

    def next_epoch(self, epoch: int) -> None:
        """A new driver takes over: what the old one was executing itself is lost, everything else goes on."""
        with self._turn:
            self.run = self.journal.taken_over(epoch)
            for step in self._steps.values():
                if step.state == "running" and step.order is not None and self._is_inline(step.order.options):
                    self.journal.attempt_ended(step, "lost", "its driver ended", retried=True)
                    step.state, step.lost = "waiting", step.lost + 1
            self._turn.notify_all()

    def overdue(self, now: float) -> bool:
        """Whether the driver executes an order that should have been interrupted by now (a call that no signal reaches)."""
        with self._turn:
            running = [step for step in self._steps.values() if step.state == "running" and step.order is not None]
            return any(self._is_overdue(step, now) for step in running)

    def _is_overdue(self, step: Planned, now: float) -> bool:
        options = step.order.options if step.order else Options()
        if options.timeout is None or not self._is_inline(options):
            return False
        return now > self.journal.started_at(step.id) + options.timeout + _GRACE

    def time_out(self) -> None:
        """End the attempts that the driver, which has been killed, could not interrupt; the next driver tries again."""
        with self._turn:
            for step in self._steps.values():
                order = step.order
                if step.state != "running" or order is None or not self._is_inline(order.options) or not order.options.timeout:
                    continue
                step.failed += 1
                again = step.failed <= order.options.retries
                failure = timed_out(order.options.timeout)
                self.journal.attempt_ended(step, "timeout", failure.reason, retried=again, failure=failure)
                step.state, step.failure = ("waiting", None) if again else ("failed", failure)

    def cancel(self) -> None:
        """Stop: refuse the driver, end the workers."""
        with self._turn:
            self._cancelled = True
            self._engine.cancel([step.id for step in self._steps.values() if step.state in ("running", "waiting")])
            self._turn.notify_all()

    @property
    def cancelled(self) -> bool:
        """Whether somebody cancelled the run."""
        return self._cancelled

    def close(self) -> None:
        """End what still runs, and whoever waits; attempts are marked when the run is, or by who takes it up."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        self._engine.close()

    def join(self, seconds: float) -> None:
        """Wait until no worker's result is on its way to the ledger any more."""
        self._engine.join(seconds)

    def outcome(self) -> tuple[int, int]:
        """Return how many steps this drive of the run has, and how many of them did not have to run."""
        with self._turn:
            own = [step for step in self._steps.values() if step.plan]
            return len(own), sum(step.attempts == 0 for step in own)

    def _answer(self, question: Question) -> Answer:
        match question:
            case PlanStep():
                return self._plan(question)
            case StepDone(result):
                return self._done(result)
            case Await(calls):
                return self._await(calls)
            case FindProduction(model):
                return self._production(model)
            case Finish():
                return self._finish(question)
            case Fail(code, reason, where, following):
                self.conclusion = Conclusion(failure=Failure(code, reason, where, following))
                return Accepted()
            case Heartbeat():
                self.journal.renew_lease()
                return Accepted()

    def _refusal(self, epoch: int) -> Refused | None:
        if self._stopped:
            return self._stop_answer()
        if epoch != self.run.epoch:
            return _refused(RunTakenOver(run=self.run.id, state="another driver has it"))
        return None

    @property
    def _stopped(self) -> bool:
        return self._cancelled or self._closed

    def _stop_answer(self) -> Refused:
        if self._cancelled:
            return _refused(RunCancelled(run=self.run.id))
        return _refused(RunTakenOver(run=self.run.id, state="the process that held it stops"))

    def _enter(self, step: Planned) -> Planned:
        self._steps[step.call] = self._by_id[step.id] = step
        return step

    def _plan(self, plan: PlanStep) -> Answer:
        with self._turn:
            step = self._steps.get(plan.call) or self._enter(Planned(new_id("step"), plan.call))
            if step.state in ("running", "failed") and step.plan == plan:
                return Queued(plan.call)
            if step.state == "running" and step.order is not None:
                self._engine.cancel([step.id])
                self.journal.attempt_ended(step, "cancelled", "the code changed", retried=True)
            step.plan, step.failure = plan, None
            step.state = "waiting"
            if self._inline and not plan.options.isolated:
                self._turn.wait_for(lambda: self._stopped or self._ready(step))
            return self._advance(step) if self._ready(step) and not self._stopped else self._queued(step)

    def _queued(self, step: Planned) -> Answer:
        self.journal.planned(step)
        return Queued(step.call)

    def _ready(self, step: Planned) -> bool:
        return all(self._input_state(each) != "pending" for each in (step.plan.inputs.values() if step.plan else ()))

    def _input_state(self, given: Input) -> str:
        if isinstance(given, GivenValue):
            return "there"
        maker = self._steps.get(given.call)
        if maker is None:
            return "missing"
        return "there" if maker.state == "done" else "missing" if maker.over else "pending"

    def _advance(self, step: Planned) -> Answer:
        """Take a step whose inputs are settled as far as it goes: skipped, done before, found in the cache, or given out."""
        plan = step.plan
        if plan is None or any(self._input_state(each) == "missing" for each in plan.inputs.values()):
            step.state = "skipped"
            self.journal.skipped(step)
            return Queued(step.call)
        inputs = {name: self._value(each) for name, each in plan.inputs.items()}
        variables = {name: os.environ[name] for name in plan.options.env if name in os.environ}
        digests = {name: content_id(variables[name].encode()) if name in variables else "unset" for name in plan.options.env}
        identities = {name: identity(ref) for name, ref in inputs.items()}
        step.parts = msgspec.structs.replace(plan.parts, inputs=identities, environment=digests)
        step.key = key_of(step.parts)
        before = step.committed
        if before is not None and before.key == step.key:
            step.state = "done"
            return Done(step.call, before.output, hit=True)
        miss = (
            ["this run had it from other code or data: " + "; ".join(differences(before.parts, step.parts))] if before else []
        )
        return self._from_cache(step, inputs) or self._give_out(step, plan, inputs, variables, miss)

    def _from_cache(self, step: Planned, inputs: dict[str, ValueRef]) -> Answer | None:
        if step.plan is None or step.parts is None or not step.plan.options.cache:
            return None
        with self._ledger.read() as reader:
            hit = look_up(reader, self._artifacts, self.run.scope, step.key, self.run.request.settings)
        if hit is None:
            return None
        self.journal.hit(step, hit, inputs)
        step.state, step.committed = "done", Committed(step.key, step.parts, hit.output)
        return Done(step.call, hit.output, hit=True)

    def _give_out(
        self, step: Planned, plan: PlanStep, inputs: dict[str, ValueRef], variables: dict[str, str], miss: list[str]
    ) -> Answer:
        parts, options = step.parts, plan.options
        if not miss and parts is not None:
            with self._ledger.read() as reader:
                miss = reasons(reader, self.run.scope, parts, step.key, self.run.request.settings)
            miss = miss if options.cache else ["the step is never taken from the cache"]
        order = WorkOrder(
            run=self.run.id,
            step=step.id,
            call=step.call,
            attempt=step.attempts + 1,
            target=plan.target,
            arguments=plan.arguments,
            inputs=inputs,
            seed=self.run.request.seed,
            as_of_us=self.run.request.as_of_us,
            options=options,
            settings=self.run.request.settings,
            variables=variables,
            runtime=self.run.request.runtime,
        )
        return self._start(step, order, miss)

    def _start(self, step: Planned, order: WorkOrder, miss: list[str] | None, delay: float = 0.0) -> Answer:
        step.order, step.attempts, step.state = order, order.attempt, "running"
        self.journal.attempt_started(step, order, miss, elsewhere=not self._is_inline(order.options))
        if self._is_inline(order.options):
            return Run(order, delay)
        self._engine.submit(order, delay)
        return Queued(step.call)

    def _is_inline(self, options: Options) -> bool:
        return self._inline and not options.isolated

    def _done(self, result: Result) -> Answer:
        with self._turn:
            step = self._by_id.get(result.step)
            current = step is not None and step.state == "running" and step.order is not None
            if step is None or not current or step.order is None or step.order.attempt != result.attempt:
                return _refused(RunTakenOver(run=self.run.id, state="this attempt was given up"))
            retry = self._settle(step, result, lost=False)
            self._advance_waiting()
            self._turn.notify_all()
            if retry is not None:
                return Run(*retry)
            committed = step.committed
            return Done(step.call, committed.output, hit=False) if step.state == "done" and committed else Queued(step.call)

    def _settle(self, step: Planned, result: Result, *, lost: bool) -> tuple[WorkOrder, float] | None:
        """Commit a result, or decide what becomes of a failure; return the order and delay of a further attempt."""
        if result.output is not None and step.order is not None and step.parts is not None:
            self.journal.commit(step, step.order, result)
            step.committed = Committed(step.key, step.parts, result.output)
            step.state = "done"
            return None
        failure = result.failure or Failure(StepFailed.code, "it gave neither output nor reason", None, "")
        timed_out = failure.code == StepTimeout.code
        return self._failed(step, failure, "lost" if lost else "timeout" if timed_out else "failed", result)

    def _failed(
        self, step: Planned, failure: Failure, state: str, result: Result | None = None
    ) -> tuple[WorkOrder, float] | None:
        order = step.order
        if order is None:
            return None
        step.lost, step.failed = step.lost + (state == "lost"), step.failed + (state != "lost")
        options = order.options
        again = step.lost <= MOST_LOST if state == "lost" else failure.retry and step.failed <= options.retries
        again = again and not self._cancelled
        self.journal.attempt_ended(step, state, failure.reason, retried=again, failure=failure, result=result)
        if not again:
            step.state, step.failure = "failed", failure
            return None
        delay = 0.0 if state == "lost" else options.backoff * 2 ** (step.failed - 1)
        following = msgspec.structs.replace(order, attempt=order.attempt + 1)
        step.order, step.attempts = following, following.attempt
        self.journal.attempt_started(step, following, None, elsewhere=not self._is_inline(options))
        return following, delay

    def _advance_waiting(self) -> None:
        """Give out what became ready; in a drive without workers the driver itself comes for its steps."""
        progressed = True
        while progressed and not self._stopped:
            progressed = False
            for step in list(self._steps.values()):
                if step.state == "waiting" and step.plan and self._ready(step) and not self._is_inline(step.plan.options):
                    self._advance(step)
                    progressed = True

    def _await(self, calls: tuple[str, ...]) -> Answer:
        with self._turn:
            steps = [self._steps[call] for call in calls]
            self._turn.wait_for(lambda: self._stopped or all(step.over for step in steps) or any(_bad(step) for step in steps))
            if self._stopped:
                return self._stop_answer()
            bad = next((step for step in steps if _bad(step)), None)
            if bad is not None:
                return self._failure_of(bad)
            return Values(tuple(step.committed.output for step in steps if step.committed))

    def _failure_of(self, step: Planned) -> Refused:
        step.answered = True
        culprit = self._culprit(step)
        culprit.answered = True
        failure = culprit.failure or Failure(StepFailed.code, "it was skipped", None, "")
        text = f"The step {culprit.call} failed: {failure.reason}"
        return Refused(failure.code, text, failure.where, failure.next or "`bucle resume` tries again.", 422)

    def _culprit(self, step: Planned) -> Planned:
        """The failed step that a skipped one waited for."""
        while step.state == "skipped" and step.plan is not None:
            needs = [self._steps.get(getattr(each, "call", "")) for each in step.plan.inputs.values()]
            found = next((each for each in needs if each and _bad(each)), None)
            if found is None:
                break
            step = found
        return step

    def _finish(self, finish: Finish) -> Answer:
        with self._turn:
            self._turn.wait_for(lambda: self._stopped or not any(self._busy(step) for step in self._steps.values()))
            if self._stopped:
                return self._stop_answer()
            inputs = [self._steps.get(getattr(each, "call", "")) for each in finish.inputs.values()]
            needed = [each for each in inputs if each and _bad(each)]
            silent = [each for each in self._steps.values() if each.plan and each.state == "failed" and not each.answered]
            if bad := next(iter(needed or silent), None):
                return self._failure_of(bad)
            outputs = {call: step.committed.output for call, step in self._steps.items() if step.plan and step.committed}
            self.conclusion = Conclusion(finish, outputs)
            return Accepted()

    def _busy(self, step: Planned) -> bool:
        return step.plan is not None and (step.state == "running" or (step.state == "waiting" and self._ready(step)))

    def _value(self, given: Input) -> ValueRef:
        if isinstance(given, GivenValue):
            return given.value
        committed = self._steps[given.call].committed
        if committed is None:
            raise RuntimeError(f"{given.call} has no output")
        return committed.output if given.item is None else committed.output.parts[given.item]

    def output_of(self, call: str) -> ValueRef:
        """Return the output of a committed step."""
        return self._value(StepOutput(call))

    def resolve(self, finish: Finish) -> dict[str, ValueRef]:
        """Return the values that the pipeline's own output is made of."""
        return {name: self._value(each) for name, each in finish.inputs.items()}


def _bad(step: Planned) -> bool:
    return step.state in ("failed", "skipped", "cancelled")


def _refused(error: Any) -> Refused:
    return Refused(error.code, error.text, error.where, error.next_step, error.status)
