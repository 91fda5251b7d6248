"""What the pages speak of: command lines, routes, and the names in backquotes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(
    r"(?:\b(GET|POST|PUT|PATCH|DELETE) )?(?<![\w.-])(?:https?://[\w.]+:\d+|localhost:\d+)?(/(?:api/v1|v2|git|projects)/[^\s`'\"?,;)\]|]+)"
)
_SHELL = {"console", "bash", ""}


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Return the fenced blocks of a page: language, further info, text."""
    return [(language, info.strip(), text) for language, info, text in FENCE.findall(page.read_text("utf-8"))]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


def quoted(page: Path) -> list[str]:
    """Return what stands in backquotes, over line ends."""
    return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", prose(page))]


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of bucle: in backquotes, in shell blocks, in indented blocks."""
    lines = [text for text in quoted(page) if text.startswith("bucle ")]
    for language, _, text in blocks(page):
        if language in _SHELL:
            lines += text.replace("\\\n", " ").splitlines()
    lines += re.findall(r"^    (bucle .*)$", prose(page), re.MULTILINE)
    for line in lines:
        words = _words(line.replace("\\|", "|"))
        if words[:1] == ["bucle"]:
            yield words[1:]


def _words(line: str) -> list[str]:
    words = shlex.split(line.removeprefix("$ "), comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words


def paths(page: Path) -> Iterator[tuple[str | None, str]]:
    """Yield the paths of HTTP that a page names, with the method if it is there."""
    for method, path in _PATH.findall(page.read_text("utf-8")):
        yield method or None, path.rstrip(".")
