"""The code that a function reaches, as a digest: what the rules of a source and the key of a step are made of.

Counted: the function's syntax tree and that of every helper, class, constant, closure and module attribute of *user* code that
it reaches, also in other modules. Not counted: comments, docstrings, layout, and decorators of bucle. Installed packages are
named, not read; their versions are the lock's business.
"""

import ast
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType

import msgspec
from blake3 import blake3

from bucle.project.canonical import NotCanonical, canonical_bytes
from bucle.project.syntax import (
    Import,
    bytecode,
    class_nodes,
    function_nodes,
    imported_from,
    local_names,
    mentioned,
    normal,
    syntax_tree,
    targets,
)


@dataclass(frozen=True, slots=True)
class Closure:
    """The digest of all code that a function reaches; `parts` says what it is made of, so that a change can be named.

    `packages` are the top-level names of the installed packages that the code reaches.
    """

    digest: str
    parts: Mapping[str, str]
    packages: frozenset[str]


def code_closure(function: object) -> Closure:
    """Return the closure of a function, a class, or an object that wraps a function (`__wrapped__`)."""
    walk = _Walk()
    walk.visit(function, "")
    whole = "\n".join(f"{label} {walk.parts[label]}" for label in sorted(walk.parts))
    return Closure(_digest(whole.encode()), dict(sorted(walk.parts.items())), frozenset(walk.packages))


class _Walk:
    """One traversal; `parts` grows by a label for each thing reached."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.packages: set[str] = set()
        self._seen: dict[int, str] = {}
        self._kept: list[object] = []  # ids stay unique only while their objects live

    def visit(self, value: object, label: str) -> str:
        """Enter whatever `value` is and return the label that stands for it."""
        if id(value) in self._seen:
            return self._seen[id(value)]
        self._kept.append(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, MethodType):
            self.visit(value.__self__, f"{label}.__self__")
            return self.visit(value.__func__, label)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, ModuleType):
            return self._module(value)
        return self._value(value, label)

    def _function(self, function: FunctionType) -> str:
        module = str(function.__globals__.get("__name__", "?"))
        label = self._label(function, f"{module}:{function.__code__.co_qualname}")
        if _is_user(module):
            nodes = function_nodes(function)
            text = "\n".join(normal(node) for node in nodes) if nodes else repr(bytecode(function.__code__))
            self._enter(label, text)
            for position, default in enumerate([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]):
                self.visit(default, f"{label}(default {position})")
            self._names(nodes, function.__code__, function.__globals__, _cells(function), label)
        else:
            self._external(module, function.__code__.co_qualname)
        for wrapped in _wrapped(function):
            self.visit(wrapped, label)
        return label

    def _class(self, kind: type) -> str:
        label = self._label(kind, f"{kind.__module__}:{kind.__qualname__}")
        if not _is_user(kind.__module__):
            self._external(kind.__module__, kind.__qualname__)
            return label
        nodes = class_nodes(kind)
        self._enter(label, "\n".join(normal(node) for node in nodes) or repr(sorted(vars(kind))))
        self._names(nodes, None, vars(sys.modules.get(kind.__module__, kind)), {}, label)
        for method in vars(kind).values():
            inner = getattr(method, "__func__", getattr(method, "fget", method))
            if isinstance(inner, FunctionType) and inner.__closure__:
                self._names([], inner.__code__, inner.__globals__, _cells(inner), label)
        for parent in kind.__mro__[1:]:
            self.visit(parent, label)
        return label

    def _module(self, module: ModuleType) -> str:
        """A module that is handed around as a value: all of it counts."""
        label = self._label(module, module.__name__)
        if not _is_user(module.__name__):
            self._external(module.__name__, "")
            return label
        tree = syntax_tree(getattr(module, "__file__", "") or "", vars(module))
        self._enter(label, normal(tree) if tree else repr(sorted(vars(module))))
        if tree:
            self._names([tree], None, vars(module), {}, label)
        return label

    def _value(self, value: object, label: str) -> str:
        inner = _wrapped(value)
        if inner:
            self._seen[id(value)] = label
            labels = [self.visit(each, label) for each in inner]
            return labels[0]
        self._package(type(value).__module__)
        try:
            self._enter(label, canonical_bytes(value, lambda other: self._inside(other, label)).hex())
        except (NotCanonical, RecursionError):
            self._assigned(value, label)
        return label

    def _inside(self, value: object, label: str) -> bytes | None:
        """What the canonical form of a constant cannot say by itself: code, and objects of the user's classes."""
        if isinstance(value, FunctionType | MethodType | type | ModuleType) or _wrapped(value):
            return b"code:" + self.visit(value, f"{label}{{}}").encode()
        if isinstance(value, functools.partial):
            parts = (value.func, value.args, value.keywords)
            return b"partial:" + canonical_bytes(parts, lambda other: self._inside(other, label))
        if callable(getattr(value, "spec", None)) and not _is_user(type(value).__module__):
            return b"definition:" + _definition_bytes(value)
        if _is_user(type(value).__module__):
            self.visit(type(value), label)
            return b"object:" + canonical_bytes(_state(value), lambda other: self._inside(other, label))
        if callable(value) and getattr(value, "__module__", None):
            self._external(str(value.__module__), str(getattr(value, "__qualname__", type(value).__qualname__)))
            return f"external:{value.__module__}.{getattr(value, '__qualname__', '')}".encode()
        return None

    def _assigned(self, value: object, label: str) -> None:
        """Let the statement that made a value stand for it, when the value itself cannot be written down."""
        module, _, name = label.rpartition(".")
        found = sys.modules.get(module)
        tree = syntax_tree(getattr(found, "__file__", "") or "", vars(found)) if found else None
        nodes = [node for node in tree.body if name in targets(node)] if isinstance(tree, ast.Module) else []
        origin = imported_from(tree, name) if tree and not nodes else None
        if origin and found:
            self._imported(origin, str(getattr(found, "__package__", "") or ""))
        self._enter(label, "\n".join(normal(node) for node in nodes) or type(value).__qualname__)
        if nodes and found:
            self._seen[id(value)] = label
            self._names(nodes, None, vars(found), {}, label)

    def _names(
        self,
        nodes: Iterable[ast.AST],
        code: CodeType | None,
        namespace: Mapping[str, object],
        cells: Mapping[str, object],
        label: str,
    ) -> None:
        """Visit everything that `nodes` (and the bytecode, which knows which names are local) mention by name."""
        names, chains, imports = mentioned(nodes)
        if code is not None:
            names = {name for name in names if name not in local_names(code)} | set(code.co_freevars)
        module = str(namespace.get("__name__", "?"))
        for name in sorted(names):
            if name in cells:
                self.visit(cells[name], f"{label}[{name}]")
            elif name in namespace and isinstance(namespace[name], ModuleType):
                self._chains(namespace[name], sorted(chains.get(name, {()})))
            elif name in namespace:
                self.visit(namespace[name], f"{module}.{name}")
            elif name == "globals" and module in sys.modules:
                self.visit(sys.modules[module], module)
        for target in sorted(imports):
            self._imported(target, str(namespace.get("__package__") or ""))

    def _chains(self, module: object, chains: Iterable[tuple[str, ...]]) -> None:
        """Follow `module.attribute...` as far as modules go; what is found there is what the code uses."""
        for chain in chains:
            at, value = getattr(module, "__name__", "?"), module
            for attribute in chain:
                if not isinstance(value, ModuleType) or not hasattr(value, attribute):
                    break
                if not _is_user(value.__name__) and not isinstance(getattr(value, attribute), ModuleType):
                    at, value = f"{value.__name__}.{attribute}", None
                    break
                value = getattr(value, attribute)
                at = value.__name__ if isinstance(value, ModuleType) else f"{at}.{attribute}"
            if value is None:
                self._external(*at.rsplit(".", 1))
            else:
                self.visit(value, at)

    def _imported(self, target: Import, package: str) -> None:
        """An import inside a function: the user's own module is imported and read, a package is named."""
        module, level, name = target
        full = importlib.util.resolve_name("." * level + module, package) if level and package else module
        if not _is_user(full):
            self._external(full, name)
            return
        try:
            found = importlib.import_module(full)
        except ImportError:
            self._enter(full, "missing")
            return
        value = getattr(found, name, None) if name else found
        if name and value is None and importlib.util.find_spec(f"{full}.{name}"):
            value = importlib.import_module(f"{full}.{name}")
        self.visit(value, f"{full}.{name}" if name else full)

    def _external(self, module: str, name: str) -> None:
        if self._package(module) or name:
            self._enter(f"{module}.{name}" if name else module, "installed")

    def _package(self, module: str) -> bool:
        """Note the installed package that a module belongs to; False for the standard library."""
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names or _is_user(module):
            return False
        self.packages.add(top)
        return True

    def _label(self, value: object, wanted: str) -> str:
        """A label of its own for each object: two closures of one factory share their name, not their values."""
        label, number = wanted, 1
        while label in self.parts:
            number += 1
            label = f"{wanted}#{number}"
        self._seen[id(value)] = label
        return label

    def _enter(self, label: str, text: str) -> None:
        self.parts[label] = _digest(text.encode("utf-8", "surrogatepass"))


