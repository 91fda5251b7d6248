"""Templates: folders of files that become a project, with a few marks filled in."""

from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from bucle.project.errors import UnknownTemplate
from bucle.project.nearest import nearest

SHARED = "shared"
TABLE = "table"
_PACKAGE = "PACKAGE"


def template_names() -> list[str]:
    """Return the templates that somebody can ask for by name."""
    return sorted(
        each.name for each in _folder().iterdir() if each.is_dir() and each.name not in (SHARED, TABLE, "__pycache__")
    )


def check_template(name: str) -> str:
    """Return the name of a template. Raises `project/unknown-template`."""
    names = template_names()
    if name not in names:
        raise UnknownTemplate(name=name, near=nearest(name, names))
    return name


def write_template(name: str, directory: Path, marks: Mapping[str, str]) -> None:
    """Write what all projects share and then the template's own files, with each `{{mark}}` replaced by its text.

    The folder PACKAGE gets the package's name, and `dot_` at the beginning of a name stands for the dot of a hidden file.
    """
    for template in (SHARED, name):
        for path, text in _files(_folder() / template, Path()):
            for mark, value in marks.items():
                text = text.replace("{{" + mark + "}}", value)
            target = directory / Path(*(_renamed(part, marks["package"]) for part in path.parts))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")


def _folder() -> Traversable:
    return resources.files("bucle.project") / "templates"


def _files(folder: Traversable, path: Path) -> Iterator[tuple[Path, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, path / entry.name)
        elif not entry.name.endswith(".pyc"):
            yield path / entry.name, entry.read_text("utf-8")


def _renamed(part: str, package: str) -> str:
    if part == _PACKAGE:
        return package
    return "." + part.removeprefix("dot_") if part.startswith("dot_") else part
