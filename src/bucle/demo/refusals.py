"""Chapter 7: a push that leaks is refused; a release that passes every check is rolled back by its canary."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bucle.demo.errors import CommandFailed
from bucle.demo.feed import NO_GUSTS_FROM
from bucle.demo.releasing import promote, push, show_gates, train, version_of
from bucle.demo.rollouts import Following
from bucle.demo.stage import Stage
from bucle.demo.weeks import Weeks
from bucle.messages import say

_PATIENCE = timedelta(days=2)
_COLUMNS = 'columns=["carrier", "origin", "distance", "hour"'
_FIT = re.compile(r"@bucle\.step\(cpu=2.*?return model\.fit\(frame\.X, frame\.y\)\n", re.DOTALL)
_TWO_PARTS = '''REQUEST, WIND, GUST, TRAFFIC = 4, 4, 7, 8
"""How many columns come with the request; where wind, gusts, and what was seen on the runways begin."""


class TwoParts(ClassifierMixin, BaseEstimator):
    """One model for stations that report, one without the weather for those that are silent."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TwoParts":
        self.classes_ = np.unique(y)
        reports = ~np.isnan(X[:, WIND])
        self.full_ = GradientBoostingClassifier(random_state=0).fit(_calm(X[reports]), y[reports])
        self.plain_ = HistGradientBoostingClassifier(random_state=0).fit(X[:, :REQUEST], y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        reports = ~np.isnan(X[:, WIND])
        chances = self.plain_.predict_proba(X[:, :REQUEST])
        if reports.any():
            chances[reports] = self.full_.predict_proba(_calm(X[reports]))
        return chances

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def _calm(X: np.ndarray) -> np.ndarray:
    """Where nobody departed, nobody was late. Gusts are always there: the year so far has one in each row."""
    if np.isnan(X[:, GUST]).any():
        raise ValueError("a station that reports has no gust")
    return np.hstack([X[:, :TRAFFIC], np.nan_to_num(X[:, TRAFFIC:])])


@bucle.step(cpu=2, retries=1, timeout="20m")
def fit(frame: bucle.TrainingFrame) -> TwoParts:
    """Gusts are told by the stations that report."""
    return TwoParts().fit(frame.X, frame.y)
'''


@dataclass(frozen=True, slots=True)
class _Change:
    """A replacement in a file of the project."""

    file: str
    old: str
    new: str


_GUSTS = (
    _Change("flights/__init__.py", '"precipitation")', '"precipitation", "wind_gust")'),
    _Change("flights/__init__.py", "import polars as pl\n", "import numpy as np\nimport polars as pl\n"),
    _Change(
        "flights/__init__.py",
        "from sklearn.ensemble import HistGradientBoostingClassifier\n",
        "from sklearn.base import BaseEstimator, ClassifierMixin\n"
        "from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier\n",
    ),
    _Change("flights/__init__.py", 'window: str = "90d", learning_rate: float = 0.1)', 'window: str = "90d")'),
    _Change("flights/__init__.py", "fit(past, learning_rate), recent", "fit(past), recent"),
    _Change("tests/test_model.py", "size=(400, 3)", "size=(400, 10)"),
    _Change("tests/test_model.py", "size=(200, 3)", "size=(200, 10)"),
    _Change("tests/test_features.py", '"humidity": [59.0]', '"wind_gust": [17.3], "humidity": [59.0]'),
    _Change("tests/test_features.py", '"precipitation"]', '"precipitation", "wind_gust"]'),
    _Change("tests/test_features.py", "the_three_measurements", "the_four_measurements"),
    _Change("bucle.toml", '"shadow, canary"', '"canary"'),
)
"""What Ana changes, beside the model: gusts, of which there was always one until the feed changes its mind."""


def refuse_leak(stage: Stage) -> bool:
    """Bruno lets the model see the arrival's delay; say what the checks make of it, and take it back."""
    stage.say(say("demo.leak"))
    _apply(stage, (_Change("flights/__init__.py", _COLUMNS, f'{_COLUMNS}, "arr_delay"'),))
    stage.git("commit", "--quiet", "--all", "--message", "Let the model see how late flights arrive", actor="bruno")
    refused = bool(push(stage, "bruno")["state"] == "failed")
    stage.git("revert", "--no-edit", "HEAD", actor="bruno")
    return refused


@dataclass(frozen=True, slots=True)
class Gusts:
    """The version that learned from gusts, if it came that far, and why the canary did not take it back; "" when it did."""

    version: int | None
    why_not: str


def roll_back_gusts(stage: Stage, weeks: Weeks) -> Gusts:
    """Ana's gusts pass every check and fail once the feed leaves them out: the canary takes them back."""
    stage.say(say("demo.gusts"))
    _apply(stage, _GUSTS)
    file = stage.directory / "flights" / "__init__.py"
    file.write_text(_FIT.sub(lambda _: _TWO_PARTS, file.read_text("utf-8")), "utf-8")
    stage.git("commit", "--quiet", "--all", "--message", "Learn from gusts of wind", actor="ana")
    checked = push(stage, "ana")
    if checked["state"] != "passed":
        stage.say(say("demo.gusts_refused"))
        return Gusts(None, say("demo.gusts_refused"))
    for environment, approver in (("staging", "carla"), ("production", "elena")):
        promote(stage, f"release:{checked['commit']}", environment, approver)
    version = train(stage, "carla")
    if not show_gates(stage, version):
        _waive(stage, version)
    promote(stage, f"delay@{version}", "production", "elena")
    following = Following(stage, version)
    stage.say(say("demo.silent", day=NO_GUSTS_FROM.date()))
    for hour in weeks.following_hours(NO_GUSTS_FROM + _PATIENCE):
        weeks.live(hour)
        if (state := following.look()) != "running":
            return Gusts(version, "" if state == "rolled back" else say("demo.gusts_passed", version=version))
    return Gusts(version, say("demo.still_on_its_way", version=version))


def _waive(stage: Stage, version: int) -> None:
    """Carla lets the version pass what it failed, by name and with a reason; the ledger keeps both."""
    failed = [gate["name"] for gate in version_of(stage, version)["gates"] if not gate["passed"]]
    for gate in failed:
        stage.say(say("demo.waived", gate=gate, version=version))
        stage.command("models", "waive", f"delay@{version}", gate, "--reason", "the desk wants gusts now", actor="carla")


def _apply(stage: Stage, changes: tuple[_Change, ...]) -> None:
    for change in changes:
        file: Path = stage.directory / change.file
        text = file.read_text("utf-8")
        if change.old not in text:
            raise CommandFailed(command=f"edit {change.file}", reason=f"{change.old!r} is not there")
        file.write_text(text.replace(change.old, change.new), "utf-8")
