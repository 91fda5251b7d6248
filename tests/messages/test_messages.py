"""Both languages say the same things, with the same fields."""

import re
import tomllib
from pathlib import Path

import pytest

import bucle.messages
from bucle.messages import LANGUAGES, say

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
