"""Importing a project's package and collecting what it declares. Runs in a child process, never in the server."""

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib.abc import PathEntryFinder
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from bucle.errors import BucleError
from bucle.project.definitions import Definition, Definitions
from bucle.project.errors import ImportFailed, NoDefinitions
from bucle.project.file import ProjectFile
from bucle.project.toml_lines import line_of

_NOT_DEFINITIONS = ("test_", "conftest", "tests", "__main__")


def load_definitions(root: Path, project_file: ProjectFile) -> Definitions:
    """Import the project's package or module, with all its submodules, and collect its definitions.

    Raises `project/no-definitions`, `project/import-failed`, `project/duplicate-definition`; an error of bucle that a
    declaration raises gets the line of the declaration.
    """
    root = root.absolute()
    _put_on_path(root, project_file.definitions)
    modules = list(_import_all(root, project_file))
    return Definitions(_collect(modules))


def _put_on_path(root: Path, name: str) -> None:
    top, source = name.split(".")[0], root / "src"
    folder = source if (source / top).is_dir() or (source / f"{top}.py").is_file() else root
    if str(folder) not in sys.path:
        sys.path_hooks.insert(0, _hook(folder))
        for path in [path for path in sys.path_importer_cache if Path(path).is_relative_to(folder)]:
            del sys.path_importer_cache[path]
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


class _AsWritten(SourceFileLoader):
    """Compiles what a file says now. Bytecode on disk passes for fresh when the file was edited within the same second
    and kept its size: the old code would run, and be what digests are made of."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _hook(folder: Path) -> Callable[[str], PathEntryFinder]:
    make = FileFinder.path_hook((ExtensionFileLoader, EXTENSION_SUFFIXES), (_AsWritten, SOURCE_SUFFIXES))

    def hook(path: str) -> PathEntryFinder:
        if not Path(path).is_relative_to(folder) or "site-packages" in Path(path).parts:
            raise ImportError(path)
        return make(path)

    return hook


def _import_all(root: Path, project_file: ProjectFile) -> Iterator[ModuleType]:
    name = project_file.definitions
    top = _import(root, name, project_file)
    yield top
    for found in pkgutil.walk_packages(getattr(top, "__path__", ()), f"{name}."):
        if not found.name.rpartition(".")[2].startswith(_NOT_DEFINITIONS):
            yield _import(root, found.name, project_file)


def _import(root: Path, name: str, project_file: ProjectFile) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            where = f"{project_file.path}:{line_of(project_file.path.read_text('utf-8'), ('project', 'definitions'))}"
            raise NoDefinitions(name=name, root=root, where=where) from error
        raise _import_failed(root, name, error) from error
    except BucleError as error:
        error.where = error.where or user_line(root, error)
        raise
    except (Exception, SystemExit) as error:
        raise _import_failed(root, name, error) from error
    return module


def _import_failed(root: Path, name: str, error: BaseException) -> ImportFailed:
    return ImportFailed(module=name, error=describe_exception(error), where=user_line(root, error))


def describe_exception(error: BaseException) -> str:
    """Return kind and text of an exception in one line, without its traceback."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"[:1000].rstrip(": ")


def user_line(root: Path, error: BaseException) -> str | None:
    """Return "file:line" of the innermost line within `root` (file relative to it) that an exception came through."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(root):
        return f"{Path(error.filename).relative_to(root)}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if file.is_relative_to(root) and not _is_installed(file.relative_to(root)):
            return f"{file.relative_to(root)}:{frame.lineno}"
    return None


def _is_installed(path: Path) -> bool:
    return "site-packages" in path.parts or path.parts[0].startswith(".")


def _collect(modules: list[ModuleType]) -> list[Definition]:
    """Bind names, where a definition was declared first; one object under several names or modules counts once."""
    found: dict[int, Definition] = {}
    for own in (True, False):
        for module in modules:
            for name, value in vars(module).items():
                if isinstance(value, Definition) and (value.file == module.__file__) == own:
                    value.bind(name)
                    found.setdefault(id(value), value)
    return sorted(found.values(), key=lambda definition: (_order(modules, definition), definition.line))


def _order(modules: list[ModuleType], definition: Definition) -> int:
    files = [module.__file__ for module in modules]
    return files.index(definition.file) if definition.file in files else len(files)
