"""Pages of a home in which much happened: what they show, in both languages, and that no text of others becomes markup."""

import json
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from tests.server.pages.furnishing import EVIL, Furnished

from bucle.client import Client
from bucle.errors import RemoteError
from bucle.server.pages import PAGES


def all_paths(here: Furnished) -> list[str]:
    ids = {"project": "p", "service": here.service, "run": here.run, "rollout": here.rollout, "model": "delay", "version": "3"}
    paths = [page.path.format(**ids) for page in PAGES if "{id}" not in page.path]
    subjects = (here.prediction, here.alert, here.item, here.run, here.check, here.release, here.pending, here.deployment)
    return [*paths, *(f"/why/{id}" for id in subjects)]


def html(client: Client, path: str, language: str = "en") -> str:
    answer = client._transport.send("GET", path, {"Accept": "text/html", "Accept-Language": language}, None)
    assert answer.status == 200, (path, answer.body[:800])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.body.decode()


def twin(path: str) -> str:
    return "/index.json" if path == "/" else f"{path}.json"


class Markup(HTMLParser):
    """Notes what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.acts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and given.get("src") not in ("/static/live.js", "/static/theme.js"):
            self.acts.append("script")
        self.acts += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        links = [given.get(name) or "" for name in ("href", "src", "action")]
        self.acts += [f"{tag} {link}" for link in links if re.match(r"\s*(javascript|data|vbscript):|//", link, re.I)]
        if tag == "img":
            self.acts.append("img")


@pytest.mark.parametrize("language", ["en", "es"])
def test_no_text_of_others_becomes_markup_on_any_page(visitor: Client, furnished: Furnished, language: str) -> None:
    for path in all_paths(furnished):
        reader = Markup()
        reader.feed(html(visitor, path, language))
        assert reader.acts == [], path


def test_the_probe_is_shown_where_it_was_planted(visitor: Client, furnished: Furnished) -> None:
    """Else the test above looks for it in vain."""
    tabs = ("services/delay", "alerts", "delivery", "work", f"runs/{furnished.run}", "compare", f"rollouts/{furnished.rollout}")
    for path in (f"/why/{furnished.deployment}", *(f"/projects/p/{tab}" for tab in tabs)):
        assert "&lt;script&gt;alert(1)" in html(visitor, path), path


def test_what_an_alert_found_is_said_in_the_reader_s_language(visitor: Client, furnished: Furnished) -> None:
    for path in ("/projects/p/alerts", "/projects/p/services/delay?environment=production"):
        for language, words in (("en", "does not look like training"), ("es", "ya no se parece al entrenamiento")):
            assert words in html(visitor, path, language), (path, language)
    route = "/api/v1/projects/p/alerts?environment=production"
    answer = visitor._transport.send("GET", route, {"Accept-Language": "es"}, None)
    assert "ya no se parece al entrenamiento" in answer.body.decode()


def test_a_rollout_and_its_judges_speak_the_reader_s_language_on_pages_twins_and_routes(
    visitor: Client, furnished: Furnished
) -> None:
    page, route = f"/projects/p/rollouts/{furnished.rollout}", f"/api/v1/projects/p/rollouts/{furnished.rollout}"
    for path in (page, f"{page}.json", route, "/projects/p/rollouts.json"):
        for language, others in (("es", "of the challenger failed"), ("en", "De la versión nueva fallaron")):
            answer = visitor._transport.send("GET", path, {"Accept-Language": language}, None)
            judged = {"es": "De la versión nueva fallaron", "en": "of the challenger failed"}[language]
            assert judged in answer.body.decode() and others not in re.sub(r'"said":\{[^}]*\}', "", answer.body.decode()), path


def test_every_page_has_a_twin_with_the_same_document(visitor: Client, furnished: Furnished) -> None:
    for path in all_paths(furnished):
        assert isinstance(visitor.get(twin(path)), dict), path
        assert f'href="{twin(path)}"' in html(visitor, path)


def test_every_page_is_in_spanish_for_who_reads_it(visitor: Client, furnished: Furnished) -> None:
    for path in all_paths(furnished):
        text = html(visitor, path, "es-AR,es;q=0.9")
        assert 'lang="es"' in text and "Ir al contenido" in text


def test_every_link_within_a_page_leads_somewhere(visitor: Client, furnished: Furnished) -> None:
    for path in all_paths(furnished):
        for link in set(re.findall(r'href="(/(?:projects|why)/[^"]*)"', html(visitor, path))):
            if "/why/mv_" not in link:  # deployed here are versions that were never registered
                answer = visitor._transport.send("GET", unescape(link), {"Accept": "text/html"}, None)
                assert answer.status == 200, f"{path} links to {link}"


def test_services_say_what_answers_where(visitor: Client, furnished: Furnished) -> None:
    (row,) = visitor.get("/projects/p/services.json")["services"]
    assert (row["name"], row["environment"], row["deployment"]["id"]) == ("delay", "production", furnished.deployment)
    assert row["traffic"]["requests"] > 20 and row["traffic"]["p50"] < 0.01
    assert row["alerts"] == 3


def test_a_service_shows_performance_losses_drift_and_callers(visitor: Client, furnished: Furnished) -> None:
    document = visitor.get("/projects/p/services/delay.json?environment=production")
    watched = document["watched"]
    assert document["predictions"][0]["id"] == furnished.prediction
    assert document["callers"][0]["caller"] == EVIL
    assert any(window["performance"]["loss"] for window in watched["windows"])
    assert watched["loss"]["retrain_cost"] == 20.0 and watched["excess_chart"]["curves"]
    assert [each["name"] for each in watched["drift"]] == ["origin", "wind"]
    assert {each["slice"] for each in watched["slices"]} == {"", "origin=EWR", f"origin={EVIL}"}
    available, quick = watched["objectives"]
    assert (available["state"], available["bad"]) == ("ok", 4) and available["requests"] > 1000
    assert abs(available["remaining"] - (1 - 4 / (0.01 * available["requests"]))) < 1e-6
    assert (quick["state"], quick["bad"]) == ("exhausted", 300)
    scraped = visitor._transport.send("GET", "/metrics", {}, None).body.decode()
    here = 'objective="availability"'
    assert [line for line in scraped.splitlines() if line.startswith("bucle_objective_budget_remaining{") and here in line]
    assert "bucle_objective_burn_rate{" in scraped and 'rule="1h"' in scraped
    text = html(visitor, "/projects/p/services/delay")
    assert "Budget left" in text and f"{100 * available['remaining']:.1f} %" in text and "exhausted" in text
    assert 'class="limit"' in text and 'class="curve"' in text and "insufficient data" in text
    assert f'href="/why/{furnished.prediction}"' in text


def test_versions_stand_side_by_side_with_what_differs(visitor: Client, furnished: Furnished) -> None:
    document = visitor.get("/projects/p/compare.json?version=delay@1&version=delay@2")
    assert [each["name"] for each in document["columns"]] == list(furnished.versions[:2])
    assert document["same_rows"] and document["signature"] == [] and document["same_inputs"] == 2
    assert [line["name"] for line in document["code"]] == ["scikit-learn"]
    (pair,) = document["pairs"]
    assert (pair["version"], pair["champion"], pair["gain"]["low"]) == ("delay@2", "delay@1", -0.002)
    assert [line["values"] for line in document["metrics"] if line["name"] == "roc_auc"] == [[0.71, 0.72]]
    assert {gate and gate["passed"] for gate in document["gates"][1]["gates"]} == {None, False}
    assert all(bar["tone"] == "bad" for bar in document["slice_chart"]["bars"])
    assert "may be chance" in html(visitor, "/projects/p/compare?version=delay@1&version=delay@2")


def test_versions_of_other_rows_are_said_to_be_beyond_comparison(visitor: Client) -> None:
    path = "/projects/p/compare?version=delay@3&version=delay@1"
    assert "cannot be compared with each other" in html(visitor, path)
    (line,) = visitor.get(path.replace("?", ".json?"))["signature"]
    assert line["name"] == EVIL and line["values"][1] is None


def test_without_a_choice_the_newest_two_stand_side_by_side(visitor: Client, furnished: Furnished) -> None:
    columns = visitor.get("/projects/p/compare.json")["columns"]
    assert [each["name"] for each in columns] == list(furnished.versions[1:])


def test_versions_that_are_not_there_or_too_many_are_refused(visitor: Client) -> None:
    many = "&".join(f"version=delay@{number}" for number in range(7))
    for query, code in (("version=delay@77", "registry/unknown-version"), (many, "server/bad-parameter")):
        with pytest.raises(RemoteError) as caught:
            visitor.get(f"/projects/p/compare.json?{query}")
        assert caught.value.code == code


def test_a_rollout_shows_its_evidence_as_it_grew_to_the_threshold(visitor: Client, furnished: Furnished) -> None:
    document = visitor.get(f"/projects/p/rollouts/{furnished.rollout}.json")
    errors = next(each for each in document["judges"] if each["judgement"]["name"] == "errors")
    chart, last = errors["chart"], document["rollout"]["points"][-1]
    assert errors["judgement"]["verdict"] == "worse" and document["share"] == 0
    assert chart["dots"][-1]["y"] <= chart["level"] < chart["dots"][0]["y"]
    assert chart["dots"][-1]["at"] == str(last["challenger_rows"])
    assert len(chart["parts"]) == 1, "the canary began"
    text = html(visitor, f"/projects/p/rollouts/{furnished.rollout}")
    assert 'class="limit"' in text and "it went back here" in text and text.count("<details") == 3
    assert "aquí se volvió atrás" in html(visitor, f"/projects/p/rollouts/{furnished.rollout}", "es")


def test_rollouts_are_listed_and_one_that_is_not_there_is_refused(visitor: Client, furnished: Furnished) -> None:
    assert [each["id"] for each in visitor.get("/projects/p/rollouts.json")["rollouts"]] == [furnished.rollout]
    with pytest.raises(RemoteError) as caught:
        visitor.get("/projects/p/rollouts/roll_none.json")
    assert caught.value.code == "delivery/unknown-rollout"


def test_every_picture_has_a_text_beside_it(visitor: Client, furnished: Furnished) -> None:
    for path in all_paths(furnished):
        for picture in re.findall(r"<svg[^>]*>", html(visitor, path)):
            assert 'role="img"' in picture and re.search(r'aria-label="[^"]{3,}"', picture), (path, picture)


def test_why_of_a_prediction_names_its_deployment(visitor: Client, furnished: Furnished) -> None:
    document = visitor.get(f"/why/{furnished.prediction}.json")
    assert furnished.deployment in {event["subject"] for event in document["events"]}
    assert furnished.deployment in {edge["source"] for edge in document["edges"]}


def test_long_lists_of_causes_are_folded_and_lose_none(visitor: Client, furnished: Furnished) -> None:
    events = [event for path in all_paths(furnished) if "/why/" in path for event in visitor.get(f"{path}.json")["events"]]
    event = max(events, key=lambda event: len(event["caused_by"]))
    row = html(visitor, f"/why/{event['seq']}").split("</tr>")[1]
    before, folded = row.split(f'<details id="causes-{event["seq"]}"><summary>')
    linked = [re.findall(r'href="/why/(\d+)">\1<', text) for text in (before, folded)]
    assert [len(part) for part in linked] == [5, len(event["caused_by"]) - 4], "the event itself and four causes are shown"
    assert [int(seq) for seq in linked[0][1:] + linked[1]] == event["caused_by"]
    assert folded.startswith(f"{len(event['caused_by']) - 4} more<")


def test_a_service_that_is_not_there_is_not_shown(visitor: Client) -> None:
    for path in ("services/nobody.json", "services/delay.json?environment=staging"):
        with pytest.raises(RemoteError) as caught:
            visitor.get(f"/projects/p/{path}")
        assert caught.value.code == "serving/nothing-deployed"


def test_alerts_say_what_followed(visitor: Client, furnished: Furnished) -> None:
    document = visitor.get("/projects/p/alerts.json")
    rows = {row["alert"]["id"]: row for row in document["alerts"]}
    assert document["alerts"][0]["alert"]["state"] == "firing"
    assert [each["id"] for each in rows[furnished.alert]["runs"]] == [furnished.run]
    assert [each["id"] for each in rows[furnished.alert]["work"]] == [furnished.item]
    assert rows[furnished.alert]["alert"]["numbers"] == {"excess": 31.5}


def test_delivery_shows_checks_releases_and_what_waits(visitor: Client, furnished: Furnished) -> None:
    document = visitor.get("/projects/p/delivery.json")
    assert [each["state"] for each in document["promotions"]] == ["pending", "done"]
    assert document["promotions"][0]["id"] == furnished.pending
    assert {run["id"]: run["state"] for run in document["checks"]}[furnished.check] == "failed"
    assert [each["id"] for each in document["releases"]] == [furnished.release]
    running = {row["name"]: row["pointer"] for row in document["environments"]}
    assert running["test"]["release_id"] == furnished.release and running["production"] is None
    assert f"/api/v1/projects/p/checks/{furnished.check}/lint/log" in html(visitor, "/projects/p/delivery")


def test_who_may_see_one_environment_sees_that_one(visitor: Client, furnished: Furnished) -> None:
    seeing, blind = (_token(visitor, environment) for environment in ("production", "staging"))
    page = visitor._transport.send("GET", "/projects/p/services.json", seeing, None)
    assert [row["environment"] for row in json.loads(page.body)["services"]] == ["production"]
    for path in ("services", "alerts", "delivery"):
        assert visitor._transport.send("GET", f"/projects/p/{path}.json", blind, None).status == 404


def _token(visitor: Client, environment: str) -> dict[str, str]:
    body = {"name": f"{environment}-viewer", "role": "viewer", "project": "p", "environment": environment}
    return {"Authorization": f"Bearer {visitor.post('/api/v1/tokens', body)['token']}"}