def _wrapped(value: object) -> list[object]:
    """The functions behind a wrapper: `functools.wraps`, `lru_cache`, bucle's own definitions, `singledispatch`."""
    if isinstance(value, type | ModuleType):
        return []
    inner = getattr(value, "__wrapped__", None)
    registry = getattr(value, "registry", None) if isinstance(value, FunctionType) else None
    others = [registry[kind] for kind in sorted(registry, key=repr)] if isinstance(registry, Mapping) else []
    return ([inner] if callable(inner) else []) + others


def _is_user(module: str) -> bool:
    """Whether a module is the user's: neither standard library, nor installed, nor bucle itself."""
    top = module.partition(".")[0]
    if top == "bucle" or top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return top == "__main__"
    found = sys.modules.get(top)
    if found is not None:
        file = getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", [])), None)
    else:
        file = _origin(top)
    if file is None:
        return found is not None
    return not {"site-packages", "dist-packages"} & set(file.replace("\\", "/").split("/"))


def _origin(top: str) -> str | None:
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return "site-packages"  # it cannot be found: it is named, as a package is
    if spec is None:
        return "site-packages"
    return spec.origin or next(iter(spec.submodule_search_locations or []), None)


def _cells(function: FunctionType) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # a name that is bound later, or never
            continue
    return found


def _state(value: object) -> object:
    state = dict(getattr(value, "__dict__", {}))
    slots = (name for kind in type(value).__mro__ for name in _slots(kind))
    return {**state, **{name: getattr(value, name) for name in slots if hasattr(value, name)}}


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))


def _definition_bytes(value: object) -> bytes:
    """A definition of bucle stands for what it says, wherever in its file it stands."""
    said = msgspec.to_builtins(value.spec())  # type: ignore[attr-defined]
    return canonical_bytes({key: said[key] for key in sorted(said) if key not in {"file", "line"}})


def _digest(content: bytes) -> str:
    return blake3(content).hexdigest()
