"""A real home for each test, within a project's scope."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.ledger import Home, Ledger, Scope, acting, within


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    home = Home.open(tmp_path / "home")
    with acting("ana", "data_scientist"), within(Scope("flights", "dev")):
        yield home.ledger
    home.close()
