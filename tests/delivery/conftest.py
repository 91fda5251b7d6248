"""One server for all tests of a session; each test has a project name of its own."""

from collections.abc import Iterator

import pytest
from tests.delivery.developing import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("delivery") / "home")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that makes only the first check of a commit: for what comes after the checks."""
    server = Server(tmp_path_factory.mktemp("quick") / "home", quick=True)
    server.start()
    yield server
    server.stop()
