"""Each check catches what it is there for, with file and line, and does not flag what is right."""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.delivery.developing import TOML, write_project

from bucle.artifacts import ArtifactStore
from bucle.delivery import Bench, Verdict
from bucle.delivery.checks import load
from bucle.delivery.checks.contract import check_contract
from bucle.delivery.checks.data import check_data
from bucle.delivery.checks.integration import check_pipeline
from bucle.delivery.checks.load import check_load
from bucle.delivery.checks.safety import unsafe
from bucle.delivery.checks.syntax import check_lint, lint_file
from bucle.delivery.checks.training import check_artifacts, check_gates, check_numbers, check_training
from bucle.delivery.checks.unit_tests import check_feature_tests
from bucle.delivery.errors import NoModel
from bucle.ledger import Home, Scope
from bucle.pipelines import Runs
from bucle.project import working_tree
from bucle.runtimes import RunnerPool

START = datetime(2024, 1, 1, tzinfo=UTC)
CLINIC = '''
"""One pipeline that is well, and others with one illness each."""
import bucle
import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier


@bucle.source("visits.csv", key="visit", timestamp="at", known_at={"paid": "paid_at"})
def visits(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


person = bucle.Entity("person", key="person")


@bucle.features(person, source=visits)
def last_visit(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select(last_size=pl.col("size"))


buyers = bucle.TrainingSet(spine=visits, columns=["size", "place"], features=[last_visit],
                           label=bucle.Label("buys", pl.col("paid") > 0, matures="1d"))


class Unsure(DecisionTreeClassifier):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


class Closed(DecisionTreeClassifier):
    def fit(self, X, y):
        super().fit(X, y)
        self.secret = lambda: 1
        return self


@bucle.step
def fit_well(frame):
    return HistGradientBoostingClassifier(max_iter=30, random_state=frame.seed).fit(frame.X, frame.y)


@bucle.step
def fit_shuffled(frame):
    y = np.random.default_rng(1).permutation(frame.y)
    return HistGradientBoostingClassifier(max_iter=5, learning_rate=0.0001).fit(frame.X, y)


@bucle.step
def fit_unsure(frame):
    return Unsure(max_depth=2).fit(np.nan_to_num(frame.X), frame.y)


@bucle.step
def fit_closed(frame):
    return Closed(max_depth=3).fit(frame.X, frame.y)


@bucle.step
def fit_fragile(frame):
    known = ~np.isnan(frame.X).any(axis=1)
    return LogisticRegression().fit(frame.X[known], frame.y[known])
'''
DATA_ONLY = "\n".join(line for line in CLINIC.split("class Unsure")[0].splitlines() if "sklearn" not in line) + "\n"
PIPELINE = """

@bucle.pipeline(model="{name}")
def train_{name}(window: str = "30d"):
    past, recent = buyers.split(window=window, holdout="7d")
    return bucle.evaluate(fit_{name}(past), recent, slices=["place"])


{name} = bucle.Service("{name}", model="{name}", key="visit")
"""


def write_visits(path: Path, days: int = 60, per_day: int = 40) -> None:
    """Big visits are paid, mostly; the payment is known six hours later."""
    chance = random.Random(7)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["visit", "at", "person", "size", "place", "paid", "paid_at"])
        for number in range(days * per_day):
            at = START + timedelta(minutes=number * 24 * 60 / per_day)
            size, place = chance.random(), chance.choice(["market", "shop"])
            paid = int(size > 0.5) if chance.random() > 0.05 else chance.randint(0, 1)
            row = [f"v{number}", at, f"p{chance.randint(0, 40)}", size, place, paid, at + timedelta(hours=6)]
            writer.writerow([each.isoformat() if isinstance(each, datetime) else each for each in row])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home.open(tmp_path_factory.mktemp("checks") / "home", replay_from=START + timedelta(days=61))
    home.folder("tmp")
    yield home
    home.close()


@pytest.fixture(scope="module")
def runners(home: Home) -> Iterator[RunnerPool]:
    pool = RunnerPool(2, artifacts=home.folder("artifacts"), logs=home.folder("logs"))
    yield pool
    pool.close()


