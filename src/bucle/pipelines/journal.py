"""What a run leaves in the ledger: each change of state with its event, tracking record, lineage and artifacts, together."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.artifacts import refer
from bucle.ledger import Ledger, Transaction, acting, because, within
from bucle.pipelines import caching, store
from bucle.pipelines.codecs import ValueRef, contents
from bucle.pipelines.events import AttemptFailed, StepFinished, StepStarted
from bucle.pipelines.orders import Failure, Result, WorkOrder
from bucle.pipelines.runs import PipelineRun, StepRun, as_run, as_step
from bucle.tracking import Purpose, RunStart, begin_run, finish_run, record

if TYPE_CHECKING:
    from bucle.pipelines.caching import Hit
    from bucle.pipelines.coordinator import Committed, Planned

LEASE_US = 60_000_000
"""A run that its holder has not renewed for so long is nobody's; the holder renews three times as often."""

_PURPOSES: dict[str, Purpose] = {
    "split": "preparation",
    "evaluate": "evaluation",
    "evaluate_production": "evaluation",
    "package": "registration",
    "loadable": "registration",
    "gates": "registration",
}
_MODEL_CODECS = {"estimator"}


class Journal:
    """The ledger's side of one run. Called under the coordinator's lock."""

    def __init__(self, ledger: Ledger, run: PipelineRun, log_of: Callable[[WorkOrder], Path]) -> None:
        self._ledger, self._run, self._log_of = ledger, run, log_of
        self._started: dict[str, float] = {}

    def committed_steps(self) -> Iterator[tuple[StepRun, "Committed | None"]]:
        """Return the steps that earlier drives of this run left, with their outputs."""
        from bucle.pipelines.coordinator import Committed
        from bucle.pipelines.keys import KeyParts

        with self._ledger.read() as reader:
            rows = reader.rows(store.SELECT_STEPS, (self._run.id,))
        for row in rows:
            step = as_step(row)
            parts = msgspec.json.decode(row["parts"], type=KeyParts) if row["parts"] else None
            whole = step.output is not None and parts is not None and row["state"] == "done"
            yield step, Committed(row["key"], parts, step.output) if whole and parts and step.output else None

    def taken_over(self, epoch: int) -> PipelineRun:
        """Note that another driver drives the run, and return the run."""
        with self._ledger.read() as reader:
            row = store.one(reader, store.SELECT_RUN, self._run.id)
        if row is not None:
            self._run = as_run(row)
        return self._run

    def renew_lease(self) -> None:
        """Say that the run still has a holder."""
        with self._ledger.write() as tx:
            tx.execute(store.LEASE_RUN, (now_us() + LEASE_US, self._run.id, self._run.epoch))

    def planned(self, step: "Planned") -> None:
        """Enter a step that waits."""
        with self.writing() as tx:
            self._plan(tx, step)

    def finished_event(self, call: str) -> int | None:
        """Return the seq of the event that committed a step."""
        with self._ledger.read() as reader:
            return store.number(reader, "SELECT event FROM step WHERE run = ? AND call = ?", self._run.id, call) or None

    def skipped(self, step: "Planned") -> None:
        """Enter a step that cannot run, since one before it has failed."""
        with self.writing() as tx:
            self._plan(tx, step)
            tx.execute(store.FAIL_STEP, ("skipped", None, now_us(), None, step.id))

    def hit(self, step: "Planned", hit: "Hit", inputs: dict[str, ValueRef]) -> None:
        """Commit a step from the cache."""
        run, moment = self._run, now_us()
        with self.writing() as tx:
            self._plan(tx, step)
            made, used = contents(hit.output), _artifacts(inputs.values())
            event = StepFinished(
                run.id, _name(step), step.call, 0, True, [], run.request.runtime, "", 0, 0.0, 0.0, 0.0, used, made
            )
            seq = tx.emit(event, step.id)
            tx.execute(
                store.COMMIT_STEP,
                (step.key, _json(step.parts), _json(hit.output), hit.step, None, moment, moment, seq, step.id),
            )
            _usage(tx, run.id, used, made, hit.output, step, seq, hit=True)

    def attempt_started(self, step: "Planned", order: WorkOrder, miss: list[str] | None, *, elsewhere: bool) -> None:
        """Enter an attempt before anybody works on it; `miss` comes with the first, `elsewhere` if a worker gets it."""
        moment = now_us()
        self._started[step.id] = time.monotonic()
        with self.writing() as tx:
            if miss is None:
                tx.execute(store.COUNT_ATTEMPT, (order.attempt, step.id))
            else:
                key, plan, why = (step.key, _json(step.parts)), _json(step.plan), _json(miss)
                store.start_step(tx, step.id, self._run.id, step.call, plan, key, why, order.attempt, moment)
            log = str(self._log_of(order))
            tx.execute(store.INSERT_ATTEMPT, (step.id, order.attempt, self._run.epoch, moment + LEASE_US, moment, log))
            if elsewhere:
                inputs = _artifacts(order.inputs.values())
                tx.emit(StepStarted(self._run.id, _name(step), step.call, order.attempt, inputs), step.id)

    def started_at(self, step: str) -> float:
        """When the running attempt of a step began, on `time.monotonic`."""
        return self._started.get(step, time.monotonic())

    def attempt_ended(
        self,
        step: "Planned",
        state: str,
        reason: str,
        *,
        retried: bool,
        failure: Failure | None = None,
        result: Result | None = None,
    ) -> None:
        """End an attempt without a result."""
        order, usage = step.order, result.usage if result else None
        if order is None:
            return
        with self.writing() as tx:
            ended = store.end_attempt(
                tx, step.id, order.attempt, state, now_us(), usage.pid if usage else None, usage.node if usage else None, reason
            )
            if not ended:
                return
            log = str(self._log_of(order))
            where = failure.where if failure else None
            event = AttemptFailed(self._run.id, _name(step), step.call, order.attempt, state, reason, where, log, retried)
            seq = tx.emit(event, step.id)
            if not retried:
                tx.execute(store.FAIL_STEP, ("failed", _json(failure) if failure else None, now_us(), seq, step.id))

    def commit(self, step: "Planned", order: WorkOrder, result: Result) -> None:
        """Commit an output: attempt, step, cache, tracking, lineage and event in one transaction; once."""
        run, usage, output, parts = self._run, result.usage, result.output, step.parts
        if output is None or parts is None:
            raise RuntimeError("a result without output cannot be committed")
        ended = now_us()
        began = ended - int(usage.seconds * 1e6)
        with self.writing() as tx:
            if not store.end_attempt(tx, step.id, order.attempt, "done", ended, usage.pid, usage.node):
                return
            made, used = contents(output), _artifacts(order.inputs.values())
            miss, seen = self._miss(tx, step.id), [read.name for read in result.reads if read.kind != "unseen"]
            event = StepFinished(
                run.id, _name(step), step.call, order.attempt, False, miss, run.request.runtime, usage.node, usage.pid,
                usage.seconds, usage.cpu_seconds, usage.peak_mb, used, made, seen,
            )  # fmt: skip
            seq = tx.emit(event, step.id)
            if result.reads or parts.files:
                store.insert_reads(tx, run.scope, step.id, result.reads, parts.files, run.request.root, seq)
            with because(seq):
                tracked = self._track(tx, step, order, result, began, ended)
            tx.execute(
                store.COMMIT_STEP,
                (step.key, _json(parts), _json(output), None, tracked, began, ended, seq, step.id),
            )
            if order.options.cache:
                read = caching.settings_read(result.log, order.settings)
                name = (parts.step, step.id, run.id)
                caching.keep(tx, run.scope, step.key, parts, name, output, read, ended)
            if tracked is None:
                tracked = step.id
                tx.node(step.id, "execution", "step", step.call, seq)
                tx.edge(run.id, step.id, "parent", seq)
                for artifact in used:
                    tx.edge(artifact, step.id, "input", seq)
                _outputs(tx, step.id, output)
            _usage(tx, tracked, used, made, output, step, seq, hit=False)

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """Open a transaction in the run's name: its actor, its scope, because of its start."""
        run = self._run
        with acting(run.actor, run.role), within(run.scope), because(run.event), self._ledger.write() as tx:
            yield tx

    def _plan(self, tx: Transaction, step: "Planned") -> None:
        if step.plan is not None:
            plan = msgspec.json.encode(step.plan).decode()
            store.write_step(
                tx, step.id, self._run.id, step.call, "waiting" if step.order is None else "running", plan, now_us()
            )

    def _miss(self, tx: Transaction, step: str) -> list[str]:
        found = store.text(tx, "SELECT miss FROM step WHERE id = ?", step)
        return msgspec.json.decode(found, type=list[str]) if found else []

    def _track(self, tx: Transaction, step: "Planned", order: WorkOrder, result: Result, began: int, ended: int) -> str | None:
        """Make a record of its own for a step that logged something, made a model, or is one of bucle's."""
        run, request = self._run, self._run.request
        model = result.output is not None and any(ref.codec in _MODEL_CODECS for ref in _all(result.output))
        name = step.parts.step if step.parts else step.call
        built_in = order.target.startswith("bucle.")
        if not (model or built_in or result.log):
            return None
        start = RunStart(
            name=step.call,
            kind="step",
            experiment=run.pipeline,
            purpose=_PURPOSES.get(name, "") if built_in else "training" if model else "",
            parent=run.id,
            commit=request.commit,
            dirty=request.dirty,
            lock=request.lock,
            as_of_us=request.as_of_us,
            params={} if built_in else _shown(step),
            inputs=tuple(_artifacts(order.inputs.values())),
            seed=request.seed,
            engine=run.engine,
            started_us=began,
        )
        tracked = begin_run(tx, start)
        record(tx, tracked, result.log)
        _outputs(tx, tracked, result.output)
        finish_run(tx, tracked, "succeeded", ended_us=ended)
        return tracked


