"""Both languages say the same things, with the same fields."""

import re
import tomllib
from pathlib import Path

import pytest

import bucle.messages
from bucle.data import UnknownSource
from bucle.messages import LANGUAGES, Phrase, say, translate_error
from bucle.project import suggest

FOLDER = Path(bucle.messages.__file__).parent


def flat(table: dict[str, object], prefix: str = "") -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, value in table.items():
        texts |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return texts


def catalogue(lang: str) -> dict[str, str]:
    texts = flat(tomllib.loads((FOLDER / f"{lang}.toml").read_text("utf-8")))
    return {key: text for key, text in texts.items() if not key.startswith("errors.")}


def fields(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", text))


def test_every_text_is_there_in_both_languages_with_the_same_fields() -> None:
    english, spanish = catalogue("en"), catalogue("es")
    assert english.keys() == spanish.keys()
    assert [key for key in english if fields(english[key]) != fields(spanish[key])] == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_text_is_filled_in(lang: str) -> None:
    assert "3" in say("pages.loop.count", lang, count=3)


@pytest.mark.parametrize(
    ("known", "english", "spanish"),
    [
        ((), "There is none yet: declare it first.", "Todavía no hay ninguno: declárelo primero."),
        (("weather", "planes"), "The nearest: weather.", "Los más parecidos: weather."),
        (("a", "b"), "There are: a, b.", "Hay: a, b."),
    ],
)
def test_what_somebody_may_have_meant_is_said_in_the_reader_s_language(
    known: tuple[str, ...], english: str, spanish: str
) -> None:
    error = UnknownSource(name="wether", hint=suggest("wether", known))
    assert (error.next_step, translate_error(error, "en")[1]) == (english, english)
    assert translate_error(error, "es")[1] == spanish


@pytest.mark.parametrize("key", [key for key in catalogue("en") if key.startswith(("alert.", "decision."))])
def test_numbers_of_alerts_have_their_form_in_both_languages(key: str) -> None:
    english = catalogue("en")[key]
    found = {name: 0.5 if ":" in english.split("{" + name)[1][:1] else 3 for name in fields(english)}
    for lang in LANGUAGES:
        assert "{" not in Phrase(key, found).text(lang)
    assert str(Phrase(key, found)) == Phrase(key, found).text("en") != Phrase(key, found).text("es")


@pytest.mark.parametrize(
    "stored",
    [
        Phrase("alert.of_an_older_bucle", {"feature": "wind", "now": 3.5}),
        Phrase("alert.rollout_errors", {"feature": "wind", "now": 3.5}),
        Phrase("alert", {"feature": "wind", "now": 3.5}),
    ],
    ids=["gone", "wants other fields", "a group"],
)
def test_a_stored_text_that_the_catalogue_no_longer_has_still_tells_its_numbers(stored: Phrase) -> None:
    assert stored.text("en") == f"{stored.key} (this bucle has no text for it): feature wind, now 3.5"
    assert stored.text("es") == f"{stored.key} (este bucle no tiene texto para ello): feature wind, now 3.5"
    assert str(Phrase("gone.too")) == "gone.too (this bucle has no text for it)"