def bench_of(home: Home, runners: RunnerPool, folder: Path, name: str, code: str, toml: str = "") -> Bench:
    write_project(folder, name, {f"{name}.py": code, "bucle.toml": toml or TOML.format(name=name)})
    write_visits(folder / "visits.csv")
    artifacts = ArtifactStore(home.folder("artifacts"))
    return Bench(home, artifacts, runners, Runs(home, artifacts, runners), Scope(name, "test"), working_tree(folder))


def line_of(code: str, text: str) -> int:
    return code.splitlines().index(text) + 1


@pytest.fixture(scope="module")
def ward(home: Home, runners: RunnerPool, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The project with all the illnesses; the clinic's checks share one sample."""
    folder = tmp_path_factory.mktemp("clinic")
    toml = TOML.format(name="clinic").replace(
        'task = "classification"', 'task = "classification"\nsuccess = ["roc_ack >= 0.6"]'
    )
    code = CLINIC + "".join(PIPELINE.format(name=name) for name in ("well", "shuffled", "unsure", "closed", "fragile"))
    bench = bench_of(home, runners, folder, "clinic", code, toml)
    assert check_lint(bench).outcome == "passed"
    assert check_data(bench).outcome == "passed"
    return bench


@pytest.fixture(scope="module")
def healthy(home: Home, runners: RunnerPool, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("healthy")
    toml = TOML.format(name="healthy").replace(
        'task = "classification"', 'task = "classification"\nsuccess = ["roc_auc >= 0.6"]'
    )
    return bench_of(home, runners, folder, "healthy", CLINIC + PIPELINE.format(name="well"), toml)


def blamed(verdict: Verdict) -> set[str | None]:
    assert verdict.outcome == "failed"
    return {finding.where for finding in verdict.findings}


def step_line(name: str) -> str:
    return f"clinic.py:{line_of(CLINIC, f'def fit_{name}(frame):') - 1}"  # its decorator's


def test_a_project_that_is_well_passes_every_check(healthy: Bench) -> None:
    checks = (
        check_lint,
        check_data,
        check_training,
        check_numbers,
        check_artifacts,
        check_gates,
        check_pipeline,
        check_contract,
        check_load,
    )
    verdicts = {check.__name__: check(healthy) for check in checks}
    assert {name: (each.outcome, each.findings) for name, each in verdicts.items() if each.outcome != "passed"} == {}
    assert healthy.versions.keys() == {"visits"}


def test_training_catches_only_the_model_that_does_not_learn(ward: Bench) -> None:
    verdict = check_training(ward)
    assert blamed(verdict) == {step_line("shuffled")}
    assert any("does not learn" in finding.message for finding in verdict.findings)
    assert any("cannot memorise" in finding.message for finding in verdict.findings)


def test_no_nan_catches_only_answers_that_are_no_numbers(ward: Bench) -> None:
    verdict = check_numbers(ward)
    assert blamed(verdict) == {step_line("unsure")}
    assert "predict_proba are NaN" in verdict.message


def test_artifacts_catches_only_the_model_that_cannot_be_kept(ward: Bench) -> None:
    assert blamed(check_artifacts(ward)) == {step_line("closed")}


def test_gates_catches_a_criterion_that_no_evaluation_can_meet_or_miss(ward: Bench) -> None:
    verdict = check_gates(ward)
    assert blamed(verdict) == {"bucle.toml"} and "roc_ack" in verdict.message


def test_contract_catches_the_service_whose_model_cannot_do_without_a_feature(ward: Bench) -> None:
    verdict = check_contract(ward)
    assert verdict.outcome == "failed"
    assert {finding.message.split(":")[0] for finding in verdict.findings} == {"fragile"}
    assert "with all features missing is answered with no number" in verdict.message


LEAKY = """

KEPT = []


class Leaky(DecisionTreeClassifier):
    def predict_proba(self, X):
        KEPT.append(np.ones(10_000))
        return super().predict_proba(X)


@bucle.step
def fit_leaky(frame):
    return Leaky(max_depth=3).fit(frame.X, frame.y)
"""


def test_load_catches_the_model_that_keeps_what_it_is_asked(
    home: Home, runners: RunnerPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is of a class of the project's own, which a serving child has to find."""
    monkeypatch.setattr(load, "_SOAK_SECONDS", 60.0)
    monkeypatch.setattr(load, "_SOAK_REQUESTS", 150)
    code = CLINIC + LEAKY + PIPELINE.format(name="leaky")
    bench = bench_of(home, runners, tmp_path, "strained", code)
    assert check_data(bench).outcome == "passed"
    assert check_artifacts(bench).outcome == "passed"
    verdict = check_load(bench)
    place = line_of(code, 'leaky = bucle.Service("leaky", model="leaky", key="visit")')
    assert blamed(verdict) == {f"strained.py:{place}"}
    assert any("its process grows by" in finding.message for finding in verdict.findings)


def test_pipeline_catches_a_step_that_cannot_be_repeated(home: Home, runners: RunnerPool, tmp_path: Path) -> None:
    code = (
        DATA_ONLY
        + """

@bucle.step
def count(path: str) -> int:
    return len(path)


@bucle.step(cache=False)
def tell(number: int) -> None:
    print(number)


@bucle.pipeline
def sound():
    tell(count("abc"))


@bucle.pipeline
def unsound():
    import time
    tell(count(str(time.time())))


@bucle.pipeline
def broken():
    return count(5)
"""
    )
    verdict = check_pipeline(bench_of(home, runners, tmp_path, "repeat", code))
    assert verdict.outcome == "failed"
    assert ["unsound: step count#1 had to run again" in verdict.message, len(verdict.findings)] == [True, 2]
    assert (
        "broken: " in verdict.findings[1].message
        and verdict.findings[1].where == f"repeat.py:{line_of(code, '    return len(path)')}"
    )


def test_training_says_when_a_pipeline_makes_no_model(home: Home, runners: RunnerPool, tmp_path: Path) -> None:
    code = (
        DATA_ONLY
        + """

@bucle.step
def forget(frame) -> int:
    return len(frame)


@bucle.pipeline(model="hollow")
def train():
    past, recent = buyers.split(window="30d", holdout="7d")
    return forget(past)
"""
    )
    bench = bench_of(home, runners, tmp_path, "hollow", code)
    assert check_data(bench).outcome == "passed"
    with pytest.raises(NoModel) as caught:
        check_training(bench)
    assert caught.value.where == f"hollow.py:{line_of(code, 'def train():') - 1}"


def test_data_catches_a_leak_by_file_and_line(home: Home, runners: RunnerPool, tmp_path: Path) -> None:
    code = DATA_ONLY.replace("    return raw\n", '    return raw.with_columns(bill=pl.col("paid") * 2)\n')
    code = code.replace('columns=["size", "place"]', 'columns=["size", "place", "bill"]')
    verdict = check_data(bench_of(home, runners, tmp_path, "leaky", code))
    assert verdict.outcome == "failed"
    assert any((finding.where or "").startswith("leaky.py:") and "bill" in finding.message for finding in verdict.findings)


def test_data_catches_a_leak_of_a_training_set_over_data_that_was_accepted_before(
    home: Home, runners: RunnerPool, tmp_path: Path
) -> None:
    assert check_data(bench_of(home, runners, tmp_path / "first", "later", DATA_ONLY)).outcome == "passed"
    code = DATA_ONLY.replace('columns=["size", "place"]', 'columns=["size", "place", "paid"]')
    verdict = check_data(bench_of(home, runners, tmp_path / "second", "later", code))
    assert verdict.outcome == "failed"
    assert any((finding.where or "").startswith("later.py:") and "'paid'" in finding.message for finding in verdict.findings)


def test_the_projects_tests_run_by_its_own_settings_not_by_those_of_a_folder_around(
    home: Home, runners: RunnerPool, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nfilterwarnings = ["error"]\nunheard_of = 1\n')
    bench = bench_of(home, runners, tmp_path / "inner", "within", DATA_ONLY)
    (tmp_path / "inner" / "tests").mkdir(exist_ok=True)
    (tmp_path / "inner" / "tests" / "test_features.py").write_text("def test_it() -> None:\n    assert True\n")
    assert check_feature_tests(bench).outcome == "passed"


def test_data_says_when_a_source_is_not_there(home: Home, runners: RunnerPool, tmp_path: Path) -> None:
    bench = bench_of(home, runners, tmp_path, "absent", DATA_ONLY.replace("visits.csv", "nowhere.csv"))
    verdict = check_data(bench)
    assert verdict.outcome == "failed" and "data/no-files" in verdict.message


@pytest.mark.parametrize(
    ("code", "line", "said"),
    [
        ("def f(:\n    pass\n", 1, "SyntaxError"),
        ("x = 1\nprint(y)\n", 2, "'y' is defined nowhere"),
        ("def f():\n    return np.zeros(3)\n", 2, "'np' is defined nowhere"),
        ("class A:\n    x = 1\n    def f(self):\n        return x\n", 4, "'x' is defined nowhere"),
        ("x = [missing for i in range(3)]\n", 1, "'missing' is defined nowhere"),
    ],
)
def test_lint_names_the_line(tmp_path: Path, code: str, line: int, said: str) -> None:
    (tmp_path / "m.py").write_text(code)
    (finding,) = lint_file(tmp_path / "m.py", "m.py")
    assert finding.where == f"m.py:{line}" and said in finding.message


@pytest.mark.parametrize(
    "code",
    [
        "import os\nprint(os.name, __file__, __name__)\n",
        "def f():\n    return g()\n\ndef g():\n    return 1\n",
        "from math import *\nprint(sin(1))\n",
        "def f():\n    global x\n    x = 1\n\ndef g():\n    return x\n",
        "try:\n    import tomllib\nexcept ImportError as error:\n    print(error)\n",
        "def outer():\n    n = 0\n    def inner():\n        nonlocal n\n        n += 1\n        return n\n    return inner\n",
        "class A:\n    def f(self):\n        return __class__\n",
        "x: int\ny = [i for i in range(3) if (z := i)]\nprint(z, y)\n",
        "match 1:\n    case n:\n        print(n)\n",
        "with open('x') as file:\n    print(file)\nfor i, (j, *k) in []:\n    print(i, j, k)\n",
        "lambda a, *b, c=1, **d: (a, b, c, d)\n",
        "def f(x: 'Later') -> None:\n    print(x)\n",
    ],
)
def test_lint_does_not_flag_what_is_defined(tmp_path: Path, code: str) -> None:
    (tmp_path / "m.py").write_text(code)
    assert lint_file(tmp_path / "m.py", "m.py") == []


def test_safety_catches_secrets_and_pickles_and_nothing_else(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "key.txt").write_text("first\n-----BEGIN RSA PRIVATE " + "KEY-----\n")
    (tmp_path / "conf.py").write_text('TOKEN = "bucle_' + "a" * 43 + '"\n')
    (tmp_path / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "fine.py").write_text('"""About private keys and bucle_tokens."""\n')
    found = {path.name: [each.where for each in unsafe(path, path.name)] for path in sorted(tmp_path.iterdir())}
    assert found == {"key.txt": ["key.txt:2"], "conf.py": ["conf.py:1"], "model.pkl": ["model.pkl:1"], "fine.py": []}


def test_lint_asks_for_the_environment_test(home: Home, runners: RunnerPool, tmp_path: Path) -> None:
    toml = '[project]\nname = "bare"\ndefinitions = "bare"\n'
    write_project(tmp_path, "bare", {"bucle.toml": toml})
    artifacts = ArtifactStore(home.folder("artifacts"))
    runs = Runs(home, artifacts, runners)
    bench = Bench(home, artifacts, runners, runs, Scope("bare", "test"), working_tree(tmp_path))
    verdict = check_lint(bench)
    assert verdict.outcome == "failed" and "no environment 'test'" in verdict.message
