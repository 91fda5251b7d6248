"""bucle.toml is read strictly: what is wrong is said with its line and the nearest right thing."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucle.errors import BucleError
from bucle.project import Criterion, LoadTerms, Step, load_project_file, parse_criterion
from bucle.project.errors import (
    BadCriterion,
    BadName,
    BadToml,
    BadValue,
    MissingKey,
    NoProjectFile,
    UnknownEnvironment,
    UnknownKey,
    WrongType,
)
from bucle.project.toml_lines import line_of

WHOLE = """\
[project]
name = "flights"
definitions = "flights"

[charter]
problem = "Gates are rebooked too late."
task = "classification"
success = ["roc_auc >= 0.65", "roc_auc >= 0.55 by origin"]
owner = "operations"
data = ["flights: departures"]
architecture = "docs/decisions/0001-architecture.md"

[environments.test]
deploy = "automatic"
sources = { flights = "test-data/*.parquet" }

[environments.production]
deploy = "approved"
settings = { threshold = 0.5, name = "x", on = true }

[environments.dev]
settings = { threshold = 0.1 }
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "bucle.toml").write_text(text)
    return tmp_path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    file = load_project_file(written(tmp_path, WHOLE))
    assert (file.name, file.definitions, file.root) == ("flights", "flights", tmp_path)
    assert file.charter.task == "classification"
    assert file.charter.success == (Criterion("roc_auc", ">=", 0.65), Criterion("roc_auc", ">=", 0.55, by="origin"))
    assert file.charter.architecture == "docs/decisions/0001-architecture.md"
    assert list(file.environments) == ["test", "production"]
    production = file.environment("production")
    assert production.deploy == "approved"
    assert production.settings == {"threshold": 0.5, "name": "x", "on": True}
    assert file.environment("test").sources == {"flights": "test-data/*.parquet"}
    assert file.environment("dev").settings == {"threshold": 0.1}


def test_only_a_name_is_needed(tmp_path: Path) -> None:
    file = load_project_file(written(tmp_path, '[project]\nname = "late-flights"\n'))
    assert (file.definitions, file.charter.success, dict(file.environments)) == ("late_flights", (), {})
    assert file.environment("dev").name == "dev"


def test_a_rollout_is_steps_before_all_traffic(tmp_path: Path) -> None:
    declared = (
        'rollout = { strategy = "shadow, canary", steps = [5, 100], requests = 40, labels = 0, hold = "1h", within = "3d" }'
    )
    file = load_project_file(written(tmp_path, WHOLE.replace('deploy = "approved"', declared)))
    policy = file.environment("production").rollout
    assert policy.stages == (Step("shadow", 0), Step("canary", 5))
    assert (policy.requests, policy.labels, policy.hold, policy.within) == (40, 0, timedelta(hours=1), timedelta(days=3))
    assert file.environment("test").rollout.stages == ()
    plain = load_project_file(written(tmp_path, WHOLE.replace('deploy = "approved"', "rollout = {}"))).environment("production")
    assert [step.share for step in plain.rollout.stages] == [0, 10, 50]


def test_what_services_must_bear_is_declared_by_environment(tmp_path: Path) -> None:
    file = load_project_file(written(tmp_path, WHOLE.replace('deploy = "approved"', "load = { rate = 200, p99_ms = 80 }")))
    assert file.environment("production").load == LoadTerms(rate=200, p99_ms=80, growth_kb=4)
    assert file.environment("test").load == LoadTerms(rate=50, p99_ms=250, growth_kb=4)


