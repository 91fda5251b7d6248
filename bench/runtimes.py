"""What running a project's code in a child costs, and storing bytes: `bench/runtimes.py [--install]`."""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bucle.artifacts import ArtifactStore
from bucle.ledger import Home
from bucle.project import DescribeRequest, ProjectDescription, create_project, working_tree
from bucle.runtimes import RunnerPool, current_runtime, ensure_runtime, lock_requirements, own_wheel

DESCRIBE = "bucle.project:describe_in_child"


def median_ms(repeats: int, work: Callable[[], object]) -> float:
    """Return the median milliseconds of `work`."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1000


def runners(base: Path) -> None:
    """A warm call, with and without a log of its own, and a new child's first call."""
    made = create_project(base / "project", "blank", lock=lambda root: None)
    checkout, runtime = working_tree(made.file.root), current_runtime()
    pool = RunnerPool(1, artifacts=base / "artifacts")

    def fresh() -> None:
        with pool.lend(runtime, checkout, fresh=True) as runner:
            runner.call(DESCRIBE, DescribeRequest(), ProjectDescription)

    print(f"new child, first call      {median_ms(7, fresh):8.1f} ms")
    with pool.lend(runtime, checkout) as runner:

        def call(log: Path | None = None) -> ProjectDescription:
            return runner.call(DESCRIBE, DescribeRequest(), ProjectDescription, log=log)

        print(f"warm call                  {median_ms(2000, call):8.3f} ms")
        print(f"warm call with its log     {median_ms(2000, lambda: call(base / 'call.log')):8.3f} ms")
    pool.close()


def artifacts(base: Path) -> None:
    """Putting small and large bytes, and a file that has not changed."""
    store = ArtifactStore(base / "store")
    print(f"put 1 KB                   {median_ms(300, lambda: store.put_bytes(os.urandom(1024))):8.3f} ms")
    large = base / "large"
    large.write_bytes(os.urandom(100 << 20))
    os.utime(large, (time.time() - 60, time.time() - 60))
    print(f"put a file of 100 MiB      {median_ms(1, lambda: store.put_file(large)):8.1f} ms")
    time.sleep(2.1)
    store.put_file(large)
    print(f"the same, unchanged        {median_ms(100, lambda: store.put_file(large)):8.3f} ms")
    id = store.put_file(large)
    print(f"get 100 MiB, verified      {median_ms(3, lambda: store.get_bytes(id)):8.1f} ms")


def installing(base: Path) -> None:
    """A project's lock made and installed, with the packages in uv's cache and the bytecode in the user's."""
    home = Home.open(base / "home")
    wheels = home.folder("wheels")
    print(f"wheel of bucle             {median_ms(5, lambda: own_wheel(wheels)):8.1f} ms")
    made = create_project(base / "locked", "blank", lock=lambda root: None)
    print(f"bucle lock                 {median_ms(1, lambda: lock_requirements(made.file.root, wheels)):8.1f} ms")
    lock = made.file.root / "requirements.lock"
    print(f"install                    {median_ms(1, lambda: ensure_runtime(home, lock)):8.1f} ms")
    print(f"installed already          {median_ms(50, lambda: ensure_runtime(home, lock)):8.3f} ms")
    home.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--install", action="store_true", help="also lock and install a project (needs uv's cache or an index)")
    chosen = parser.parse_args()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    print(f"Python {platform.python_version()}, {machine}")
    with tempfile.TemporaryDirectory() as folder:
        runners(Path(folder))
        artifacts(Path(folder))
        if chosen.install:
            installing(Path(folder))
