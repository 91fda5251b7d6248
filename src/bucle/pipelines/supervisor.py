"""The runs of a house: a thread for each active one, which keeps a driver going until the run has ended."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Home, Scope, acting, because, within
from bucle.pipelines import concluding, store
from bucle.pipelines.coordinator import Coordinator
from bucle.pipelines.declared import PipelineSpec
from bucle.pipelines.driver import Driven, DriveOrder
from bucle.pipelines.engines import ProcessEngine, WorkerSlots
from bucle.pipelines.errors import DriverSilent, PipelineFailed, RunCancelled, RunNotResumable, RunTakenOver
from bucle.pipelines.events import RunResumed
from bucle.pipelines.journal import LEASE_US, Journal, now_us
from bucle.pipelines.launching import Firing, configuration_of, enter, prepare
from bucle.pipelines.orders import Failure, WorkOrder
from bucle.pipelines.protocol import Production
from bucle.pipelines.runs import PipelineRun, RunRequest, as_run, get_pipeline_run
from bucle.project import LOCK_NAME, Checkout, ProjectDescription, working_tree
from bucle.registry import production_version
from bucle.runtimes import Code, ProjectCodeFailed, Runner, RunnerDied, RunnerPool, current_runtime, load_code
from bucle.tracking import reopen_run

DRIVER = "bucle.pipelines.driver:drive_in_child"
NOTHING = ProjectDescription("", [], "")
_MOST_RESTARTS = 3
_CLOSE_SECONDS = 5.0
_WATCH_SECONDS = 0.5
_RENEW_SECONDS = 20.0


@dataclass(slots=True)
class _Active:
    """A run that this process holds. `runner` is the driver's child, None while there is none or for a script's run."""

    coordinator: Coordinator
    code: Code
    done: threading.Event = field(default_factory=threading.Event)
    runner: Runner | None = None
    timed_out: bool = False
    renewed: float = field(default_factory=time.monotonic)


class Runs:
    """Starts, resumes, awaits and cancels runs. One for each process that holds a home."""

    def __init__(
        self, home: Home, artifacts: ArtifactStore, runners: RunnerPool, *, cores: int | None = None, most_drivers: int = 4
    ) -> None:
        self.home, self.artifacts, self.runners = home, artifacts, runners
        self._slots = WorkerSlots(cores)
        self._drivers = threading.BoundedSemaphore(most_drivers)
        self._active: dict[str, _Active] = {}
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._watcher: threading.Thread | None = None

    def start(
        self,
        code: Code,
        scope: Scope,
        pipeline: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        engine: str = "processes",
        as_of: datetime | None = None,
        seed: int = 0,
        firing: Firing | None = None,
    ) -> str | None:
        """Begin a run in the background and return its id; None when its trigger's event had begun one before.

        Raises `project/unknown-definition` and what `prepare` raises: all before anything runs.
        """
        record = code.description.get("pipeline", pipeline)
        spec = msgspec.convert(record.spec, PipelineSpec)
        request = prepare(
            self.home, self.artifacts, self.runners, code, scope, spec, parameters or {},
            engine=engine, seed=seed, as_of=as_of, where=record.where,
        )  # fmt: skip
        run = enter(self.home, scope, spec, request, firing or Firing())
        if run is None:
            return None
        self._take_up(run, code)
        return run.id

    def open_script(
        self, code: Code, scope: Scope, spec: PipelineSpec, parameters: Mapping[str, Any], seed: int
    ) -> PipelineRun:
        """Begin a run that a script or a notebook drives itself; its questions come through `answer`."""
        request = prepare(
            self.home, self.artifacts, self.runners, code, scope, spec, parameters,
            engine="inline", seed=seed, as_of=None, where=spec.target, remote=True,
        )  # fmt: skip
        run = enter(self.home, scope, spec, request, Firing())
        if run is None:
            raise RuntimeError("a run on demand has no firing")
        self._hold(run, code)
        return run

    def answer(self, run_id: str, message: bytes) -> bytes:
        """Answer a question of a script's driver; its last one ends the run."""
        active = self._active.get(run_id) or self._adopt(run_id)
        reply = active.coordinator.answer(message)
        active.renewed = time.monotonic()
        conclusion = active.coordinator.conclusion
        if conclusion is not None and active.code is not None and not active.done.is_set():
            self._conclude(active, conclusion.failure)
        return reply

    def resume(self, run_id: str, code: Code | None = None) -> str:
        """Take up a run that failed, was cancelled or lost its holder, with its code as it is now.

        Steps that are committed do not run again, unless their code or data changed since.
        Raises `pipelines/unknown-run`, `pipelines/run-not-resumable`.
        """
        with self.home.ledger.read() as reader:
            run = get_pipeline_run(reader, run_id)
        if run.state == "done" or run_id in self._active:
            raise RunNotResumable(run=run_id, state="still active" if run.state != "done" else "done")
        self._resume(run, code, "it was asked for")
        return run_id

    def resume_interrupted(self) -> list[str]:
        """Take up every run that was active when the last holder of the home died; return their ids."""
        with self.home.ledger.read() as reader:
            runs = [as_run(row) for row in reader.rows(store.RUNNING)]
        taken = [run for run in runs if run.id not in self._active and not run.request.remote]
        for run in taken:
            try:
                self._resume(run, None, "the process that held it ended")
            except (BucleError, RemoteError) as error:
                self._give_up(run, Failure(error.code, str(error), error.where, error.next_step))
        return [run.id for run in taken]

    def wait(self, run_id: str, timeout: float | None = None) -> PipelineRun:
        """Wait until a run has ended, at most `timeout` seconds, and return it as it stands then."""
        active = self._active.get(run_id)
        if active is not None:
            active.done.wait(timeout)
        with self.home.ledger.read() as reader:
            return get_pipeline_run(reader, run_id)

    def active(self, scope: Scope | None = None, pipeline: str | None = None) -> list[str]:
        """Return the ids of the runs that are active here."""
        with self._turn:
            held = [each.coordinator.run for each in self._active.values()]
        return [run.id for run in held if scope in (None, run.scope) and pipeline in (None, run.pipeline)]

    def activity(self) -> str | None:
        """Name a run that is active, for whoever waits until all is quiet; a script's run keeps nobody waiting."""
        with self._turn:
            held = [each.coordinator.run for each in self._active.values()]
        return next((f"run {run.id} of {run.pipeline}" for run in held if not run.request.remote), None)

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Wait until no run is active; return whether that came about in time (seconds)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.activity() is not None:
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def cancel(self, run_id: str) -> None:
        """Stop a run: its driver and workers are killed; what is committed stays. Raises `pipelines/unknown-run`."""
        active = self._active.get(run_id)
        if active is None:
            with self.home.ledger.read() as reader:
                run = get_pipeline_run(reader, run_id)
            raise RunNotResumable(run=run_id, state=run.state)
        active.coordinator.cancel()
        if active.runner is not None:
            active.runner.kill()
        if active.coordinator.run.request.remote:
            self._conclude(active, None)

    def log_folder(self, run_id: str) -> Path:
        """Return the folder of a run's logs: `driver.log`, and one file for each attempt at a step in a process of its own."""
        folder = self.home.folder("logs") / "runs" / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self) -> None:
        """Let go of all runs: their processes end, their rows stay as they are, the next holder takes them up."""
        self._closing.set()
        with self._turn:
            held = list(self._active.values())
        for active in held:
            active.coordinator.close()
            if active.runner is not None:
                active.runner.kill()
        for active in held:
            active.coordinator.join(_CLOSE_SECONDS)
            if not active.coordinator.run.request.remote:
                active.done.wait(_CLOSE_SECONDS)

    def _resume(self, run: PipelineRun, code: Code | None, reason: str) -> None:
        code = code or load_code(self.home, self.runners, self._checkout(run))
        spec = code.description.spec("pipeline", run.pipeline, PipelineSpec)
        taken = self._next_epoch(run, spec, _with_code(run.request, code), reason, lose_all=True)
        self._take_up(taken, code)

    def _next_epoch(
        self, run: PipelineRun, spec: PipelineSpec, request: RunRequest, reason: str, *, lose_all: bool
    ) -> PipelineRun:
        """Claim the run for a new driver; when its holder died, all attempts that are still open are lost."""
        values = (msgspec.json.encode(request).decode(), spec.code, configuration_of(spec, request), now_us() + LEASE_US)
        with acting(run.actor, run.role), within(run.scope), because(run.event), self.home.ledger.write() as tx:
            before = store.one(tx, store.SELECT_RUN, run.id)
            if tx.row(store.NEXT_EPOCH, (*values, run.id, run.epoch)) is None or before is None:
                raise RunTakenOver(run=run.id, state="somebody else has taken it up")
            if before["state"] != "running":
                reopen_run(tx, run.id)
            if lose_all:
                store.lose_attempts(tx, run.id, now_us())
            committed = store.number(tx, "SELECT count(*) FROM step WHERE run = ? AND state = 'done'", run.id)
            changed = before["code"] != spec.code
            tx.emit(RunResumed(run.pipeline, run.epoch + 1, reason, committed, changed), run.id)
            row = store.one(tx, store.SELECT_RUN, run.id)
        if row is None:
            raise RuntimeError("the run is gone")
        return as_run(row)

    def _hold(self, run: PipelineRun, code: Code) -> _Active:
        log_of = partial(_log_of, self.log_folder(run.id), inline=run.engine == "inline")
        journal = Journal(self.home.ledger, run, log_of)
        coordinator = Coordinator(
            self.home.ledger,
            self.artifacts,
            run,
            journal,
            lambda owner: ProcessEngine(self.runners, code.runtime, code.checkout, self._slots, owner.deliver, log_of),
            lambda model: self._production(run, model),
        )
        active = _Active(coordinator, code)
        with self._turn:
            self._active[run.id] = active
            if self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="bucle-runs", daemon=True)
                self._watcher.start()
        return active

    def _take_up(self, run: PipelineRun, code: Code) -> None:
        active = self._hold(run, code)
        threading.Thread(target=self._drive, args=(active,), name=f"bucle-driver-{run.id}", daemon=True).start()

    def _drive(self, active: _Active) -> None:
        with self._drivers:
            try:
                failure = self._drive_to_the_end(active)
            except Exception as error:
                failure = Failure(
                    "pipelines/pipeline-failed", f"{type(error).__name__}: {error}", None, "`bucle logs` has more."
                )
            if not self._closing.is_set():
                self._conclude(active, failure)
            active.done.set()

    def _drive_to_the_end(self, active: _Active) -> Failure | None:
        restarts = 0
        while True:
            try:
                return self._drive_once(active)
            except RunnerDied as error:
                coordinator = active.coordinator
                if coordinator.cancelled or self._closing.is_set():
                    return None
                restarts += not active.timed_out
                if restarts > _MOST_RESTARTS:
                    return Failure(error.code, error.text, None, error.next_step)
                active.timed_out = False
                spec = active.code.description.spec("pipeline", coordinator.run.pipeline, PipelineSpec)
                taken = self._next_epoch(coordinator.run, spec, coordinator.run.request, error.text, lose_all=False)
                coordinator.next_epoch(taken.epoch)
            except ProjectCodeFailed as error:
                return self._failed_itself(active, error)
            except (BucleError, RemoteError) as error:
                where = (error.where or "").removeprefix(f"{active.code.checkout.root}/") or None
                return Failure(error.code, str(error), where, error.next_step)

    def _failed_itself(self, active: _Active, error: ProjectCodeFailed) -> Failure:
        """The pipeline function raised an error, outside of its steps."""
        run = active.coordinator.run
        log = self.log_folder(run.id) / "driver.log"
        failed = PipelineFailed(pipeline=run.pipeline, reason=error.fields["error"], log=log, run=run.id)
        return Failure(failed.code, failed.text, error.where, failed.next_step)

    def _drive_once(self, active: _Active) -> Failure | None:
        run, code = active.coordinator.run, active.code
        request = run.request
        order = DriveOrder(run.id, request.pipeline, request.parameters, run.epoch, request.seed, request.snapshot)
        with self.runners.lend(code.runtime, code.checkout) as runner:
            active.runner = runner
            try:
                if active.coordinator.cancelled or self._closing.is_set():  # whoever ended it did not see the runner yet
                    runner.kill()
                log = self.log_folder(run.id) / "driver.log"
                driven = runner.call(DRIVER, order, Driven, answer=active.coordinator.answer, log=log)
            finally:
                active.runner = None
        return driven.failure

    def _conclude(self, active: _Active, failure: Failure | None) -> None:
        coordinator = active.coordinator
        run = coordinator.run
        try:
            if coordinator.cancelled:
                cancelled = RunCancelled(run=run.id)
                concluding.fail(coordinator, "cancelled", Failure(cancelled.code, cancelled.text, None, cancelled.next_step))
            elif failure is not None:
                concluding.fail(coordinator, "failed", failure)
            else:
                concluding.finish(self.artifacts, coordinator)
        except (BucleError, RemoteError) as error:
            concluding.fail(coordinator, "failed", Failure(error.code, str(error), error.where, error.next_step))
        finally:
            coordinator.close()
            with self._turn:
                self._active.pop(run.id, None)
            active.done.set()

    def _adopt(self, run_id: str) -> _Active:
        """Hold a script's run again after this process was started anew."""
        with self.home.ledger.read() as reader:
            run = get_pipeline_run(reader, run_id)
        if run.state != "running" or not run.request.remote:
            raise RunTakenOver(run=run_id, state=run.state)
        return self._hold(run, load_code(self.home, self.runners, self._checkout(run)))

    def _give_up(self, run: PipelineRun, failure: Failure) -> None:
        """End a run that cannot be taken up: its tree is gone, or its code no longer declares the pipeline."""
        coordinator = self._hold(run, Code(self._bare_checkout(run), current_runtime(), NOTHING)).coordinator
        self._conclude(self._active[coordinator.run.id], failure)

    def _checkout(self, run: PipelineRun) -> Checkout:
        root = Path(run.request.root)
        if run.request.dirty or run.request.commit is None or (root / ".git").exists():
            return working_tree(root)
        return self._bare_checkout(run)

    def _bare_checkout(self, run: PipelineRun) -> Checkout:
        root, commit = Path(run.request.root), run.request.commit
        return Checkout(root, run.scope.project, commit, run.request.dirty, root / LOCK_NAME, commit or "")

    def _production(self, run: PipelineRun, model: str) -> Production:
        with self.home.ledger.read() as reader:
            found = production_version(reader, run.scope.project, model)
        return Production(found.name, found.package.id) if found else Production(None, None)

    def _watch(self) -> None:
        """Kill drivers that no signal interrupts, keep leases, give up scripts that have fallen silent."""
        while not self._closing.wait(_WATCH_SECONDS):
            with self._turn:
                held = list(self._active.values())
                if not held:
                    self._watcher = None
                    return
            now = time.monotonic()
            for active in held:
                self._look_at(active, now)

    def _look_at(self, active: _Active, now: float) -> None:
        coordinator, runner = active.coordinator, active.runner
        if runner is not None and coordinator.overdue(now):
            active.timed_out = True
            runner.kill()
            coordinator.time_out()
        if not coordinator.run.request.remote:
            if now - active.renewed > _RENEW_SECONDS:
                active.renewed = now
                coordinator.journal.renew_lease()
        elif now - active.renewed > LEASE_US / 1e6 and not active.done.is_set():
            silent = DriverSilent(run=coordinator.run.id)
            self._conclude(active, Failure(silent.code, silent.text, None, silent.next_step))


def _with_code(request: RunRequest, code: Code) -> RunRequest:
    """Return the request with the code as it is now."""
    checkout = code.checkout
    return msgspec.structs.replace(
        request, root=str(checkout.root), commit=checkout.commit, dirty=checkout.dirty,
        lock=code.runtime.digest, runtime=code.runtime.digest,
    )  # fmt: skip


def _log_of(folder: Path, order: WorkOrder, *, inline: bool) -> Path:
    if inline and not order.options.isolated:
        return folder / "driver.log"
    return folder / f"{order.call.replace('/', '.')}-{order.attempt}.log"
