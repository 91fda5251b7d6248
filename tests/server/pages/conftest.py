"""One furnished home for all tests of pages."""

from collections.abc import Iterator

import pytest
from tests.server.pages.furnishing import Furnished, furnish

from bucle.client import Client, connect


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    return furnish(tmp_path_factory.mktemp("furnished") / "p")


@pytest.fixture(scope="session")
def visitor(furnished: Furnished) -> Iterator[Client]:
    with connect(home=furnished.home, project="p") as client:
        yield client
