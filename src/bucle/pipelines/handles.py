"""Handles: what a step gives inside a pipeline, before its value is there."""

import ast
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from bucle.pipelines.errors import HandleMisuse
from bucle.project import declared_here

if TYPE_CHECKING:
    from bucle.pipelines.sessions import Session


class Handle:
    """The result of a step that may still have to run. Hand it to another step, or wait for it with `.value`.

    Where the step says how many things it returns (`-> tuple[A, B]`, or every `return` gives a tuple of that length) a handle
    can be unpacked and indexed; each item is an input of its own.
    """

    __slots__ = ("_session", "arity", "call", "item")

    def __init__(self, session: "Session", call: str, arity: int | None = None, item: int | None = None) -> None:
        self._session, self.call, self.arity, self.item = session, call, arity, item

    @property
    def value(self) -> Any:
        """Wait for the value. Raises `pipelines/step-failed` when there will be none."""
        return self._session.value(self)

    def __getitem__(self, index: int) -> "Handle":
        if self.arity is None or self.item is not None or not isinstance(index, int):
            self._misused("You cannot index")
        if not -self.arity <= index < self.arity:
            self._misused(f"There is no item {index} among the {self.arity} of")
        return Handle(self._session, self.call, None, index % self.arity)

    def __iter__(self) -> Iterator["Handle"]:
        if self.arity is None or self.item is not None:
            self._misused("You cannot loop over or unpack")
        return iter([self[index] for index in range(self.arity)])

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        self._misused(f"You cannot read .{name} of")

    def __repr__(self) -> str:
        return f"<handle of {self.call}{'' if self.item is None else f'[{self.item}]'}>"

    def __hash__(self) -> int:
        return id(self)

    def _misused(self, use: str) -> NoReturn:
        file, line = declared_here()
        raise HandleMisuse(use=use, name=self.call, where=f"{file}:{line}")


def _forbid(use: str) -> Callable[..., NoReturn]:
    def forbidden(self: Handle, *_: object) -> NoReturn:
        self._misused(use)

    return forbidden


_FORBIDDEN = {
    "You cannot take the truth of": ("bool",),
    "You cannot count": ("len",),
    "You cannot compare": ("eq", "ne", "lt", "le", "gt", "ge", "contains"),
    "You cannot calculate with": (
        *("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod"),
        *("pow", "rpow", "neg", "pos", "abs", "and", "rand", "or", "ror", "xor", "rxor", "invert", "matmul", "rmatmul"),
    ),
    "You cannot convert": ("int", "float", "index", "complex", "round", "bytes"),
    "You cannot call": ("call",),
    "You cannot format": ("format",),
    "You cannot change": ("setitem", "delitem"),
    "You cannot use `with` on": ("enter",),
}
for _use, _names in _FORBIDDEN.items():
    for _name in _names:
        setattr(Handle, f"__{_name}__", _forbid(_use))


class Mapped(list[Any]):
    """The handles of a `map`, in the order of its items."""

    @property
    def value(self) -> list[Any]:
        """Wait for all values."""
        return [each.value for each in self]


@functools.lru_cache(maxsize=1024)
def arity_of(function: Callable[..., Any]) -> int | None:
    """Return how many things a function returns, where its annotation or all of its `return`s say so."""
    annotation = inspect.signature(function).return_annotation
    if isinstance(annotation, str):
        try:
            annotation = typing.get_type_hints(function).get("return", annotation)
        except (NameError, TypeError, AttributeError, SyntaxError):
            return _arity_of_text(annotation)
    if typing.get_origin(annotation) is tuple:
        items = typing.get_args(annotation)
        return None if Ellipsis in items else len(items)
    return _returned(function) if annotation in (inspect.Signature.empty, tuple) else None


def _arity_of_text(annotation: str) -> int | None:
    tree = ast.parse(annotation, mode="eval").body
    if not (isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name) and tree.value.id == "tuple"):
        return None
    items = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
    return None if any(isinstance(item, ast.Constant) and item.value is ... for item in items) else len(items)


def _returned(function: Callable[..., Any]) -> int | None:
    try:
        source = inspect.getsource(inspect.unwrap(function))
        tree = ast.parse(inspect.cleandoc("\n" + source) if source[:1].isspace() else source)
    except (OSError, TypeError, SyntaxError):
        return None
    found = [_length(node.value) for node in _own_nodes(tree.body[0]) if isinstance(node, ast.Return)]
    return found[0] if found and len(set(found)) == 1 else None


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield from _own_nodes(child)


def _length(value: ast.expr | None) -> int | None:
    whole = isinstance(value, ast.Tuple) and not any(isinstance(item, ast.Starred) for item in value.elts)
    return len(value.elts) if whole and isinstance(value, ast.Tuple) else None
