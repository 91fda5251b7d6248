"""The message catalogue: texts for people, in English and Spanish. English error texts stand with their errors."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from bucle.errors import BucleError

LANGUAGES = ("en", "es")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text of the catalogue with its fields, to be said when it is known in which language; `str` says it in English.

    As a field of an error, or of another phrase, it is said in the language of the reader.
    """

    key: str
    fields: Mapping[str, "Said"] = field(default_factory=dict)

    def text(self, lang: str | None = None) -> str:
        """Return the text in a language, else in that of this process.

        A stored phrase may be older than the catalogue: one whose text is gone, or wants other fields, still tells its numbers.
        """
        fields = {name: value.text(lang) if isinstance(value, Phrase) else value for name, value in self.fields.items()}
        try:
            return say(self.key, lang, **fields)
        except (LookupError, ValueError):
            numbers = ", ".join(f"{name} {value}" for name, value in fields.items())
            return say("phrase.without_fields" if not numbers else "phrase.unknown", lang, key=self.key, numbers=numbers)

    def __str__(self) -> str:
        return self.text("en")


Said = str | int | float | Phrase
"""What a field of a phrase may be."""


def joined(how: str, first: Phrase, *more: Phrase) -> Phrase:
    """Return several phrases as one; `how` is "and", "or", "list" (with semicolons) or "then" (one sentence after another)."""
    return Phrase(f"join.{how}", {"first": first, "rest": joined(how, *more)}) if more else first


def language() -> str:
    """Return the language of this process: `BUCLE_LANG`, else English."""
    wanted = os.environ.get("BUCLE_LANG", "en")[:2]
    return wanted if wanted in LANGUAGES else "en"


def say(key: str, lang: str | None = None, /, **fields: object) -> str:
    """Return the text of `key`, a dotted name such as `"demo.push"`, with its fields filled in."""
    chosen = _catalogue(lang or language())
    return (chosen.get(key) or _catalogue("en")[key]).format(**fields)


def translate_error(error: BucleError, lang: str | None = None) -> tuple[str, str]:
    """Return what happened and what to do next in the wanted language, English where there is no translation."""
    chosen = _catalogue(lang or language())
    message = chosen.get(f"errors.{error.code}.message")
    following = chosen.get(f"errors.{error.code}.next")
    fields = {name: value.text(lang) if isinstance(value, Phrase) else value for name, value in error.fields.items()}
    return (
        message.format(**fields) if message else error.text,
        following.format(**fields) if following else error.next_step,
    )


@cache
def _catalogue(lang: str) -> Mapping[str, str]:
    import tomllib
    from importlib import resources

    text = resources.files(__package__).joinpath(f"{lang}.toml").read_text("utf-8")
    return dict(_flat(tomllib.loads(text), ""))


def _flat(table: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    entries: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        entries += _flat(value, f"{name}.") if isinstance(value, Mapping) else [(name, str(value))]
    return entries
