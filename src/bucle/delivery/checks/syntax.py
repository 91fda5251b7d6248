"""The check `lint`: every file compiles, every name exists, the package imports, what it declares fits together."""

import ast
import builtins
import symtable
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bucle.delivery.checks.check import Bench
from bucle.delivery.results import Finding, Verdict, failed, passed
from bucle.project import ProjectDescription, load_project_file

_LARGEST = 1 << 20
_GIVEN = {*dir(builtins), "__file__", "__name__", "__doc__", "__package__", "__spec__", "__path__", "__loader__", "__class__"}
_GIVEN |= {"__annotations__", "__builtins__", "__debug__", "__qualname__", "__module__"}


class LintRequest(msgspec.Struct, frozen=True):
    """Asks a child to read all Python files of its project; nothing of them is run."""


class LintAnswer(msgspec.Struct, frozen=True):
    """How many files were read, and what is wrong with them."""

    files: int
    findings: list[Finding]


class _ModelOwner(msgspec.Struct, frozen=True):
    name: str
    model: str | None = None


class _ServiceUser(msgspec.Struct, frozen=True):
    name: str
    service: str = ""


def check_lint(bench: Bench) -> Verdict:
    """Read the files first, so that each mistake is found and not only the first; then import; then compare definitions."""
    answer = bench.call("bucle.delivery.checks.syntax:lint_in_child", LintRequest(), LintAnswer)
    if answer.findings:
        return failed(answer.findings)
    project = load_project_file(bench.checkout.root)
    if bench.scope.environment not in project.environments:
        advice = f'Add [environments.{bench.scope.environment}] with deploy = "automatic".'
        return failed([Finding(f"there is no environment {bench.scope.environment!r} to check in", "bucle.toml:1", advice)])
    description = bench.code.description
    findings = list(unfitting(description))
    if findings:
        return failed(findings)
    return passed(f"{answer.files} files, {len(description.definitions)} definitions")


def unfitting(description: ProjectDescription) -> Iterator[Finding]:
    """Yield what definitions name that no definition is: a service's model, a monitor's service."""
    models = {each.model for each in description.specs("pipeline", _ModelOwner)}
    services = {each.name for each in description.specs("service", _ServiceUser)}
    for record in description.of("service"):
        model = record.spec.get("model")
        if models and model not in models:
            known = ", ".join(sorted(filter(None, models)))
            yield Finding(f"no pipeline makes the model {model!r} of service {record.name!r}", record.where, f"Use {known}.")
    for record in description.of("monitor"):
        service = record.spec.get("service")
        if service not in services:
            yield Finding(
                f"monitor {record.name!r} watches {service!r}, which is no service", record.where, "Declare it first."
            )


def lint_in_child(payload: LintRequest, child: Any) -> LintAnswer:
    """Entry point of a child: compile every file and look up every name."""
    files = sorted(path for path in child.root.rglob("*.py") if not _hidden(path.relative_to(child.root)))
    findings = [finding for path in files for finding in lint_file(path, str(path.relative_to(child.root)))]
    return LintAnswer(len(files), findings)


def lint_file(path: Path, shown: str) -> list[Finding]:
    """Return what is wrong with one file: syntax, or names that nothing defines."""
    if path.stat().st_size > _LARGEST:
        return [Finding(f"the file is larger than {_LARGEST >> 20} MiB", shown, "Keep data out of the code.")]
    try:
        source = path.read_text("utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("error", SyntaxWarning)
            tree = ast.parse(source, shown)
            compile(source, shown, "exec", dont_inherit=True)
            table = symtable.symtable(source, shown, "exec")
    except SyntaxError as error:
        return [Finding(f"SyntaxError: {error.msg}", f"{shown}:{error.lineno or 1}", "Correct the line.")]
    except (UnicodeDecodeError, ValueError, RecursionError, MemoryError) as error:
        return [Finding(f"{type(error).__name__}: the file cannot be read as Python", f"{shown}:1", "Save it as UTF-8.")]
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return []
    missing = set(_globals_read(table)) - {symbol.get_name() for symbol in table.get_symbols() if _bound(symbol)}
    missing -= _GIVEN | _declared_global(table)
    return [
        Finding(f"the name {node.id!r} is defined nowhere", f"{shown}:{node.lineno}", "Import it, or correct its spelling.")
        for node in _first_uses(tree, missing)
    ]


def _globals_read(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        top = table.get_type() == "module"
        if symbol.is_referenced() and (symbol.is_global() or (top and not _bound(symbol))):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals_read(child)


def _bound(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace() or symbol.is_annotated()


def _declared_global(table: symtable.SymbolTable) -> set[str]:
    """Names that some function makes global by `global x; x = ...`, or a comprehension of the module by `(x := ...)`.

    Since Python 3.12 such a comprehension is part of the module's own table, which says global but not assigned.
    """
    top = table.get_type() == "module"
    named = (symbol for symbol in table.get_symbols() if symbol.is_declared_global())
    names = {symbol.get_name() for symbol in named if top or symbol.is_assigned()}
    return names.union(*(_declared_global(child) for child in table.get_children()))


def _first_uses(tree: ast.Module, names: set[str]) -> list[ast.Name]:
    found: dict[str, ast.Name] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            first = found.get(node.id)
            if first is None or node.lineno < first.lineno:
                found[node.id] = node
    return sorted(found.values(), key=lambda node: node.lineno)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part in ("__pycache__", "node_modules", "site-packages") for part in path.parts)
