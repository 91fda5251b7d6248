"""The names that somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from bucle.messages import Phrase

_MOST = 8


def suggest(name: str, known: Iterable[str]) -> Phrase:
    """Return, as a phrase, the next thing to do about a name that is not known: the nearest, all there are, or none."""
    names = sorted(set(known))
    if not names:
        return Phrase("suggest.none")
    close = _close(name, names)
    return Phrase("suggest.near" if close else "suggest.all", {"names": ", ".join(close or names[:_MOST])})


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names that `name` may have meant, the likeliest first; all of them when none is near."""
    names = sorted(set(known))
    return ", ".join(_close(name, names) or names[:_MOST]) or "none"


def _close(name: str, names: list[str]) -> list[str]:
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if not close:
        folded = {each.casefold(): each for each in names}
        close = [folded[each] for each in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
    return close
