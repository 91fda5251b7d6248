"""What the core's dependencies and bucle itself cost to import: CPU milliseconds over a bare interpreter, best of five."""

import platform
import resource
import subprocess
import sys

MODULES = ("bucle", "blake3", "click", "cronsim", "duckdb", "httptools", "jinja2", "msgspec", "numpy", "polars", "pyarrow",
           "rich.console", "starlette.responses", "uv", "uvicorn", "sklearn", "skops.io")  # fmt: skip


def cpu(code: str) -> float:
    """Return the CPU seconds of a child that runs `code`, best of five."""
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()} {platform.release()}")
    bare = cpu("pass")
    for module in MODULES:
        print(f"{module:22} {(cpu(f'import {module}') - bare) * 1000:6.0f} ms CPU")
