"""The oracle of the point-in-time rules, loaded from its verbatim copy."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

_ORACLE = Path(__file__).parent.parent / "oracles" / "pit.py"


@pytest.fixture(scope="session")
def pit() -> ModuleType:
    """The independent slow implementation of rules R1 to R10."""
    spec = importlib.util.spec_from_file_location("pit_oracle", _ORACLE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
