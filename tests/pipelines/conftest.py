"""A home, a project in a folder, and its runs, with real child processes of this interpreter."""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bucle.artifacts import ArtifactStore
from bucle.ledger import Home, Scope, acting
from bucle.pipelines import PipelineRun, Runs, StepRun, list_steps
from bucle.pipelines.codecs import ValueRef
from bucle.project import working_tree
from bucle.runtimes import Code, RunnerPool, load_code

TOML = '[project]\nname = "demo"\ndefinitions = "demo"\n[environments.test]\n[environments.production]\n'
DEV = Scope("demo", "dev")


@dataclass
class Place:
    """What a test has at hand."""

    home: Home
    root: Path
    store: ArtifactStore
    runners: RunnerPool
    runs: Runs

    def write(self, text: str, name: str = "demo.py") -> None:
        (self.root / name).write_text("import bucle\n" + textwrap.dedent(text))

    def code(self) -> Code:
        return load_code(self.home, self.runners, working_tree(self.root))

    def run(self, name: str = "main", engine: str = "inline", **parameters: Any) -> PipelineRun:
        with acting("ana", "data_scientist"):
            run_id = self.runs.start(self.code(), DEV, name, parameters, engine=engine)
        assert run_id is not None
        return self.runs.wait(run_id, 60)

    def steps(self, run: PipelineRun) -> dict[str, StepRun]:
        with self.home.ledger.read() as reader:
            return {step.call: step for step in list_steps(reader, run.id)}

    def value(self, ref: ValueRef | None) -> Any:
        assert ref is not None
        if ref.codec == "tuple":
            return tuple(self.value(part) for part in ref.parts)
        return msgspec.json.decode(self.store.get_bytes(ref.artifact))


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[[], Place]]:
    opened: list[Place] = []

    def make() -> Place:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        (root / "bucle.toml").write_text(TOML)
        home = Home.open(tmp_path / "home")
        store = ArtifactStore(home.folder("artifacts"))
        runners = RunnerPool(4, artifacts=store.root)
        opened.append(Place(home, root, store, runners, Runs(home, store, runners, cores=2)))
        return opened[-1]

    yield make
    for place in opened:
        place.runs.close()
        place.runners.close()
        place.home.close()


@pytest.fixture
def place(make_place: Callable[[], Place]) -> Place:
    return make_place()
