"""A clinic in production, made once; each test has a copy of its home."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.audit.clinic import Clinic, copied, make_clinic, opened


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clinic")
    make_clinic(folder)
    return folder


@pytest.fixture
def clinic(template: Path, tmp_path: Path) -> Iterator[Clinic]:
    with opened(copied(template, tmp_path)) as found:
        yield found
