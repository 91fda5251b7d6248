"""From nothing to a trained model: `bucle init` of the flights template, then its first training (budget 30 s)."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUCLE = [sys.executable, "-m", "bucle"]


def timed(*words: str, directory: Path) -> float:
    """Run a command and return its seconds."""
    began = time.perf_counter()
    subprocess.run([*BUCLE, *words], cwd=directory, check=True, stdout=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}")
    with tempfile.TemporaryDirectory() as folder:
        made = timed(
            "init", "flights", "--template", "flights", "--replay-from", "2013-04-01T04:00:00Z", directory=Path(folder)
        )
        trained = timed("run", "train_delay", directory=Path(folder) / "flights")
        models = subprocess.run(
            [*BUCLE, "models", "--json"], cwd=Path(folder) / "flights", check=True, capture_output=True, timeout=600
        )
        print(f"bucle init         {made:6.1f} s")
        print(f"bucle run          {trained:6.1f} s")
        print(f"together           {made + trained:6.1f} s    budget 30")
        print(f"models registered  {len(json.loads(models.stdout))}")