@pytest.mark.parametrize(
    ("before", "after", "kind", "line", "said"),
    [
        ('owner = "operations"', 'ownr = "operations"', UnknownKey, 9, "owner"),
        ("[charter]", "[chartr]", UnknownKey, 5, "charter"),
        ('deploy = "automatic"', 'deply = "automatic"', UnknownKey, 14, "deploy"),
        ('name = "flights"', "name = 7", WrongType, 2, "whole number"),
        ('success = ["roc', 'success = [1, "roc', WrongType, 8, "list with a whole number"),
        ('data = ["flights: departures"]', 'data = "flights"', WrongType, 10, "a list of texts"),
        ("threshold = 0.5", "threshold = [1]", WrongType, 19, "settings.threshold"),
        ('deploy = "approved"', 'rollout = { strategy = "shadows" }', BadValue, 18, "shadow, canary"),
        ('deploy = "approved"', 'rollout = { strategy = "shadow", steps = [10, 100] }', UnknownKey, 18, "rollout.steps"),
        ('deploy = "approved"', 'rollout = { strategy = "canary", labels = 10 }', UnknownKey, 18, "rollout.labels"),
        ('deploy = "approved"', 'rollout = { strategy = "all at once", requests = 10 }', UnknownKey, 18, "rollout.requests"),
        ('deploy = "approved"', "rollout = { steps = [50, 10, 100] }", BadValue, 18, "growing percents"),
        ('deploy = "approved"', "rollout = { steps = [10, 50] }", BadValue, 18, "end with 100"),
        ('deploy = "approved"', "rollout = { requests = 0 }", BadValue, 18, "at least 1"),
        ('deploy = "approved"', 'rollout = { within = "soon" }', BadValue, 18, "rollout.within"),
        ('deploy = "approved"', 'rollout = "canary"', WrongType, 18, "a table"),
        ('deploy = "approved"', "load = { rate = 0 }", BadValue, 18, "at least 1"),
        ('deploy = "approved"', "load = { rate = 501 }", BadValue, 18, "at most 500"),
        ('deploy = "approved"', "load = { p99 = 250 }", UnknownKey, 18, "load.p99"),
        ('deploy = "approved"', 'deploy = "aproved"', BadValue, 18, "approved"),
        ('task = "classification"', 'task = "clustering"', BadValue, 7, "regression"),
        ('architecture = "docs', 'architecture = "../docs', BadValue, 11, "inside the project"),
        ('definitions = "flights"', 'definitions = "flights/x"', BadValue, 3, "package or module"),
        ('"roc_auc >= 0.65"', '"roc_auc at least 0.65"', BadCriterion, 8, "at least"),
        ('name = "flights"', 'name = "../flights"', BadName, 2, "../flights"),
        ('name = "flights"', "", MissingKey, 1, "project.name"),
        ("[environments.test]", '[environments."Test 1"]', BadName, 13, "Test 1"),
        ("[environments.dev]\nsettings", '[environments.dev]\ndeploy = "automatic"\nsettings', UnknownKey, 22, "deploy"),
        ('owner = "operations"', "owner = operations", BadToml, 9, "Invalid value"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, before: str, after: str, kind: type[BucleError], line: int, said: str
) -> None:
    assert before in WHOLE
    with pytest.raises(kind) as caught:
        load_project_file(written(tmp_path, WHOLE.replace(before, after, 1)))
    assert caught.value.where == f"{tmp_path / 'bucle.toml'}:{line}"
    assert said in caught.value.text + caught.value.next_step


def test_a_folder_without_the_file_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(NoProjectFile, match=str(tmp_path)):
        load_project_file(tmp_path)


def test_a_misspelt_environment_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownEnvironment) as caught:
        load_project_file(written(tmp_path, WHOLE)).environment("prodution")
    assert "production" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "criterion"),
    [
        ("roc_auc>=0.5", Criterion("roc_auc", ">=", 0.5)),
        (" mae <= 1e3 by carrier ", Criterion("mae", "<=", 1000.0, "carrier")),
        ("r2 > -.5", Criterion("r2", ">", -0.5)),
    ],
)
def test_a_criterion_is_read(text: str, criterion: Criterion) -> None:
    assert parse_criterion(text) == criterion


@pytest.mark.parametrize(
    "text", ["", "roc_auc", ">= 0.5", "roc_auc = 0.5", "roc_auc >= x", "a >= 1 by", "a >= 1 by b c", "a >= 1e"]
)
def test_what_is_no_criterion_is_refused(text: str) -> None:
    with pytest.raises(BadCriterion):
        parse_criterion(text)


@given(
    st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "by"),
    st.sampled_from([">=", "<=", ">", "<"]),
    st.integers(-1000, 1000),
    st.none() | st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
)
def test_a_criterion_says_itself(metric: str, operator: str, threshold: int, by: str | None) -> None:
    criterion = Criterion(metric, operator, threshold / 10, by)  # type: ignore[arg-type]
    assert parse_criterion(str(criterion)) == criterion


def test_a_criterion_holds_at_its_threshold_and_never_for_nan() -> None:
    assert parse_criterion("a >= 1").holds(1.0)
    assert not parse_criterion("a > 1").holds(1.0)
    assert parse_criterion("a < 1").holds(0.5)
    assert not any(parse_criterion(f"a {operator} 1").holds(float("nan")) for operator in (">=", "<=", ">", "<"))


def test_lines_of_keys_are_found_in_tables_inline_tables_and_dotted_keys() -> None:
    text = '# x\n[a]\nb.c = 1\n"d e" = { f = 1 }\n[[g.h]]\ni = 2\n'
    found = [line_of(text, path) for path in (("a",), ("a", "b"), ("a", "b", "c"), ("a", "d e", "f"), ("g", "h", "i"), ("z",))]
    assert found == [2, 3, 3, 4, 6, 1]
