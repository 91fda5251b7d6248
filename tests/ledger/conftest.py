"""A home of one's own for each test."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bucle.ledger import Home

START = datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home")
    yield home
    home.close()


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home", replay_from=START)
    yield home
    home.close()
