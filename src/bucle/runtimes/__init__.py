"""Runtimes: locked environments, and child processes that run a project's code in them.

The face is lazy: a child process imports only what it needs of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucle.runtimes.child import Child
    from bucle.runtimes.errors import InstallFailed, ProjectCodeFailed, RunnerDied, RunnerTimeout
    from bucle.runtimes.interpreter import Runtime, current_runtime
    from bucle.runtimes.pool import RunnerPool
    from bucle.runtimes.runner import Runner
    from bucle.runtimes.wire import Limits

_FACE = {
    "Child": "child",
    "InstallFailed": "errors",
    "Limits": "wire",
    "ProjectCodeFailed": "errors",
    "Runner": "runner",
    "RunnerDied": "errors",
    "RunnerPool": "pool",
    "RunnerTimeout": "errors",
    "Runtime": "interpreter",
    "current_runtime": "interpreter",
}

__all__ = [
    "Child",
    "InstallFailed",
    "Limits",
    "ProjectCodeFailed",
    "Runner",
    "RunnerDied",
    "RunnerPool",
    "RunnerTimeout",
    "Runtime",
    "current_runtime",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FACE[name]}"), name)
    return value
