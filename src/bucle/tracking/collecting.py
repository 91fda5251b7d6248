"""Where `log_param`, `log_metric`, `log_artifact` and `setting` go: the run that the code is part of, if there is one."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from bucle.tracking.errors import NoArtifactStore, UnknownSetting
from bucle.tracking.logs import ArtifactLog, RunLog, SettingRead, checked_name

_ABSENT = object()


class KeepsBytes(Protocol):
    """What keeps artifacts: the artifact store, or a client that sends them there."""

    def put_bytes(self, data: bytes, /) -> str:
        """Keep the bytes and return their content id."""

    def put_file(self, path: Path, /) -> str:
        """Keep the file's bytes and return their content id."""


class Collector:
    """Gathers what the code logs into a `RunLog`; any thread may log."""

    def __init__(
        self,
        log: RunLog,
        *,
        artifacts: KeepsBytes | None = None,
        settings: Mapping[str, Any] | None = None,
        logged: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._params = RunLog(params=dict(log.params))  # all of the run's, also those that were taken away already
        self._artifacts = artifacts
        self._settings = settings or {}
        self._logged = logged
        self._lock = threading.Lock()

    def param(self, name: str, value: object) -> None:
        """See `log_param`."""
        with self._lock:
            self._params.param(name, value)
            self._log.param(name, value)
        self._logged()

    def metric(self, name: str, value: float, step: int) -> None:
        """See `log_metric`."""
        with self._lock:
            self._log.metric(name, value, step)
        self._logged()

    def tag(self, name: str, value: str) -> None:
        """Tag the run."""
        with self._lock:
            self._log.tag(name, value)
        self._logged()

    def note(self, kind: str, **data: Any) -> None:
        """Note a fact about the run."""
        with self._lock:
            self._log.note(kind, **data)
        self._logged()

    def artifact(self, name: str, content: bytes | str | Path) -> str:
        """See `log_artifact`."""
        checked_name(name)
        if self._artifacts is None:
            raise NoArtifactStore(name=name)
        if isinstance(content, Path):
            id, size = self._artifacts.put_file(content), content.stat().st_size
        else:
            data = content.encode() if isinstance(content, str) else content
            id, size = self._artifacts.put_bytes(data), len(data)
        with self._lock:
            self._log.artifacts.append(ArtifactLog(name, id, size))
        self._logged()
        return id

    def setting(self, name: str, default: Any) -> Any:
        """See `setting`; the value that was read is part of the run's record."""
        from json import dumps

        if name not in self._settings and default is _ABSENT:
            raise UnknownSetting(name=name)
        value = self._settings.get(name, default)
        read = SettingRead(checked_name(name), dumps(value, default=str, sort_keys=True))
        with self._lock:
            if read not in self._log.settings_read:
                self._log.settings_read.append(read)
        self._logged()
        return value

    @property
    def waiting(self) -> bool:
        """Whether anything was gathered since `take`."""
        return bool(self._log)

    def take(self, points: int = 20_000) -> RunLog:
        """Return what was gathered since the last call, no more than so many points of metrics, and begin a new log."""
        with self._lock:
            taken, self._log = self._log, RunLog(metrics=self._log.metrics[points:])
            taken.metrics = taken.metrics[:points]
            return taken


_current: ContextVar[Collector | None] = ContextVar("bucle_collector", default=None)


def current_collector() -> Collector | None:
    """Return what gathers the log of the run that this code is part of, or None outside a run."""
    return _current.get()


@contextmanager
def collecting(
    log: RunLog, *, artifacts: KeepsBytes | None = None, settings: Mapping[str, Any] | None = None
) -> Iterator[Collector]:
    """Let everything that is logged within go to `log`; artifacts are kept in `artifacts`, settings come from `settings`."""
    with gathering(Collector(log, artifacts=artifacts, settings=settings)) as collector:
        yield collector


@contextmanager
def gathering(collector: Collector) -> Iterator[Collector]:
    """Make `collector` the current one."""
    token = _current.set(collector)
    try:
        yield collector
    finally:
        _current.reset(token)


def log_param(name: str, value: object) -> None:
    """Record a parameter of the current run: a JSON value, or the text of anything else.

    Outside a run nothing is recorded, so that a step can be called as a plain function. Raises `tracking/param-changed`
    when the run already has another value. Source: K-MD.
    """
    collector = _current.get()
    if collector is not None:
        collector.param(name, value)


def log_metric(name: str, value: float, step: int = 0) -> None:
    """Record a value of a metric of the current run, at a step of the training; NaN and infinities are kept.

    The unit is the caller's. Outside a run nothing is recorded. Raises `tracking/bad-metric`. Source: K-MD.
    """
    collector = _current.get()
    if collector is not None:
        collector.metric(name, value, step)


def log_artifact(name: str, content: bytes | str | Path) -> str | None:
    """Keep bytes, a text or a file under a name of the current run, and return its content id; None outside a run.

    Raises `tracking/bad-name`. Source: K-MD.
    """
    collector = _current.get()
    return collector.artifact(name, content) if collector is not None else None


def setting(name: str, default: Any = _ABSENT) -> Any:
    """Return a setting of the environment that the run belongs to ([environments.NAME.settings] in bucle.toml).

    What was read becomes part of the run's record. Outside a run the default is returned.
    Raises `tracking/unknown-setting` when there is neither a value nor a default.
    """
    collector = _current.get() or Collector(RunLog())
    return collector.setting(name, default)
