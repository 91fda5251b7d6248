"""bucle: from `git push` to a monitored model in production, and back."""

import os
from typing import TYPE_CHECKING, Any

from bucle.version import __version__

if TYPE_CHECKING:
    from bucle.client import Client as Client
    from bucle.client import connect as connect
    from bucle.client import start_run as start_run
    from bucle.data import source as source
    from bucle.features import Entity as Entity
    from bucle.features import Label as Label
    from bucle.features import TrainingFrame as TrainingFrame
    from bucle.features import TrainingSet as TrainingSet
    from bucle.features import aggregates as aggregates
    from bucle.features import features as features
    from bucle.monitoring import Monitor as Monitor
    from bucle.pipelines import evaluate as evaluate
    from bucle.pipelines import on_degradation as on_degradation
    from bucle.pipelines import on_drift as on_drift
    from bucle.pipelines import on_new_data as on_new_data
    from bucle.pipelines import on_schedule as on_schedule
    from bucle.pipelines import pipeline as pipeline
    from bucle.pipelines import step as step
    from bucle.registry import Evaluation as Evaluation
    from bucle.registry import Gate as Gate
    from bucle.serving import Objective as Objective
    from bucle.serving import Service as Service
    from bucle.tracking import log_artifact as log_artifact
    from bucle.tracking import log_metric as log_metric
    from bucle.tracking import log_param as log_param
    from bucle.tracking import setting as setting

_PUBLIC = {
    "Client": "client",
    "Entity": "features",
    "Evaluation": "registry",
    "Gate": "registry",
    "Label": "features",
    "Monitor": "monitoring",
    "Objective": "serving",
    "Service": "serving",
    "TrainingFrame": "features",
    "TrainingSet": "features",
    "aggregates": "features",
    "connect": "client",
    "evaluate": "pipelines",
    "features": "features",
    "log_artifact": "tracking",
    "log_metric": "tracking",
    "log_param": "tracking",
    "on_degradation": "pipelines",
    "on_drift": "pipelines",
    "on_new_data": "pipelines",
    "on_schedule": "pipelines",
    "pipeline": "pipelines",
    "setting": "tracking",
    "source": "data",
    "start_run": "client",
    "step": "pipelines",
}
"""Every public name (docs/api.md) and the room that gives it: nothing is imported before it is asked for."""

__all__ = ["__version__", *_PUBLIC]

# Read when scikit-learn's library is loaded. Threads that spin while they wait take the processor from those that work: beside
# a busy server a fit in a script took ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> Any:
    room = _PUBLIC.get(name)
    if room is None:
        raise AttributeError(f"module 'bucle' has no attribute {name!r}")
    import importlib

    value: Any = importlib.import_module(f"bucle.{room}")
    if name != room:  # the package `features` is itself what `@bucle.features` calls
        value = getattr(value, name)
    globals()[name] = value
    if name == "pipeline":
        _let_scripts_run(importlib.import_module("bucle.pipelines"))
    return value


def _let_scripts_run(pipelines: Any) -> None:
    """`pipeline.run(...)` needs a way to the home, and the client that knows it stands above the pipelines."""

    def connect_script(root: str) -> Any:
        from bucle.client import connect_script

        return connect_script(root)

    pipelines.register_connector(connect_script)


def __dir__() -> list[str]:
    return sorted(__all__)
