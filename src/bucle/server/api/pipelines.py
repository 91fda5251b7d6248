"""Routes of pipelines: what there is to run, starting, resuming and cancelling runs, steps, and drivers that are scripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

from bucle.artifacts import ArtifactStore
from bucle.ledger import Scope, StoredEvent, parse_instant
from bucle.pipelines import (
    OpenedRun,
    PipelineRun,
    PipelineSpec,
    Runs,
    ScriptRun,
    StepRun,
    Triggers,
    get_pipeline_run,
    list_steps,
)
from bucle.project import DEV, working_tree
from bucle.runtimes import RunnerPool, load_code
from bucle.server.codes import Codes
from bucle.server.house import House
from bucle.server.routing import MEBIBYTE, Body, Call, Route, act_again

_PIPELINES = "/api/v1/projects/{project}/pipelines"
_RUN = "/api/v1/projects/{project}/runs/{run}"


def compose(house: House) -> None:
    """Put the runs in: interrupted ones are taken up when a server starts, triggers start new ones."""
    runs = Runs(house.home, house.artifacts, house.part(RunnerPool))
    house.add(runs)
    house.busy_while(runs.activity)
    house.on_start(lambda: _take_up(runs))
    house.on_stop(runs.close)
    triggers = Triggers(house.ledger, runs, lambda scope: house.part(Codes).of(scope), lambda: house.part(Codes).active())
    for subscription in triggers.subscriptions():
        house.subscribe(subscription)


def _take_up(runs: Runs) -> None:
    runs.resume_interrupted()


class StartBody(Body, frozen=True):
    """How a pipeline is to be run; texts among the parameters are read as the declared types."""

    parameters: dict[str, Any] = {}
    engine: str = "processes"
    seed: int = 0
    as_of: str | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its steps; `status` is running, done, failed or cancelled, `metrics` those of the model that it made."""

    id: str
    status: str
    pipeline: PipelineRun
    steps: list[StepRun]


def read_pipelines(call: Call) -> list[PipelineSpec]:
    """Return the pipelines that an environment's code declares."""
    return call.house.part(Codes).of(_scope(call)).description.specs("pipeline", PipelineSpec)


def start(call: Call) -> RunView:
    """Begin a run and return at once."""
    body: StartBody = call.body
    scope = _scope(call)
    runs = call.house.part(Runs)
    run_id = runs.start(
        call.house.part(Codes).of(scope),
        scope,
        call.path["pipeline"],
        body.parameters,
        engine=body.engine,
        seed=body.seed,
        as_of=parse_instant(body.as_of) if body.as_of else None,
    )
    return _view(call, run_id or "")


def started(call: Call, events: Sequence[StoredEvent]) -> RunView | None:
    """Return the run that a request has begun; a server that starts goes on with it."""
    id = _subject(events, "pipelines.run_started")
    return None if id is None else _view(call, id)


def read_run(call: Call) -> RunView:
    """Return a run and its steps as they stand."""
    return _found(call, "pipelines.read")


def resume(call: Call) -> RunView:
    """Take up a run that failed, was cancelled or lost its process."""
    _found(call, "pipelines.write")
    call.house.part(Runs).resume(call.path["run"])
    return _view(call, call.path["run"])


def resumed(call: Call, events: Sequence[StoredEvent]) -> RunView | None:
    """Return the run that a request has taken up; a server that starts goes on with it."""
    return _found(call, "pipelines.write") if _subject(events, "pipelines.run_resumed") else None


def cancel(call: Call) -> RunView:
    """Stop a run."""
    _found(call, "pipelines.write")
    call.house.part(Runs).cancel(call.path["run"])
    call.house.part(Runs).wait(call.path["run"], 10)
    return _view(call, call.path["run"])


def open_script(call: Call) -> OpenedRun:
    """Begin a run that the caller drives: from a tree on this machine, since the caller writes artifacts beside the server."""
    from pathlib import Path

    body = msgspec.json.decode(call.body, type=ScriptRun)
    runs, scope = call.house.part(Runs), Scope(call.path["project"], DEV)
    code = load_code(call.house.home, call.house.part(RunnerPool), working_tree(Path(body.root)))
    return _opened(call, runs.open_script(code, scope, body.spec, body.parameters, body.seed))


def opened(call: Call, events: Sequence[StoredEvent]) -> OpenedRun | None:
    """Return the run that a request has begun for its caller."""
    id = _subject(events, "pipelines.run_started")
    if id is None:
        return None
    with call.house.ledger.read() as reader:
        return _opened(call, get_pipeline_run(reader, id, call.path["project"]))


def ask(call: Call) -> Response:
    """Answer a question of a script's driver."""
    _found(call, "pipelines.write")
    return Response(call.house.part(Runs).answer(call.path["run"], call.body), media_type="application/octet-stream")


def _opened(call: Call, run: PipelineRun) -> OpenedRun:
    return OpenedRun(run.id, run.epoch, str(call.house.part(ArtifactStore).root), run.request.snapshot)


def _subject(events: Sequence[StoredEvent], kind: str) -> str | None:
    return next((event.subject for event in events if event.kind == kind), None)


def _scope(call: Call) -> Scope:
    return Scope(call.path["project"], call.scope.environment or DEV)


def _found(call: Call, permission: str) -> RunView:
    view = _view(call, call.path["run"])
    call.own(permission, view.pipeline.scope.environment)
    return view


def _view(call: Call, run_id: str) -> RunView:
    with call.house.ledger.read() as reader:
        run = get_pipeline_run(reader, run_id, call.path["project"])
        return RunView(run.id, run.state, run, list_steps(reader, run_id))


ROUTES = [
    Route("GET", _PIPELINES, read_pipelines, "pipelines.read", "The pipelines of an environment's code"),
    Route("POST", f"{_PIPELINES}/{{pipeline}}/runs", start, "pipelines.write", "Run a pipeline", StartBody, recall=started),
    Route("GET", f"{_RUN}/steps", read_run, "pipelines.read", "A run and its steps", reach="any"),
    Route("POST", f"{_RUN}/resume", resume, "pipelines.write", "Take a run up again", reach="any", recall=resumed),
    Route("POST", f"{_RUN}/cancel", cancel, "pipelines.write", "Stop a run", reach="any", recall=act_again),
    Route(
        "POST",
        "/api/v1/projects/{project}/script-runs",
        open_script,
        "pipelines.write",
        "Begin a run that the caller drives",
        bytes,
        recall=opened,
    ),
    Route(
        "POST",
        f"{_RUN}/calls",
        ask,
        "pipelines.write",
        "A question of a script's driver",
        bytes,
        limit=64 * MEBIBYTE,
        recall=act_again,
    ),
]
