"""The pages of runs: all of them with their last metrics, and one with its graph of steps, its log and what it recorded."""

from dataclasses import dataclass, field

from bucle.ledger import Reader
from bucle.pipelines import PipelineRun, StepRun, UnknownRun, get_pipeline_run, list_attempts, list_steps, log_tail
from bucle.server.api.tracking import environment_of, run_of
from bucle.server.pages.graph import Graph, layered
from bucle.server.pages.page import Page
from bucle.server.routing import Call
from bucle.tracking import Run, RunFilter, RunRecord, last_metrics, list_runs

_SHOWN_METRICS = ("roc_auc", "log_loss", "mae", "rmse")
_TAIL = 20_000


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the list, with the metrics that matter for its task."""

    run: Run
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class RunsDocument:
    """The newest runs that are nobody's step."""

    runs: list[RunRow]


@dataclass(frozen=True, slots=True)
class StepLogTail:
    """The end of what the last attempt at a step printed."""

    step: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class RunDocument:
    """A run: what it recorded and, if a pipeline made it, its steps as a graph with their logs."""

    record: RunRecord
    pipeline: PipelineRun | None = None
    steps: list[StepRun] = field(default_factory=list)
    graph: Graph | None = None
    logs: list[StepLogTail] = field(default_factory=list)


def runs_document(call: Call) -> RunsDocument:
    """Return the newest runs of the project."""
    wanted = RunFilter(project=call.path["project"], environment=environment_of(call), parent="", limit=100)
    with call.house.ledger.read() as reader:
        runs = list_runs(reader, wanted)
        metrics = last_metrics(reader, [run.id for run in runs])
    return RunsDocument([RunRow(run, {n: v for n, v in metrics[run.id].items() if n in _SHOWN_METRICS}) for run in runs])


def run_document(call: Call) -> RunDocument:
    """Return one run. Raises `tracking/unknown-run`."""
    id, project = call.path["run"], call.path["project"]
    with call.house.ledger.read() as reader:
        record = run_of(call, reader)
        try:
            pipeline = get_pipeline_run(reader, id, project)
        except UnknownRun:
            return RunDocument(record)
        steps = list_steps(reader, id)
        logs = [tail for step in steps if (tail := _log(call, reader, step)) is not None]
    graph = layered([(step.call, step.name, step.state, step.needs) for step in steps])
    return RunDocument(record, pipeline, steps, graph, logs)


def _log(call: Call, reader: Reader, step: StepRun) -> StepLogTail | None:
    attempts = list_attempts(reader, step.id)
    text = log_tail(attempts[-1].log, _TAIL) if attempts else ""
    return StepLogTail(step.id, step.name, text) if text.strip() else None


PAGES = (
    Page(
        "/projects/{project}/runs",
        "runs.html.j2",
        runs_document,
        "tracking.read",
        "Runs.",
        live=("tracking.run_started", "tracking.run_finished"),
        query=("environment",),
    ),
    Page(
        "/projects/{project}/runs/{run}", "run.html.j2", run_document, "tracking.read", "Run.", live=("pipelines.", "tracking.")
    ),
)
