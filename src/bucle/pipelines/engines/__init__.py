"""Engines: where work orders are executed."""

from bucle.pipelines.engines.processes import ProcessEngine, WorkerSlots
from bucle.pipelines.engines.protocol import Engine

__all__ = ["Engine", "ProcessEngine", "WorkerSlots"]
