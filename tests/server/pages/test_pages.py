"""Every page answers, in both languages, with its twin; a project that is not there is not shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.client import Client, connect
from bucle.errors import RemoteError
from bucle.server.pages import PAGES

PROJECT_PAGES = [page.path for page in PAGES if page.path.count("{") == 1 and "{project}" in page.path]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("project")
    (root / "bucle.toml").write_text(
        '[project]\nname = "p"\ndefinitions = "p"\n[charter]\nproblem = "x"\ntask = "classification"\nowner = "o"\n', "utf-8"
    )
    with connect(home=root / ".bucle", project="p") as opened:
        opened.post("/api/v1/projects", {"root": str(root)})
        yield opened


def html(client: Client, path: str, **headers: str) -> str:
    answer = client._transport.send("GET", path, {"Accept": "text/html", **headers}, None)
    assert answer.status == 200, answer.body[:500]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    return answer.body.decode()


@pytest.mark.parametrize("path", ["/", *PROJECT_PAGES])
def test_a_page_answers_and_names_its_twin(client: Client, path: str) -> None:
    here = path.replace("{project}", "p")
    text = html(client, here)
    twin = "/index.json" if here == "/" else f"{here}.json"
    assert f'href="{twin}"' in text
    assert isinstance(client.get(twin), dict)


def test_a_page_speaks_the_language_of_the_browser(client: Client) -> None:
    assert "Ir al contenido" in html(client, "/", **{"Accept-Language": "es-AR"})


def test_why_of_an_event_and_its_twin(client: Client) -> None:
    assert "project.registered" in html(client, "/why/1")
    assert client.get("/why/1.json")["events"][0]["seq"] == 1


@pytest.mark.parametrize("path", PROJECT_PAGES)
def test_a_project_that_is_not_there_is_not_found(client: Client, path: str) -> None:
    with pytest.raises(RemoteError) as caught:
        client.get(path.replace("{project}", "nobody") + ".json")
    assert caught.value.status == 404


def test_markup_in_a_name_is_shown_as_text(client: Client, tmp_path: Path) -> None:
    client.post(client.path("work"), {"title": "<script>alert(1)</script>", "kind": "bug"})
    assert "<script>alert" not in html(client, "/projects/p/work")
