"""Runtimes: locked environments, and child processes that run a project's code in them.

The face is lazy: a child process imports only what it needs of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucle.runtimes.child import Child
    from bucle.runtimes.code import Code, described_commit, load_code
    from bucle.runtimes.errors import InstallFailed, ProjectCodeFailed, RunnerDied, RunnerTimeout
    from bucle.runtimes.installation import ensure_runtime, list_runtimes
    from bucle.runtimes.interpreter import Runtime, current_runtime
    from bucle.runtimes.locks import Lock, lock_requirements, read_lock
    from bucle.runtimes.pool import RunnerPool
    from bucle.runtimes.runner import Runner
    from bucle.runtimes.seedbed import Seedbed
    from bucle.runtimes.uv import uv_version
    from bucle.runtimes.wheel import own_wheel
    from bucle.runtimes.wire import Limits

_FACE = {
    "Child": "child",
    "Code": "code",
    "InstallFailed": "errors",
    "Limits": "wire",
    "Lock": "locks",
    "ProjectCodeFailed": "errors",
    "Runner": "runner",
    "RunnerDied": "errors",
    "RunnerPool": "pool",
    "RunnerTimeout": "errors",
    "Runtime": "interpreter",
    "Seedbed": "seedbed",
    "current_runtime": "interpreter",
    "described_commit": "code",
    "ensure_runtime": "installation",
    "list_runtimes": "installation",
    "load_code": "code",
    "lock_requirements": "locks",
    "own_wheel": "wheel",
    "read_lock": "locks",
    "uv_version": "uv",
}

__all__ = [
    "Child",
    "Code",
    "InstallFailed",
    "Limits",
    "Lock",
    "ProjectCodeFailed",
    "Runner",
    "RunnerDied",
    "RunnerPool",
    "RunnerTimeout",
    "Runtime",
    "Seedbed",
    "current_runtime",
    "described_commit",
    "ensure_runtime",
    "list_runtimes",
    "load_code",
    "lock_requirements",
    "own_wheel",
    "read_lock",
    "uv_version",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FACE[name]}"), name)
    return value
