"""Pipelines: steps, handles, runs that survive, the step cache, engines, triggers and schedules.

The face is lazy: a child process imports only what it needs of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucle.pipelines.codecs import ValueRef
    from bucle.pipelines.declared import Pipeline, PipelineSpec, pipeline
    from bucle.pipelines.errors import StepFailed, UnknownRun
    from bucle.pipelines.evaluation import evaluate
    from bucle.pipelines.events import RunFailed, RunFinished, RunResumed, RunStarted, StepFinished, StepStarted
    from bucle.pipelines.executing import execute
    from bucle.pipelines.handles import Handle
    from bucle.pipelines.launching import CHECK, Firing
    from bucle.pipelines.lint import check_pipeline
    from bucle.pipelines.orders import Result, WorkOrder
    from bucle.pipelines.reactions import Triggers
    from bucle.pipelines.rehearsing import StepCall, rehearse
    from bucle.pipelines.runs import (
        Attempt,
        PipelineRun,
        StepRead,
        StepRun,
        get_pipeline_run,
        list_attempts,
        list_pipeline_runs,
        list_reads,
        list_steps,
        log_tail,
    )
    from bucle.pipelines.scripts import OpenedRun, ScriptRun, register_connector
    from bucle.pipelines.steps import Step, step
    from bucle.pipelines.supervisor import Runs
    from bucle.pipelines.triggers import on_degradation, on_drift, on_new_data, on_schedule

_FACE = {
    "CHECK": "launching",
    "Attempt": "runs",
    "Firing": "launching",
    "Handle": "handles",
    "Pipeline": "declared",
    "PipelineRun": "runs",
    "PipelineSpec": "declared",
    "Result": "orders",
    "StepCall": "rehearsing",
    "register_connector": "scripts",
    "rehearse": "rehearsing",
    "RunFailed": "events",
    "RunFinished": "events",
    "RunResumed": "events",
    "RunStarted": "events",
    "Runs": "supervisor",
    "ScriptRun": "scripts",
    "OpenedRun": "scripts",
    "Triggers": "reactions",
    "Step": "steps",
    "StepFailed": "errors",
    "StepFinished": "events",
    "StepRead": "runs",
    "StepRun": "runs",
    "StepStarted": "events",
    "UnknownRun": "errors",
    "ValueRef": "codecs",
    "WorkOrder": "orders",
    "check_pipeline": "lint",
    "evaluate": "evaluation",
    "execute": "executing",
    "get_pipeline_run": "runs",
    "list_attempts": "runs",
    "list_pipeline_runs": "runs",
    "list_reads": "runs",
    "list_steps": "runs",
    "log_tail": "runs",
    "on_degradation": "triggers",
    "on_drift": "triggers",
    "on_new_data": "triggers",
    "on_schedule": "triggers",
    "pipeline": "declared",
    "step": "steps",
}

__all__ = [
    "CHECK",
    "Attempt",
    "Firing",
    "Handle",
    "OpenedRun",
    "Pipeline",
    "PipelineRun",
    "PipelineSpec",
    "Result",
    "RunFailed",
    "RunFinished",
    "RunResumed",
    "RunStarted",
    "Runs",
    "ScriptRun",
    "Step",
    "StepCall",
    "StepFailed",
    "StepFinished",
    "StepRead",
    "StepRun",
    "StepStarted",
    "Triggers",
    "UnknownRun",
    "ValueRef",
    "WorkOrder",
    "check_pipeline",
    "evaluate",
    "execute",
    "get_pipeline_run",
    "list_attempts",
    "list_pipeline_runs",
    "list_reads",
    "list_steps",
    "log_tail",
    "on_degradation",
    "on_drift",
    "on_new_data",
    "on_schedule",
    "pipeline",
    "register_connector",
    "rehearse",
    "step",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FACE[name]}"), name)
    return value
