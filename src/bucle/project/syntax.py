"""A function's syntax: where it stands in its file, which names it mentions, and its text without what means nothing."""

import ast
import functools
import linecache
import sys
from collections.abc import Iterable, Mapping
from types import CodeType, FunctionType

Import = tuple[str, int, str]
"""A module, the dots before it, and the name that is taken from it ("" for the module itself)."""

_DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def local_names(code: CodeType) -> set[str]:
    """Names that are local everywhere in the function: not one of its codes loads them from outside."""
    codes = list(_codes(code))
    outside = {name for each in codes for name in each.co_names}
    return {name for each in codes for name in (*each.co_varnames, *each.co_cellvars)} - outside


def _codes(code: CodeType) -> Iterable[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def bytecode(code: CodeType) -> tuple[object, ...]:
    """What a function does, when no source text of it can be had."""
    constants = tuple(bytecode(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts)
    return (code.co_code, code.co_names, code.co_varnames, constants)


def mentioned(nodes: Iterable[ast.AST]) -> tuple[set[str], dict[str, set[tuple[str, ...]]], set[Import]]:
    """Names that are read, the attribute chains that start at them, and imports."""
    names: set[str] = set()
    chains: dict[str, set[tuple[str, ...]]] = {}
    imports: set[Import] = set()
    inner: set[int] = set()
    for node in (each for root in nodes for each in ast.walk(_without_our_decorators(root))):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            root, chain = _chain(node, inner)
            if root:
                chains.setdefault(root, set()).add(chain)
        elif isinstance(node, ast.Name):
            names.add(node.id)
            if id(node) not in inner:
                chains.setdefault(node.id, set()).add(())
        elif isinstance(node, ast.Import):
            imports |= {(alias.name, 0, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imports |= {(node.module or "", node.level, alias.name) for alias in node.names}
    return names, chains, imports


def _chain(node: ast.Attribute, inner: set[int]) -> tuple[str, tuple[str, ...]]:
    attributes: list[str] = []
    at: ast.expr = node
    while isinstance(at, ast.Attribute):
        attributes.append(at.attr)
        at = at.value
        inner.add(id(at))
    return (at.id, tuple(reversed(attributes))) if isinstance(at, ast.Name) else ("", ())


def function_nodes(function: FunctionType) -> list[ast.AST]:
    """The function's definition; several lambdas of one line cannot be told apart and all count."""
    code = function.__code__
    tree = syntax_tree(code.co_filename, function.__globals__)
    if tree is None:
        return []
    found = [node for node in ast.walk(tree) if isinstance(node, _DEFINITION) and _starts(node) == code.co_firstlineno]
    return [node for node in found if getattr(node, "name", "<lambda>") == code.co_name]


def _starts(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def class_nodes(kind: type) -> list[ast.AST]:
    """The definitions of a class in its module (several, if it is defined under conditions)."""
    module = sys.modules.get(kind.__module__)
    tree = syntax_tree(getattr(module, "__file__", "") or "", vars(module)) if module else None
    names = [part for part in kind.__qualname__.split(".") if part != "<locals>"]
    level: list[ast.AST] = [tree] if tree else []
    for name in names:
        level = [each for node in level for each in ast.walk(node) if each is not node and getattr(each, "name", None) == name]
    return [node for node in level if isinstance(node, ast.ClassDef)]


def syntax_tree(filename: str, namespace: Mapping[str, object]) -> ast.Module | None:
    """The syntax tree of a file, also of a notebook's cell."""
    lines = linecache.getlines(filename, dict(namespace)) if filename else []
    return _parse("".join(lines)) if lines else None


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def targets(node: ast.stmt) -> set[str]:
    """The names that a statement assigns."""
    if isinstance(node, ast.Assign):
        return {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    if isinstance(node, ast.AnnAssign | ast.AugAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    return set()


def imported_from(tree: ast.Module, name: str) -> Import | None:
    """Which module a name of this one was imported from: module, dots before it, its name there."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return (node.module or "", node.level, alias.name)
    return None


def normal(node: ast.AST) -> str:
    """The tree as text without docstrings, positions and bucle's decorators."""
    return ast.dump(_Bare().visit(_copy(node)))


def _copy(node: ast.AST) -> ast.AST:
    values = {name: _copy_field(value) for name, value in ast.iter_fields(node)}
    return type(node)(**values)


def _copy_field(value: object) -> object:
    if isinstance(value, ast.AST):
        return _copy(value)
    return [_copy_field(each) for each in value] if isinstance(value, list) else value


def _without_our_decorators(node: ast.AST) -> ast.AST:
    return _Bare().visit(_copy(node))  # type: ignore[no-any-return]


class _Bare(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = body[1:] or [ast.Pass()]
        decorators = getattr(node, "decorator_list", None)
        if decorators:
            node.decorator_list = [each for each in decorators if not _is_ours(each)]  # type: ignore[attr-defined]
        return super().generic_visit(node)


def _is_ours(decorator: ast.expr) -> bool:
    at: ast.expr = decorator
    while isinstance(at, ast.Attribute | ast.Call):
        at = at.value if isinstance(at, ast.Attribute) else at.func
    return isinstance(at, ast.Name) and at.id == "bucle"
