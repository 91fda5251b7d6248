"""The worker's side of the process engine: runs in a child process of the code's runtime."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from bucle.artifacts import ArtifactStore
from bucle.pipelines.executing import Workplace, execute
from bucle.pipelines.orders import Result, WorkOrder
from bucle.runtimes import Child


def execute_in_child(payload: WorkOrder, child: Child) -> Result:
    """Entry point of a child: execute one order."""
    return execute(payload, workplace(child))


def workplace(child: Child) -> Workplace:
    """Return what a child has at hand for its orders."""
    return Workplace(_store(child.artifacts), child.root, scratch_folder(), child.definitions)


@cache
def _store(folder: Path) -> ArtifactStore:
    return ArtifactStore(folder)


@cache
def scratch_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bucle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
