"""Routes of runs: what pipelines and scripts recorded, and the way by which scripts record it."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.ledger import Reader, Scope, Subscription, Transaction
from bucle.server.errors import BadParameter
from bucle.server.house import House
from bucle.server.routing import MEBIBYTE, Body, Call, Route
from bucle.tracking import (
    ArtifactLog,
    Completeness,
    DataUse,
    MetricPoint,
    Run,
    RunFilter,
    RunLog,
    RunRecord,
    RunStart,
    UnknownRun,
    begin_run,
    completeness,
    end_silent_runs,
    finish_script,
    get_run,
    iterations,
    last_metrics,
    list_runs,
    metric_point,
    note_upload,
    record_script,
    run_metrics,
    run_state,
    search_listed,
)

if TYPE_CHECKING:
    from starlette.responses import FileResponse

_RUNS = "/api/v1/projects/{project}/runs"
_LARGEST_ARTIFACT = 4096 * MEBIBYTE
_CHOICES = {
    "kind": ("pipeline", "step", "script"),
    "status": ("running", "succeeded", "failed", "cancelled"),
    "purpose": ("training", "evaluation", "preparation", "registration"),
}


def compose(house: House) -> None:
    """End the runs of scripts that died: when a server starts, and each hour."""
    house.on_start(lambda: _end_silent(house))
    house.subscribe(Subscription("tracking.silent", ("ledger.ticked",), lambda event: _end_silent(house)))


def _end_silent(house: House) -> None:
    end_silent_runs(house.ledger, timedelta(minutes=10))


class StartBody(Body, frozen=True):
    """A run that a script begins; `lock` is the digest of its lock."""

    name: str
    experiment: str = "default"
    parent: str | None = None
    purpose: str = ""
    commit: str | None = None
    dirty: bool = False
    lock: str | None = None
    as_of_us: int | None = None
    data: dict[str, str] = {}
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    seed: int | None = None


class PointBody(Body, frozen=True):
    """A value of a metric; NaN and infinities as the texts NaN, Infinity, -Infinity."""

    name: str
    value: float | str
    step: int = 0
    at_us: int = 0


class ArtifactBody(Body, frozen=True):
    """An artifact that was sent before, under a name."""

    name: str
    id: str
    size: int = 0


class LogBody(Body, frozen=True):
    """A batch of what a script logged. A batch whose number was recorded before is not recorded again."""

    params: dict[str, Any] = {}
    metrics: list[PointBody] = []
    tags: dict[str, str] = {}
    artifacts: list[ArtifactBody] = []
    batch: int = 0


class FinishBody(Body, frozen=True):
    """How a script's run ended: succeeded, failed or cancelled."""

    status: str
    error: str | None = None


class Started(msgspec.Struct, frozen=True):
    """The id of a run that began."""

    id: str


class Recorded(msgspec.Struct, frozen=True):
    """Whether the batch was new."""

    recorded: bool


class Kept(msgspec.Struct, frozen=True):
    """The content id of what was kept."""

    id: str
    size: int


class RunRow(msgspec.Struct, frozen=True):
    """A run in a list, with the last value of each metric."""

    run: Run
    seconds: float | None
    metrics: dict[str, float | str]


class RunView(msgspec.Struct, frozen=True):
    """A run with everything that it recorded; `lacks` are the facts of K-MD that a training iteration does not have."""

    record: RunRecord
    seconds: float | None
    lacks: tuple[str, ...]


def show_runs(call: Call) -> list[RunRow]:
    """List runs, newest first unless ordered otherwise. Raises `tracking/bad-filter`."""
    wanted = RunFilter(
        project=call.scope.project,
        environment=environment_of(call),
        experiment=call.query.get("experiment"),
        parent=call.query.get("parent"),
        before=call.query.get("before"),
        limit=call.number("limit", 50, 1, 1000),
        **{name: _choice(call, name) for name in _CHOICES},  # type: ignore[arg-type]
    )
    with call.house.ledger.read() as reader:
        runs = _runs(call, reader, wanted)
        metrics = last_metrics(reader, [run.id for run in runs])
    return [
        RunRow(run, run.seconds, {name: metric_point(name, value).value for name, value in metrics[run.id].items()})
        for run in runs
    ]


def _runs(call: Call, reader: Reader, wanted: RunFilter) -> list[Run]:
    text, order_by = call.query.get("filter", ""), call.query.get("order_by", "")
    if not text and not order_by:
        return list_runs(reader, wanted)
    return search_listed(reader, wanted, text, (order_by,) if order_by else ())


def environment_of(call: Call) -> str | None:
    """Return the environment whose runs are meant: the query's, else all (None) if the caller may see all, else dev."""
    everywhere = call.may("tracking.read", Scope(call.scope.project)) and "environment" not in call.query
    return None if everywhere else call.scope.environment or None


def show_run(call: Call) -> RunView:
    """Return one run."""
    with call.house.ledger.read() as reader:
        found = run_of(call, reader)
        lacks = completeness(reader, found.run.id).missing if found.run.purpose == "training" else ()
    return RunView(found, found.run.seconds, lacks)


def run_of(call: Call, reader: Reader) -> RunRecord:
    """Return the path's run, where the caller may read it. Raises `tracking/unknown-run`, `identity/forbidden`."""
    found = get_run(reader, call.path["run"], call.scope.project)
    call.own("tracking.read", found.run.environment)
    return found


