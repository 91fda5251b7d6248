"""Pages in a real Chromium: no script error, nothing refused by policy, nothing wider than the window, live."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.browser import Browser, browser
from tests.live import Server, up
from tests.server.pages.furnishing import Furnished

from bucle.client import connect
from bucle.server.pages import PAGES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a copy of the furnished home: the original is open in another test."""
    home = tmp_path_factory.mktemp("browsed") / "home"
    shutil.copytree(furnished.home, home, ignore=shutil.ignore_patterns("lock"))
    with up(home) as server:
        yield server


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_load_without_complaint_and_fit_the_window(
    tab: Browser, running: Server, furnished: Furnished, tmp_path: Path, width: int, dark: bool
) -> None:
    ids = {"project": "p", "service": furnished.service, "run": furnished.run, "id": furnished.deployment}
    ids |= {"rollout": furnished.rollout, "model": "delay", "version": "3"}
    tab.look(width, dark)
    for page in PAGES:
        tab.complaints.clear()
        tab.open(running.url + page.path.format(**ids))
        assert tab.complaints == [], page.path
        assert tab.value("document.documentElement.scrollWidth") <= width, page.path
        assert tab.value("getComputedStyle(document.querySelector('main')).maxWidth") == "1180px", "the style did not load"
        tab.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 1000


def test_an_event_changes_an_open_page(tab: Browser, running: Server) -> None:
    tab.look(1280)
    tab.complaints.clear()
    tab.open(f"{running.url}/projects/p/work")
    assert "found while looking" not in tab.value("document.querySelector('main').textContent")
    with connect(url=running.url, project="p") as client:
        client.post(client.path("work"), {"title": "found while looking", "kind": "bug"})
    tab.wait_for("document.querySelector('main').textContent.includes('found while looking')")
    assert tab.complaints == []


def test_a_page_says_when_it_is_no_longer_live(tab: Browser, furnished: Furnished, tmp_path: Path) -> None:
    shutil.copytree(furnished.home, tmp_path / "home", ignore=shutil.ignore_patterns("lock"))
    with up(tmp_path / "home") as server:
        tab.open(f"{server.url}/projects/p/work")
        tab.wait_for("document.querySelector('[data-connection]').textContent === ''")
        server.kill()
        tab.wait_for("document.querySelector('[data-connection]').textContent !== ''")


def test_without_a_browser_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(AssertionError, match="apt-get install chromium"), browser():
        pass
