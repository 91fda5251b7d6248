"""What a digest of code follows, and what leaves it alone (the nine rows of peers.md that concern code, and more)."""

import importlib
import itertools
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bucle.project import Closure, NotCanonical, code_closure, digest_of

MODULE = """
import math
import polars as pl
from {name}.more import scale
from {name} import more

FACTOR = 2
NAMES = {{"a", "b", "c"}}
LATE = pl.col("arr_delay") > 15

class Scaler:
    offset = 1
    def apply(self, x):
        return x + self.offset + math.floor(0.5)

def helper(x):
    return x * FACTOR

def make(power):
    def inner(x):
        return x ** power
    return inner

cube = make(3)
unused = 1

def step(x, start=FACTOR):
    \"\"\"Docstring.\"\"\"
    y = helper(x) + scale(x) + more.shift(x) + cube(x)
    return Scaler().apply(y), [n for n in NAMES], LATE, start
"""
MORE = """
BIAS = 7
def scale(x):
    return x / 10
def shift(x):
    return x + BIAS
def alone():
    return 1
"""
_numbers = itertools.count()
Build = Callable[..., Closure]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    """Write the package with edits, import it afresh, return the closure of `step`; one package name for each test."""
    name = f"closed{next(_numbers)}"
    sys.path.insert(0, str(tmp_path))

    def make(edits: dict[str, str] | None = None, more: dict[str, str] | None = None, extra: str = "") -> Closure:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        texts = {"__init__.py": MODULE.format(name=name) + extra, "more.py": MORE}
        for file, changes in (("__init__.py", edits or {}), ("more.py", more or {})):
            for old, new in changes.items():
                assert old in texts[file]
                texts[file] = texts[file].replace(old, new)
            (folder / file).write_text(texts[file], "utf-8")
        for loaded in [each for each in sys.modules if each.partition(".")[0] == name]:
            del sys.modules[loaded]
        import linecache

        linecache.clearcache()
        importlib.invalidate_caches()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            return code_closure(importlib.import_module(name).step)
        finally:
            sys.dont_write_bytecode = before

    yield make
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize(
    "edit",
    [
        {},
        {"    y = helper(x)": "    # a comment\n    y = helper(x)"},
        {"Docstring.": "Another docstring."},
        {"    y = helper(x) +": "    y = (  helper(x)  ) +"},
        {"unused = 1": "unused = 2"},
        {"FACTOR = 2\n": "\n\nFACTOR = 1 + 1\n"},
        {
            "def step(": "@bucle.step\ndef step(",
            "import math": "import math\nclass bucle:\n    step = staticmethod(lambda f: f)",
        },
    ],
    ids=["nothing", "comment", "docstring", "layout", "unused constant", "lines and the same constant", "decorator of bucle"],
)
def test_what_means_nothing_changes_nothing(build: Build, edit: dict[str, str]) -> None:
    assert build(edit).digest == build().digest


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ({"+ cube(x)": "- cube(x)"}, ":step"),
        ({"return x * FACTOR": "return x * FACTOR + 1"}, ":helper"),
        ({"FACTOR = 2": "FACTOR = 3"}, ".FACTOR"),
        ({"offset = 1": "offset = 2"}, ":Scaler"),
        ({"cube = make(3)": "cube = make(4)"}, "inner[power]"),
        ({'"a", "b", "c"': '"a", "b", "d"'}, ".NAMES"),
        ({"> 15": "> 16"}, ".LATE"),
        ({"math.floor": "math.ceil"}, ":Scaler"),
    ],
)
def test_what_the_function_reaches_changes_the_digest_and_is_named(build: Build, edit: dict[str, str], named: str) -> None:
    before, after = build(), build(edit)
    changed = {label for label in {*before.parts, *after.parts} if before.parts.get(label) != after.parts.get(label)}
    assert before.digest != after.digest
    assert any(label.endswith(named) for label in changed)


@pytest.mark.parametrize(
    ("edit", "same"),
    [({"x / 10": "x / 11"}, False), ({"BIAS = 7": "BIAS = 8"}, False), ({"return 1": "return 2"}, True)],
)
def test_other_modules_count_as_far_as_they_are_reached(build: Build, edit: dict[str, str], same: bool) -> None:
    assert (build().digest == build(more=edit).digest) is same


def test_imports_inside_a_function_and_decorators_of_the_user_are_followed(build: Build) -> None:
    inside = {"    y = helper(x)": "    from .more import alone\n    y = alone() + helper(x)"}
    assert build(inside).digest != build(inside, more={"return 1": "return 2"}).digest
    wrapper = """
        import functools
        def twice(f):
            @functools.wraps(f)
            def wrapper(*a):
                return f(*a), f(*a)
            return wrapper
        step = twice(step)
    """
    wrapped = textwrap.dedent(wrapper)
    assert build(extra=wrapped).digest != build(extra=wrapped.replace("f(*a), f(*a)", "f(*a), None")).digest
    assert build(extra=wrapped).digest != build({"+ cube(x)": "- cube(x)"}, extra=wrapped).digest


def test_functions_in_a_table_and_cached_functions_are_followed(build: Build) -> None:
    table = "\nimport functools\n@functools.lru_cache\ndef kept(x):\n    return x + 1\nTABLE = {'a': kept, 'f': lambda x: x}\n"
    use = {"LATE, start": "LATE, start, TABLE['a'](x)"}
    assert build(use, extra=table).digest != build(use, extra=table.replace("x + 1", "x + 2")).digest
    assert build(use, extra=table).digest != build(use, extra=table.replace("lambda x: x", "lambda x: -x")).digest


def test_recursion_ends_and_packages_are_named(build: Build) -> None:
    closure = build({"LATE, start": "pl.lit(1)"}, extra="\ndef helper(x):\n    return step(x) if x else helper(0)\n")
    assert "polars" in closure.packages
    assert not any(label.startswith("polars.") and "/" in label for label in closure.parts)


def test_the_digest_does_not_depend_on_the_seed_of_hashing(tmp_path: Path) -> None:
    (tmp_path / "seeded.py").write_text("S = {'a', 'b', 'c', 'd'}\ndef f():\n    return S\n", "utf-8")
    code = "from bucle.project import code_closure; import seeded; print(code_closure(seeded.f).digest)"
    source = str(Path(__file__).parents[2] / "src")
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": f"{source}:{tmp_path}", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


def test_equal_values_have_equal_digests_and_kinds_are_kept_apart() -> None:
    assert digest_of({"b", "a"}) == digest_of({"a", "b"})
    values = [1, 1.0, True, "1", b"1", None, [1], (1,), {1}, {1: 1}, ["1"], [[1]], [1, 1]]
    assert len({digest_of(value) for value in values}) == len(values)
    with pytest.raises(NotCanonical):
        digest_of(object())
