"""The names that somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST = 8


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known names that `name` may have meant, the likeliest first; all of them when none is near."""
    names = sorted(set(known))
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if not close:
        folded = {each.casefold(): each for each in names}
        close = [folded[each] for each in get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
    return ", ".join(close or names[:_MOST]) or "none"
