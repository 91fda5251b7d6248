"""A small project, and runners of the interpreter that runs the tests."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bucle.project import Checkout, working_tree

sys.path.insert(0, str(Path(__file__).parent))  # for runner_entries, in the children too
PROJECT = '[project]\nname = "small"\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "small-project"
    (root / "small").mkdir(parents=True)
    (root / "bucle.toml").write_text(PROJECT)
    (root / "small" / "__init__.py").write_text('"""A project."""\n')
    return root


@pytest.fixture
def write(root: Path) -> Callable[[str], Checkout]:
    """Replace the code of the small project, and return its working tree."""

    def replace(code: str) -> Checkout:
        (root / "small" / "__init__.py").write_text(code)
        return working_tree(root)

    return replace
