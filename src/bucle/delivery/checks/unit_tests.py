"""The checks `feature-tests` and `model-tests`: the project's own tests, run once by pytest in the project's runtime."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from bucle.delivery.checks.check import Bench
from bucle.delivery.results import Finding, Verdict, failed, passed

_FEATURES, _MODEL = "features", "model"


class RunTests(msgspec.Struct, frozen=True):
    """Asks a child to run the project's tests."""


class TestOutcome(msgspec.Struct, frozen=True):
    """How one test ended: "passed", "failed", "skipped"; where it failed, and in one line why."""

    __test__ = False
    name: str
    about: str
    outcome: str
    where: str | None = None
    reason: str = ""


class TestsRun(msgspec.Struct, frozen=True):
    """What pytest did: None for `outcomes` when the runtime has no pytest; `broken` are files that could not be collected."""

    __test__ = False
    installed: bool
    outcomes: list[TestOutcome] = []
    broken: list[Finding] = []


def check_feature_tests(bench: Bench) -> Verdict:
    """The tests in files `test_features*`, or marked `features`: what the definitions compute, on rows made by hand."""
    return _judge(bench, _FEATURES)


def check_model_tests(bench: Bench) -> Verdict:
    """The tests in files `test_model*`, or marked `model`: the code of the steps."""
    return _judge(bench, _MODEL)


def _judge(bench: Bench, about: str) -> Verdict:
    run = bench.once("tests", lambda: bench.call("bucle.delivery.checks.unit_tests:tests_in_child", RunTests(), TestsRun))
    if not run.installed:
        return failed([Finding("the runtime has no pytest", None, "Add pytest to the requirements and lock them again.")])
    if run.broken:
        return failed(run.broken)
    outcomes = [each for each in run.outcomes if each.about == about]
    findings = [Finding(f"{each.name}: {each.reason}", each.where) for each in outcomes if each.outcome == "failed"]
    if findings:
        return failed(findings)
    ran = sum(each.outcome == "passed" for each in outcomes)
    if not ran:
        example = f"tests/test_{about}.py"
        return failed([Finding(f"no test of the {about} ran", example, f"Write one in {example}, or mark it with `{about}`.")])
    return passed(f"{ran} tests")


def _configuration(root: Path) -> str:
    """Return the project's own settings of pytest, or none: never those of a folder in which the home happens to lie."""
    named = (root / name for name in ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"))
    return str(next((file for file in named if file.is_file()), os.devnull))


def tests_in_child(payload: RunTests, child: Any) -> TestsRun:
    """Entry point of a child: run `tests/` with pytest in this process, which has the project imported already."""
    try:
        import pytest
    except ImportError:
        return TestsRun(installed=False)
    if not (child.root / "tests").is_dir():
        return TestsRun(installed=True)
    child.definitions()
    recorder = _Recorder(child.root)
    environment, path, modules = dict(os.environ), list(sys.path), set(sys.modules)
    options = ["tests", "--rootdir", str(child.root), "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    options += ["-c", _configuration(child.root), "--confcutdir", str(child.root)]
    sys.dont_write_bytecode = True
    try:
        with contextlib.chdir(child.root):
            pytest.main(options, plugins=[recorder])
    finally:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if name.split(".")[0] in ("tests", "conftest") or name.startswith("test_"):
                del sys.modules[name]
    return TestsRun(True, recorder.outcomes, recorder.broken)


class _Recorder:
    """A plugin of pytest that keeps what happened, with file and line."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._about: dict[str, str] = {}
        self.outcomes: list[TestOutcome] = []
        self.broken: list[Finding] = []

    def pytest_configure(self, config: Any) -> None:
        """Let projects use our two marks without declaring them."""
        for mark in (_FEATURES, _MODEL):
            config.addinivalue_line("markers", f"{mark}: tests of the {mark}")

    def pytest_collection_modifyitems(self, items: Any) -> None:
        """Note what each test is about: by its mark, else by its file's name."""
        for item in items:
            self._about[item.nodeid] = _about(item)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep a test's end: that of its body, or an earlier failure or skip."""
        if report.when != "call" and report.outcome == "passed":
            return
        name = report.nodeid.split("::", 1)[-1]
        about = self._about.get(report.nodeid, "")
        if report.outcome == "failed":
            where, reason = self._place(report)
            self.outcomes.append(TestOutcome(name, about, "failed", where, reason))
        else:
            self.outcomes.append(TestOutcome(name, about, report.outcome))

    def pytest_collectreport(self, report: Any) -> None:
        """Keep a file that could not be imported."""
        if report.outcome == "failed":
            where, reason = self._place(report)
            self.broken.append(Finding(f"{report.nodeid} cannot be imported: {reason}", where or report.nodeid))

    def _place(self, report: Any) -> tuple[str | None, str]:
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is None:
            lines = [line for line in str(report.longrepr).splitlines() if line.strip()]
            return None, lines[-1].lstrip("E ")[:300] if lines else "no reason given"
        path, root = str(crash.path), str(self._root) + os.sep
        shown = path.removeprefix(root)
        where = f"{shown}:{crash.lineno}" if not Path(shown).is_absolute() else _own_line(report, root)
        return where, " ".join(crash.message.split())[:300]


def _own_line(report: Any, root: str) -> str | None:
    """Return the innermost line of the project when the error came from a library."""
    for entry in reversed(report.longrepr.reprtraceback.reprentries):
        place = getattr(entry, "reprfileloc", None)
        if place is not None and not Path(str(place.path).removeprefix(root)).is_absolute():
            return f"{str(place.path).removeprefix(root)}:{place.lineno}"
    return None


def _about(item: Any) -> str:
    for mark in (_FEATURES, _MODEL):
        if item.get_closest_marker(mark) is not None:
            return mark
    stem = item.path.stem
    return next((mark for mark in (_FEATURES, _MODEL) if stem.startswith(f"test_{mark}")), "")
