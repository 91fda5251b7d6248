"""Checks of a pipeline before anything runs: names, arguments, handles, circles; each with file and line."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

from bucle.pipelines.errors import Cycle, HandleMisuse, MissingArgument, UnknownParameter, UnknownStep
from bucle.pipelines.handles import arity_of
from bucle.project import nearest

if TYPE_CHECKING:
    from bucle.pipelines.declared import Pipeline
    from bucle.pipelines.steps import Step


def bind_arguments(step: "Step", args: tuple[Any, ...], kwargs: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the arguments of a call by parameter, defaults included.

    Raises `pipelines/unknown-parameter`, `pipelines/missing-argument`.
    """
    check_call(step.signature, f"The step {step.name}", len(args), list(kwargs), where)
    bound = step.signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def check_call(signature: inspect.Signature, target: str, given: int, named: Iterable[str], where: str) -> None:
    """Check the shape of a call: how many arguments by position, and which by name."""
    parameters = list(signature.parameters.values())
    kinds = {each.kind for each in parameters}
    by_position = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    by_name = [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    if given > len(by_position) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        hint = f"It takes {', '.join(str(each) for each in parameters) or 'none'}."
        raise UnknownParameter(target=target, name=f"number {len(by_position) + 1}", hint=hint, where=where)
    taken = {each.name for each in by_position[:given]}
    for name in named:
        if name in taken or (name not in by_name and inspect.Parameter.VAR_KEYWORD not in kinds):
            near = f"Did you mean {nearest(name, by_name)}?" if by_name else "It takes none."
            hint = "It is given twice." if name in taken else near
            raise UnknownParameter(target=target, name=name, hint=hint, where=where)
    needed = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    missing = next((name for name in needed if name not in taken and name not in named), None)
    if missing is not None:
        raise MissingArgument(target=target, name=missing, where=where)


def check_pipeline(pipeline: "Pipeline") -> None:
    """Read the pipeline's code and refuse what cannot run.

    Raises `pipelines/unknown-step`, `pipelines/unknown-parameter`, `pipelines/missing-argument`, `pipelines/handle-misuse`,
    `pipelines/cycle`. What only a run can show is checked when it happens.
    """
    _check_circle(pipeline, ())
    code = _Code.of(pipeline.function)
    if code is not None:
        _check_names(pipeline, code)
        _check_calls(code)
        _check_order(pipeline, code)
        _check_handles(code)


class _Code:
    """The syntax tree of a pipeline function, with what its names mean."""

    def __init__(self, function: FunctionType, tree: ast.FunctionDef, first_line: int) -> None:
        self.function, self.tree, self._first = function, tree, first_line
        self.file = function.__code__.co_filename
        self.local = set(function.__code__.co_varnames) | set(function.__code__.co_cellvars)
        closed = inspect.getclosurevars(function)
        self.known: dict[str, Any] = {**vars(builtins), **function.__globals__, **closed.nonlocals}

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_Code | None":
        try:
            lines, first = inspect.getsourcelines(function)
            tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):
            return None
        if not isinstance(tree, ast.FunctionDef) or not isinstance(function, FunctionType):
            return None
        return cls(function, tree, first)

    def where(self, node: ast.AST) -> str:
        return f"{self.file}:{self._first + getattr(node, 'lineno', 1) - 1}"

    def step_of(self, node: ast.AST) -> "Step | None":
        """The step that a call calls, also through `.map` or a module."""
        from bucle.pipelines.steps import Step

        if not isinstance(node, ast.Call):
            return None
        target = node.func
        if isinstance(target, ast.Attribute) and target.attr == "map":
            found = self._meaning(target.value)
            return found if isinstance(found, Step) else None
        found = self._meaning(target)
        return found if isinstance(found, Step) else None

    def _meaning(self, node: ast.expr) -> object:
        if isinstance(node, ast.Name):
            return None if node.id in self.local else self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self._meaning(node.value), node.attr, None)
        return None

    def body(self) -> Iterator[ast.AST]:
        return (node for statement in self.tree.body for node in ast.walk(statement))


