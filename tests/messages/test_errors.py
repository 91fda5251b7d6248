"""Every error speaks both languages: what happened and what to do next, with the same fields."""

import re
import tomllib
from pathlib import Path

from tests.docs.surface import every_code

import bucle.messages

CATALOGUE = tomllib.loads((Path(bucle.messages.__file__).parent / "es.toml").read_text("utf-8"))["errors"]


def fields(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)", text))


def test_every_error_has_its_spanish_and_no_other_has() -> None:
    assert CATALOGUE.keys() == every_code().keys()
    assert [code for code, texts in CATALOGUE.items() if texts.keys() != {"message", "next"}] == []


def test_both_languages_have_the_same_fields() -> None:
    for code, kind in every_code().items():
        spanish = CATALOGUE[code]
        assert fields(spanish["message"]) == fields(kind.message), code
        assert fields(spanish["next"]) == fields(kind.next), code


def test_no_text_is_left_in_english() -> None:
    same = [
        code
        for code, kind in every_code().items()
        for part, english in (("message", kind.message), ("next", kind.next))
        if CATALOGUE[code][part] == english and len(re.findall(r"[a-z]{3,}", re.sub(r"`[^`]*`|\{[^}]*\}", "", english))) > 2
    ]
    assert same == []
