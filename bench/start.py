"""The budgets of architecture.md: imports, help, start and memory of the server, the closure of the core."""

import importlib.metadata
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

BUCLE = [sys.executable, "-m", "bucle"]


def cpu(command: list[str]) -> float:
    """Return the CPU seconds of a command, best of seven."""
    best = float("inf")
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def closure(name: str = "bucle") -> set[str]:
    """Return the distributions that `name` needs without extras, itself included."""
    found, waiting = set(), [name]
    while waiting:
        current = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if current in found:
            continue
        try:
            required = importlib.metadata.requires(current) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(current)
        waiting += [re.split(r"[\s<>=!~;\[(]", each)[0] for each in required if "extra ==" not in each]
    return found


def megabytes(names: set[str]) -> float:
    """Return the installed size of distributions in MB."""
    total = 0
    for name in names:
        distribution = importlib.metadata.distribution(name)
        files = [Path(str(distribution.locate_file(file))) for file in distribution.files or []]
        total += sum(file.stat().st_size for file in files if file.is_file())
    return total / 1e6


def server() -> tuple[float, float]:
    """Return seconds until /health answers and the resident MB of a fresh server."""
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        process = subprocess.Popen([*BUCLE, "--home", home, "up", "--port", "0"], stdout=subprocess.DEVNULL)
        try:
            while True:
                try:
                    url = json.loads((Path(home) / "server.json").read_text("utf-8"))["url"]
                    urllib.request.urlopen(f"{url}/health", timeout=1).read()
                    break
                except (OSError, ValueError):
                    time.sleep(0.01)
            seconds = time.perf_counter() - started
            status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
            return seconds, int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024
        finally:
            process.terminate()
            process.wait(timeout=60)


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}")
    bare = cpu([sys.executable, "-c", "pass"])
    print(f"import bucle       {cpu([sys.executable, '-c', 'import bucle']) - bare:7.3f} s CPU over bare   budget 0.1")
    print(f"bucle --help       {cpu([*BUCLE, '--help']) - bare:7.3f} s CPU over bare   budget 0.15")
    seconds, resident = server()
    print(f"bucle up answers   {seconds:7.2f} s                 budget 1.5")
    print(f"resident memory    {resident:7.0f} MB                budget 150")
    core = closure()
    print(f"core closure       {len(core):7d} distributions     budget 40")
    print(f"core closure       {megabytes(core):7.0f} MB                budget 580")
