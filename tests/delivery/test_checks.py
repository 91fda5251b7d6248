"""Each check catches what it is there for, with file and line, and does not flag what is right."""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.delivery.developing import TOML, write_project
from tests.serving.conftest import logged_request

from bucle.artifacts import ArtifactStore
from bucle.delivery import CHECKS, Bench, Check, Verdict
from bucle.delivery.checks import load
from bucle.delivery.checks.contract import check_contract
from bucle.delivery.checks.data import check_data
from bucle.delivery.checks.integration import check_pipeline
from bucle.delivery.checks.load import sample_candidate
from bucle.delivery.checks.safety import unsafe
from bucle.delivery.checks.syntax import check_lint, lint_file
from bucle.delivery.checks.training import check_artifacts, check_gates, check_numbers, check_training, rehearsals
from bucle.delivery.checks.unit_tests import check_feature_tests
from bucle.delivery.errors import NoModel
from bucle.ledger import Home, Scope, acting, new_id
from bucle.pipelines import Runs
from bucle.project import working_tree
from bucle.runtimes import RunnerPool
from bucle.serving import ServiceSpec, Value, deploy
from bucle.serving.log import LoggedRow, PredictionLog

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


@pytest.fixture(scope="module")
def leaky(home: Home, runners: RunnerPool, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A model that keeps what it is asked, of a class of the project's own, which a serving child has to find."""
    bench = bench_of(home, runners, tmp_path_factory.mktemp("leaky"), "leaky", CLINIC + LEAKY + PIPELINE.format(name="leaky"))
    assert check_data(bench).outcome == "passed"
    return bench


SICK = DATA_ONLY.replace("    return raw\n", '    return raw.with_columns(bill=pl.col("paid") * 2)\n')
SICK = SICK.replace('columns=["size", "place"]', 'columns=["size", "place", "bill"]')
SICK += """

def look():
    return undefined_here
"""
BROKEN = """

@bucle.step
def count(path: str) -> int:
    return len(path)


@bucle.pipeline
def broken():
    return count(5)
"""


@pytest.fixture(scope="module")
def sick(home: Home, runners: RunnerPool, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A project with many illnesses that need no model."""
    import pickle

    folder = tmp_path_factory.mktemp("sick")
    bench = bench_of(home, runners, folder, "sick", SICK)
    for name, test in (("features", "rows"), ("model", "fit")):
        (folder / "tests" / f"test_{name}.py").write_text(f"def test_{test}() -> None:\n    assert False\n")
    (folder / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    return bench


@pytest.fixture(scope="module")
def deprived(home: Home, runners: RunnerPool, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A definition names a column that its source does not give, and a pipeline does not come to its end."""
    code = DATA_ONLY.replace('columns=["size", "place"]', 'columns=["size", "colour"]')
    bench = bench_of(home, runners, tmp_path_factory.mktemp("deprived"), "deprived", code + BROKEN)
    check_data(bench)
    return bench


def blamed(verdict: Verdict) -> set[str | None]:
    assert verdict.outcome == "failed"
    return {finding.where for finding in verdict.findings}


def step_line(name: str) -> str:
    return f"clinic.py:{line_of(CLINIC, f'def fit_{name}(frame):') - 1}"  # its decorator's


def remember(bench: Bench, service: str, *rows: list[Value]) -> None:
    """Let a service of test have been asked: inputs (size, place, last_size) as the prediction log holds them."""
    (spec,) = (each for each in bench.code.description.specs("service", ServiceSpec) if each.name == service)
    found = rehearsals(bench)
    assert not isinstance(found, Verdict)
    (package,) = (each.answer.package for each in found if each.spec.model == spec.model)
    with acting("olga", "devops_engineer"), bench.home.ledger.write() as tx:
        deployment = deploy(tx, bench.scope, sample_candidate(bench, spec, package or ""))
    logged = [LoggedRow(new_id("pred"), "v1", bench.home.ledger.clock.now_us(), row, 0.4) for row in rows]
    log = PredictionLog(bench.home.ledger, bench.home.folder("spool") / bench.scope.project)
    log.append(logged_request(deployment, logged))
    log.ship()
    log.close()


def ill(name: str, request: pytest.FixtureRequest) -> tuple[Bench, str]:
    """Return a project that a check must catch, and words of what it says then."""
    fixture, words = ILL[name]
    bench: Bench = request.getfixturevalue(fixture)
    if name == "replay":
        remember(bench, "fragile", [0.7, "shop", 0.2], [0.2, "market", None])
    return bench, words


ANSWERLESS = (
    "1 of 2 recorded requests are not answered any more: the answer is no finite number; in all of them last_size is null"
)
ILL = {
    "safety": ("sick", "a pickle runs code when it is loaded"),
    "lint": ("sick", "'undefined_here' is defined nowhere"),
    "feature-tests": ("sick", "test_rows"),
    "model-tests": ("sick", "test_fit"),
    "data": ("sick", "bill"),
    "consumers": ("deprived", "colour"),
    "training": ("ward", "does not learn"),
    "no-nan": ("ward", "predict_proba are NaN"),
    "artifacts": ("ward", "registry/un"),
    "gates": ("ward", "roc_ack"),
    "pipeline": ("deprived", "broken"),
    "contract": ("ward", "with all features missing is answered with no number"),
    "load": ("leaky", "its process grows by"),
    "replay": ("ward", ANSWERLESS),
}
"""For each check the project that it must catch; the one that it must not flag is `healthy` for all of them."""


def test_each_check_has_a_project_that_it_must_catch() -> None:
    assert list(ILL) == [check.name for check in CHECKS]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_each_check_catches_what_it_is_there_for(
    check: Check, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_SOAK_SECONDS", 60.0)
    monkeypatch.setattr(load, "_SOAK_REQUESTS", 150)
    bench, words = ill(check.name, request)
    verdict = check.run(bench)
    assert (verdict.outcome, any(words in finding.message for finding in verdict.findings)) == ("failed", True), verdict


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_no_check_flags_a_project_that_is_well(check: Check, healthy: Bench) -> None:
    if check.name == "replay":
        remember(healthy, "well", [0.7, "shop", 0.2], [0.2, "market", None])
    verdict = check.run(healthy)
    assert (verdict.outcome, verdict.findings) == ("skipped" if "too busy" in verdict.message else "passed", [])
    assert healthy.versions.keys() <= {"visits"}


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