def show_series(call: Call) -> list[MetricPoint]:
    """Return the points of one metric."""
    with call.house.ledger.read() as reader:
        run = _state(call, reader, "tracking.read")
        return run_metrics(reader, run.id, call.path["name"], call.number("limit", 10_000, 1, 1_000_000))


def show_iterations(call: Call) -> list[Completeness]:
    """Return what the records of the training iterations lack."""
    with call.house.ledger.read() as reader:
        return iterations(reader, call.scope.project, call.number("limit", 100, 1, 1000))


def start(call: Call) -> Started:
    """Begin the run of a script."""
    body: StartBody = call.body
    fields = {name: value for name, value in msgspec.structs.asdict(body).items() if name != "data"}
    data = tuple(DataUse(source, version) for source, version in sorted(body.data.items()))
    _one_of("purpose", body.purpose, ("", *_CHOICES["purpose"]))
    with call.house.ledger.write() as tx:
        return Started(begin_run(tx, RunStart(kind="script", data=data, engine="client", **fields)))


def log(call: Call) -> Recorded:
    """Record a batch."""
    body: LogBody = call.body
    found = RunLog(
        params=body.params,
        metrics=[_point(point) for point in body.metrics],
        tags=body.tags,
        artifacts=[ArtifactLog(each.name, each.id, each.size) for each in body.artifacts],
        batch=body.batch,
    )
    with call.house.ledger.write() as tx:
        _state(call, tx, "tracking.write")
        return Recorded(record_script(tx, call.path["run"], found))


def finish(call: Call) -> Run:
    """End the run of a script."""
    body: FinishBody = call.body
    _one_of("status", body.status, ("succeeded", "failed", "cancelled"))
    with call.house.ledger.write() as tx:
        run = _state(call, tx, "tracking.write")
        if run.kind != "script":
            raise UnknownRun(id=run.id)
        finish_script(tx, run.id, body.status, error=body.error)  # type: ignore[arg-type]
        return run_state(tx, run.id)


def keep(call: Call) -> Kept:
    """Keep a file that a run is about to log."""
    path: Path = call.body
    with call.house.ledger.read() as reader:
        run = _state(call, reader, "tracking.write")
    kept = Kept(call.house.artifacts.put_file(path), path.stat().st_size)
    with call.house.ledger.write() as tx:
        note_upload(tx, run.id, kept.id)
    return kept


def download(call: Call) -> "FileResponse":
    """Return the bytes of an artifact of a run, as a download."""
    from starlette.responses import FileResponse

    with call.house.ledger.read() as reader:
        found = run_of(call, reader)
    held = next((each for each in found.artifacts if each.name == call.path["name"]), None)
    if held is None:
        raise UnknownRun(id=f"{found.run.id}/{call.path['name'][:60]}")
    name = held.name.rpartition("/")[2]
    return FileResponse(call.house.artifacts.path(held.id), media_type="application/octet-stream", filename=name)


def _state(call: Call, reader: Reader | Transaction, permission: str) -> Run:
    run = run_state(reader, call.path["run"], call.scope.project)
    call.own(permission, run.environment)
    return run


def _point(point: PointBody) -> MetricPoint:
    try:
        return msgspec.convert(msgspec.structs.asdict(point), MetricPoint)
    except msgspec.ValidationError:
        raise BadParameter(
            name="value", value=point.value, expected="a number, NaN, Infinity or -Infinity", where="body.metrics"
        ) from None


def _choice(call: Call, name: str) -> str | None:
    value = call.query.get(name)
    return None if value is None else _one_of(name, value, _CHOICES[name])


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise BadParameter(name=name, value=value[:60], expected=" or ".join(filter(None, allowed)), where=name)
    return value


ROUTES = [
    Route(
        "GET",
        _RUNS,
        show_runs,
        "tracking.read",
        "List runs, newest first",
        query=("experiment", "parent", "before", "limit", "kind", "status", "purpose", "filter", "order_by"),
    ),
    Route("POST", _RUNS, start, "tracking.write", "Begin the run of a script", StartBody),
    Route("GET", f"{_RUNS}/{{run}}", show_run, "tracking.read", "Show a run with everything that it recorded"),
    Route(
        "GET",
        f"{_RUNS}/{{run}}/metrics/{{name*}}",
        show_series,
        "tracking.read",
        "Show the points of a metric",
        query=("limit",),
    ),
    Route("POST", f"{_RUNS}/{{run}}/log", log, "tracking.write", "Record what a run logged", LogBody, limit=32 * MEBIBYTE),
    Route("POST", f"{_RUNS}/{{run}}/finish", finish, "tracking.write", "End the run of a script", FinishBody),
    Route(
        "POST",
        f"{_RUNS}/{{run}}/artifacts",
        keep,
        "tracking.write",
        "Keep a file that a run is about to log",
        Path,
        limit=_LARGEST_ARTIFACT,
    ),
    Route("GET", f"{_RUNS}/{{run}}/artifacts/{{name*}}", download, "tracking.read", "Download an artifact of a run"),
    Route(
        "GET",
        "/api/v1/projects/{project}/iterations",
        show_iterations,
        "tracking.read",
        "Say what the records of training iterations lack",
        query=("limit",),
    ),
]
