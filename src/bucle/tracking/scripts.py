"""`start_run`: track what happens outside a pipeline, in a script or a notebook; delivered through whatever sink there is."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from bucle.errors import BucleError, RemoteError
from bucle.ledger import Ledger, Transaction, because, within
from bucle.tracking import store
from bucle.tracking.collecting import Collector, gathering
from bucle.tracking.errors import NotSent, UnknownRun
from bucle.tracking.events import RunRevived
from bucle.tracking.logs import RunLog, now_us
from bucle.tracking.runs import RunStart, RunStatus, finish_run, record, reopen_run

FLUSH_SECONDS = 2.0
HEARTBEAT_SECONDS = 30.0
PATIENCE_SECONDS = 30.0
SILENT = timedelta(minutes=10)
"""A script that was not heard of for so long counts as over; when it is heard again, its run goes on."""

_SILENCE = "nothing was heard of the script for"

_log = logging.getLogger(__name__)


class RunSink(Protocol):
    """Where the runs of scripts go: the client, over HTTP or in its own process."""

    def begin(self, start: RunStart) -> str:
        """Begin a run and return its id."""

    def record(self, run_id: str, log: RunLog) -> None:
        """Write a numbered batch of what was logged; an empty one says that the script is alive.

        Raises ConnectionError when it did not arrive, or may not have: then the same batch is sent again.
        """

    def finish(self, run_id: str, status: RunStatus, error: str | None) -> None:
        """End the run."""

    def keep(self, run_id: str, content: bytes | Path) -> str:
        """Keep bytes or a file as an artifact of the run and return its content id."""


class _Keeper:
    """Keeps artifacts of one run through a sink."""

    def __init__(self, sink: RunSink, run_id: str) -> None:
        self._sink = sink
        self._run_id = run_id

    def put_bytes(self, data: bytes, /) -> str:
        return self._sink.keep(self._run_id, data)

    def put_file(self, path: Path, /) -> str:
        return self._sink.keep(self._run_id, path)


class ActiveRun:
    """A run of a script that is under way: what is logged goes out in batches from a thread, so logging never waits."""

    def __init__(self, sink: RunSink, start: RunStart) -> None:
        self.id = sink.begin(start)
        self.name = start.name
        self.collector = Collector(RunLog(), artifacts=_Keeper(sink, self.id))
        self._sink = sink
        self._batches = 0
        self._pending: RunLog | None = None  # sent with its number until it is acknowledged
        self._refused: BucleError | RemoteError | None = None
        self._turn = threading.Lock()
        self._heard = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name=f"bucle-{self.id}", daemon=True)
        self._thread.start()

    def log_param(self, name: str, value: object) -> None:
        """Record a parameter of this run."""
        self.collector.param(name, value)

    def log_metric(self, name: str, value: float, step: int = 0) -> None:
        """Record a value of a metric of this run."""
        self.collector.metric(name, value, step)

    def log_artifact(self, name: str, content: bytes | str | Path) -> str:
        """Keep bytes, a text or a file under a name of this run; return its content id."""
        return self.collector.artifact(name, content)

    def set_tag(self, name: str, value: str) -> None:
        """Tag this run."""
        self.collector.tag(name, value)

    def flush(self) -> None:
        """Deliver what was logged so far. Raises ConnectionError when nobody is there; nothing is lost by it."""
        with self._turn:
            self._flush()
            while self._pending is None and self.collector.waiting:
                self._flush()

    def finish(self, status: RunStatus, error: str | None = None) -> None:
        """Deliver the rest and end the run, waiting half a minute for a server that is gone.

        Raises the error of a batch that was refused on the way.
        """
        self._stop.set()
        self._thread.join()
        try:
            self._patiently(self.flush)
        except (BucleError, RemoteError) as refused:
            self._refused = self._refused or refused
        self._patiently(lambda: self._sink.finish(self.id, status, error))
        if self._refused is not None and status == "succeeded":
            raise self._refused

    def _patiently(self, send: Callable[[], None]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return send()
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _flush(self) -> None:
        if self._pending is None:
            log = self.collector.take()
            if not log and time.monotonic() - self._heard < HEARTBEAT_SECONDS:
                return
            self._batches += 1
            log.batch = self._batches
            self._pending = log
        try:
            self._sink.record(self.id, self._pending)
        except (BucleError, RemoteError):
            self._pending = None  # refused: it would be refused again
            raise
        self._pending, self._heard = None, time.monotonic()

    def _deliver(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except (BucleError, RemoteError) as refused:
                _log.warning("run %s: a batch was refused: %s", self.id, refused)
                self._refused = self._refused or refused
            except ConnectionError:
                _log.warning("run %s: a batch could not be delivered; it will be tried again", self.id, exc_info=True)


_active: ContextVar[ActiveRun | None] = ContextVar("bucle_active_run", default=None)


@contextmanager
def active_run(sink: RunSink, name: str, *, params: dict[str, Any] | None = None, **start: Any) -> Iterator[ActiveRun]:
    """Run a block as a tracked run: `log_param` and the others within belong to it; a run within is its child.

    An exception ends the run as failed, an interruption as cancelled; both go on their way.
    """
    outer = _active.get()
    parent = start.pop("parent", None) or (outer.id if outer else None)
    run = ActiveRun(sink, RunStart(name=name, params=params or {}, parent=parent, **start))
    token = _active.set(run)
    try:
        with gathering(run.collector):
            yield run
    except Exception as error:
        run.finish("failed", f"{type(error).__name__}: {error}"[:2000])
        raise
    except BaseException:
        run.finish("cancelled")
        raise
    else:
        run.finish("succeeded")
    finally:
        _active.reset(token)


def note_upload(tx: Transaction, run_id: str, artifact: str) -> None:
    """Note that a script sent an artifact for its run, so that it may log it. Raises `tracking/unknown-run`."""
    if store.select_run(tx, run_id) is None:
        raise UnknownRun(id=run_id)
    store.insert_upload(tx, run_id, artifact)


def record_script(tx: Transaction, run_id: str, log: RunLog) -> bool:
    """As `record`, for what came from a script: the artifacts must be those that it sent for this run.

    Otherwise whoever knows the content id of another project's artifact could read it. A run that was ended for its silence
    goes on: the server or the machine slept, not the script. Raises `tracking/artifact-not-sent`.
    """
    _revive(tx, run_id)
    sent = store.uploads(tx, run_id) if log.artifacts else set()
    for artifact in log.artifacts:
        if artifact.id not in sent:
            raise NotSent(id=artifact.id[:80], run=run_id)
    return record(tx, run_id, log)


def finish_script(tx: Transaction, run_id: str, status: RunStatus, *, error: str | None = None) -> int:
    """As `finish_run`, for what came from a script: also for a run that was ended for its silence."""
    _revive(tx, run_id)
    return finish_run(tx, run_id, status, error=error)


def end_silent_runs(ledger: Ledger, silent: timedelta = SILENT) -> list[str]:
    """End the scripts' runs that were not heard of for so long and return their ids."""
    since, ended = now_us() - silent // timedelta(microseconds=1), []
    with ledger.read() as reader:
        scopes = {scope for _, scope in store.silent_scripts(reader, since)}
    for scope in sorted(scopes, key=str):
        with within(scope), ledger.write() as tx:
            for run_id in [run_id for run_id, of in store.silent_scripts(tx, since) if of == scope]:  # silent even now
                finish_run(tx, run_id, "failed", error=f"{_SILENCE} {silent}")
                ended.append(run_id)
    return ended


def _revive(tx: Transaction, run_id: str) -> None:
    row = store.select_run(tx, run_id)
    if row is not None and row["kind"] == "script" and row["status"] == "failed" and (row["error"] or "").startswith(_SILENCE):
        with because(row["ended_event"]):
            tx.emit(RunRevived(run_id, row["name"]), run_id)
        reopen_run(tx, run_id)