def _usage(
    tx: Transaction, execution: str, used: list[str], made: list[str], output: ValueRef, step: "Planned", seq: int, *, hit: bool
) -> None:
    """Enter who used and made which artifact (K-C3); what a hit gave counts as used by the run."""
    for artifact in made:
        tx.node(artifact, "artifact", "step_output", f"{step.call}: {output.type}"[:200], seq)
        refer(tx, artifact, step.id, "output")
        if hit:
            tx.edge(artifact, execution, f"cached:{step.call}", seq)


def _outputs(tx: Transaction, execution: str, output: ValueRef | None) -> None:
    """Enter outputs before the run is finished, which looks for the metrics of those who used them."""
    for artifact in contents(output) if output else ():
        tx.node(artifact, "artifact", "step_output", output.type[:200] if output else "")
        tx.edge(execution, artifact, "output")


def _artifacts(refs: Iterable[ValueRef]) -> list[str]:
    return list(dict.fromkeys(id for ref in refs for id in contents(ref)))


def _all(ref: ValueRef) -> Iterator[ValueRef]:
    yield ref
    for part in ref.parts:
        yield from _all(part)


def _shown(step: "Planned") -> dict[str, Any]:
    """The parameters as tracking shows them: plain values as they are, others as they are written."""
    tree = msgspec.json.decode(step.plan.arguments) if step.plan else {}
    shown = step.parts.parameters if step.parts else {}
    return {name: tree[name] if _scalar(tree.get(name)) else argument.shown for name, argument in shown.items()}


def _scalar(value: object) -> bool:
    return value is not None and isinstance(value, str | int | float | bool) and len(str(value)) < 500


def _name(step: "Planned") -> str:
    return step.call.rpartition("#")[0].rpartition("/")[2]


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def now_us() -> int:
    """Database time in microseconds."""
    return time.time_ns() // 1000
