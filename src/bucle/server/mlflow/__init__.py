"""The MLflow protocol, so that `MLFLOW_TRACKING_URI=http://host:port` just works: experiments, runs, metrics, artifacts.

Source: the REST API of MLflow 3.17 as its stock client speaks it. `mlflow` itself is never imported.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bucle import __version__
from bucle.server.mlflow import artifacts, experiments, models, recording, runs, searching
from bucle.server.mlflow.errors import EndpointNotFound, error_shape
from bucle.server.routing import MEBIBYTE, Call, Method, Route

_API, _FILES = "/api/2.0/mlflow", "/api/2.0/mlflow-artifacts/artifacts"
_MODEL = f"{_API}/logged-models/{{model}}"
_LARGEST_BATCH, _LARGEST_FILE = 2 * MEBIBYTE, 65_536 * MEBIBYTE


def version(call: Call) -> Any:
    """Return the version, as text."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(__version__)


def unknown(call: Call) -> None:
    """Refuse an endpoint that does not answer here. Raises `mlflow/endpoint-not-found`."""
    raise EndpointNotFound(path=call.request.url.path[:200], where="path")


def _read(path: str, handler: Callable[[Call], Any], summary: str) -> Route:
    return Route("GET", path, handler, "tracking.read", summary, query=("*",), reach="any", problem=error_shape)


def _write(path: str, handler: Callable[[Call], Any], summary: str, method: Method = "POST") -> Route:
    return Route(
        method,
        path,
        handler,
        "tracking.write",
        summary,
        bytes,
        ("*",),
        limit=_LARGEST_BATCH,
        reach="any",
        problem=error_shape,
    )


def _search(path: str, handler: Callable[[Call], Any], summary: str) -> Route:
    return Route("POST", path, handler, "tracking.read", summary, bytes, limit=_LARGEST_BATCH, reach="any", problem=error_shape)


def _missing(method: Method, path: str) -> Route:
    body = None if method == "GET" else bytes
    summary = "An endpoint of MLflow's that does not answer here"
    return Route(method, path, unknown, "tracking.read", summary, body, ("*",), reach="any", problem=error_shape)


ROUTES = [
    _read("/version", version, "The version, as MLflow's client asks for it"),
    _write(f"{_API}/experiments/create", experiments.create, "Create an experiment (MLflow)"),
    _read(f"{_API}/experiments/get", experiments.get, "An experiment by its id (MLflow)"),
    _read(f"{_API}/experiments/get-by-name", experiments.get_by_name, "An experiment by its name (MLflow)"),
    _write(f"{_API}/experiments/update", experiments.rename, "Rename an experiment (MLflow)"),
    _write(f"{_API}/experiments/delete", experiments.delete, "Delete an experiment (MLflow)"),
    _write(f"{_API}/experiments/restore", experiments.restore, "Restore an experiment (MLflow)"),
    _write(f"{_API}/experiments/set-experiment-tag", experiments.set_tag, "Tag an experiment (MLflow)"),
    _search(f"{_API}/experiments/search", searching.experiments, "Experiments by a filter (MLflow)"),
    _read(f"{_API}/experiments/search", searching.experiments, "Experiments by a filter, as older clients ask (MLflow)"),
    _search(f"{_API}/runs/search", searching.runs, "Runs by a filter (MLflow)"),
    _write(f"{_API}/runs/create", runs.create, "Begin a run (MLflow)"),
    _read(f"{_API}/runs/get", runs.get, "A run with what it recorded (MLflow)"),
    _write(f"{_API}/runs/update", runs.update, "End or rename a run (MLflow)"),
    _write(f"{_API}/runs/delete", runs.delete, "Delete a run (MLflow)"),
    _write(f"{_API}/runs/restore", runs.restore, "Restore a run (MLflow)"),
    _write(f"{_API}/runs/log-metric", recording.log_metric, "Log a metric (MLflow)"),
    _write(f"{_API}/runs/log-parameter", recording.log_param, "Log a parameter (MLflow)"),
    _write(f"{_API}/runs/log-batch", recording.log_batch, "Log a batch (MLflow)"),
    _write(f"{_API}/runs/set-tag", recording.set_tag, "Tag a run (MLflow)"),
    _write(f"{_API}/runs/delete-tag", recording.delete_tag, "Remove a tag of a run (MLflow)"),
    _write(f"{_API}/runs/log-inputs", models.log_inputs, "Note what a run read (MLflow)"),
    _write(f"{_API}/runs/outputs", models.log_outputs, "Note the models that a run made (MLflow)"),
    _write(f"{_API}/logged-models", models.create, "Enter a logged model (MLflow)"),
    _search(f"{_API}/logged-models/search", models.search, "Logged models of experiments (MLflow)"),
    _read(_MODEL, models.get, "A logged model (MLflow)"),
    _write(_MODEL, models.finalize, "Say that a logged model's files are there (MLflow)", "PATCH"),
    _write(_MODEL, models.delete, "Delete a logged model (MLflow)", "DELETE"),
    _write(f"{_MODEL}/tags", models.set_tags, "Tag a logged model (MLflow)", "PATCH"),
    _write(f"{_MODEL}/tags/{{key}}", models.delete_tag, "Remove a tag of a logged model (MLflow)", "DELETE"),
    _read(f"{_API}/metrics/get-history", recording.history, "The points of a metric (MLflow)"),
    _read(f"{_API}/artifacts/list", artifacts.list_run, "List files of a run (MLflow)"),
    _read(_FILES, artifacts.list_folder, "List files by their path (MLflow)"),
    _read(f"{_FILES}/{{path*}}", artifacts.fetch, "Fetch a file of a run (MLflow)"),
    Route(
        "PUT",
        f"{_FILES}/{{path*}}",
        artifacts.put,
        "tracking.write",
        "Keep a file of a run (MLflow)",
        Path,
        limit=_LARGEST_FILE,
        reach="any",
        problem=error_shape,
    ),
    *(
        _missing(method, f"/api/{number}/{{rest*}}")
        for number in ("2.0", "3.0")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
]