def _check_names(pipeline: "Pipeline", code: _Code) -> None:
    from bucle.pipelines.steps import Step

    inner = {
        arg.arg for node in code.body() if isinstance(node, ast.arguments) for arg in ast.walk(node) if isinstance(arg, ast.arg)
    }
    stored = {node.id for node in code.body() if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    for node in code.body():
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in code.local or node.id in code.known or node.id in inner or node.id in stored:
                continue
            steps = [name for name, value in code.known.items() if isinstance(value, Step)]
            hint = f"Did you mean {nearest(node.id, steps)}?" if steps else "Define or import it."
            raise UnknownStep(pipeline=pipeline.name, name=node.id, hint=hint, where=code.where(node))


def _check_calls(code: _Code) -> None:
    for node in code.body():
        step = code.step_of(node)
        if step is None or not isinstance(node, ast.Call):
            continue
        if any(isinstance(each, ast.Starred) for each in node.args) or any(each.arg is None for each in node.keywords):
            continue
        check_call(
            step.signature,
            f"The step {step.name}",
            len(node.args),
            [each.arg or "" for each in node.keywords],
            code.where(node),
        )


def _check_order(pipeline: "Pipeline", code: _Code) -> None:
    """Steps in a row whose names are used before they are made would have to wait on themselves."""
    makers = {
        target.id: statement
        for statement in code.tree.body
        if isinstance(statement, ast.Assign)
        for target in ast.walk(statement.targets[0])
        if isinstance(target, ast.Name) and any(code.step_of(node) for node in ast.walk(statement.value))
    }
    arguments = {each.arg for each in ast.walk(code.tree.args) if isinstance(each, ast.arg)}
    made: set[str] = set(arguments)
    for statement in code.tree.body:
        for node in ast.walk(statement):
            used = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in makers and node.id not in made
            if isinstance(node, ast.Name) and used:
                raise Cycle(path=_circle_text(node.id, makers, statement), where=code.where(node), pipeline=pipeline.name)
        made |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _circle_text(name: str, makers: Mapping[str, ast.Assign], statement: ast.stmt) -> str:
    own = next((each for each, maker in makers.items() if maker is statement), None)
    return f"The results {own} and {name}" if own and own != name else f"The result {name} and its user"


def _check_handles(code: _Code) -> None:
    """A name that only ever holds a step's handle must not be used as its value."""
    stores: dict[str, list[ast.AST]] = {}
    for node in code.body():
        for target in _targets(node):
            stores.setdefault(target, []).append(node)
    handles = {
        name: step
        for name, nodes in stores.items()
        if len(nodes) == 1 and isinstance(nodes[0], ast.Assign) and (step := code.step_of(nodes[0].value)) is not None
        and isinstance(nodes[0].targets[0], ast.Name) and not _is_map(nodes[0].value)
    }  # fmt: skip
    for node in code.body():
        for use, operand in _uses(node):
            if isinstance(operand, ast.Name) and operand.id in handles:
                step = handles[operand.id]
                if use == _LOOP and arity_of(step.function) is not None:
                    continue
                raise HandleMisuse(use=use, name=step.name, where=code.where(operand))


_LOOP = "You cannot loop over"


def _uses(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.If | ast.While | ast.IfExp | ast.Assert):
        yield "You cannot take the truth of", node.test
    elif isinstance(node, ast.For | ast.comprehension):
        yield _LOOP, node.iter
    elif isinstance(node, ast.BinOp):
        yield from (("You cannot calculate with", each) for each in (node.left, node.right))
    elif isinstance(node, ast.BoolOp):
        yield from (("You cannot take the truth of", each) for each in node.values)
    elif isinstance(node, ast.UnaryOp):
        yield "You cannot calculate with", node.operand
    elif isinstance(node, ast.Compare) and not all(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
        yield from (("You cannot compare", each) for each in (node.left, *node.comparators))
    elif isinstance(node, ast.FormattedValue):
        yield "You cannot format", node.value
    elif isinstance(node, ast.Attribute) and node.attr not in ("value", "call", "arity", "item"):
        yield f"You cannot read .{node.attr} of", node.value


def _targets(node: ast.AST) -> list[str]:
    stored: list[ast.AST] = []
    if isinstance(node, ast.Assign):
        stored = list(node.targets)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.For | ast.comprehension | ast.NamedExpr):
        stored = [node.target]
    elif isinstance(node, ast.withitem) and node.optional_vars:
        stored = [node.optional_vars]
    return [each.id for target in stored for each in ast.walk(target) if isinstance(each, ast.Name)]


def _is_map(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "map"


def _check_circle(pipeline: "Pipeline", above: tuple["Pipeline", ...]) -> None:
    from bucle.pipelines.declared import Pipeline

    if pipeline in above:
        names = " -> ".join(each.name for each in (*above[above.index(pipeline) :], pipeline))
        raise Cycle(path=f"The pipelines {names}", where=above[-1].where)
    code = _Code.of(pipeline.function)
    for node in code.body() if code else ():
        if code and isinstance(node, ast.Call) and isinstance(found := code._meaning(node.func), Pipeline):
            _check_circle(found, (*above, pipeline))
