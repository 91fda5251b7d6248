"""What a live model version, or another definition, consumes cannot be deleted; what nobody consumes any more can (S-06)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.audit.clinic import BEGIN, CODE, Clinic, commit_all, copied, make_clinic, opened, write_project, write_visits
from tests.delivery.developing import TOML

from bucle.delivery import CHECKS, Delivery, get_check_run
from bucle.delivery.results import CheckResult
from bucle.ledger import acting

RUN = ("safety", "lint", "data", "consumers")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("consumed")
    make_clinic(folder)
    return folder


@pytest.fixture(scope="module")
def clinic(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with opened(copied(template, tmp_path_factory.mktemp("copy"))) as found:
        yield found


def check(clinic: Clinic, code: str) -> CheckResult:
    (clinic.work / "clinic.py").write_text(code, "utf-8")
    commit_all(clinic.work)
    delivery = clinic.house.part(Delivery)
    delivery.checker._checks = tuple(each for each in CHECKS if each.name in RUN)
    with acting("ana", "ml_engineer"):
        id = delivery.check("clinic", "HEAD", "check", clinic.work)
        delivery.checker.wait(id)
    results = {each.name: each for each in get_check_run(clinic.house.ledger, "clinic", id).results}
    assert results["data"].outcome == "passed", results["data"].findings
    return results["consumers"]


def line_of(code: str, text: str) -> int:
    return next(number for number, line in enumerate(code.splitlines(), 1) if text in line)


def without_view(code: str) -> str:
    begin, end = code.index("@bucle.features"), code.index("buyers = ")
    return (code[:begin] + code[end:]).replace("features=[last_visit]", "features=[]")


def test_a_commit_that_takes_nothing_away_passes(clinic: Clinic) -> None:
    result = check(clinic, CODE + "\n# said here\n")
    assert (result.outcome, result.message) == ("passed", "1 live model versions consume 3 inputs, all of which are given")


def test_a_view_that_a_live_version_is_fed_from_cannot_be_deleted(clinic: Clinic) -> None:
    (found,) = check(clinic, without_view(CODE)).findings
    assert found.message.startswith("delivery/consumed-feature: This commit takes away the feature view last_visit")
    assert "sale@1 (current of sale in production)" in found.message
    assert found.where == f"clinic.py:{line_of(CODE, '@bucle.features')}", "where it stood in the code that serves"
    assert "training set" in found.next


def test_a_feature_of_a_view_cannot_be_deleted_or_renamed(clinic: Clinic) -> None:
    (found,) = check(clinic, CODE.replace('last_size=pl.col("size")', 'newest=pl.col("size")')).findings
    assert "takes away the feature last_size of last_visit" in found.message
    assert found.where == f"clinic.py:{line_of(CODE, '@bucle.features')}"


def test_a_column_of_the_spine_that_a_live_version_takes_cannot_be_deleted(clinic: Clinic) -> None:
    code = CODE.replace("    return raw\n", '    return raw.drop("place")\n').replace('"size", "place"', '"size"')
    (found,) = check(clinic, code).findings
    assert "the column place of visits" in found.message and found.where == f"clinic.py:{line_of(CODE, '@bucle.source')}"


def test_a_column_may_leave_the_training_set_so_that_a_next_version_does_without(clinic: Clinic) -> None:
    assert check(clinic, CODE.replace('"size", "place"', '"size"')).outcome == "passed"
    assert check(clinic, CODE.replace("features=[last_visit]", "features=[]")).outcome == "passed"


def test_a_column_that_another_definition_consumes_cannot_be_deleted(tmp_path: Path) -> None:
    """In a project that nothing of is live, too: there the definitions are all the consumers there are."""
    write_project(
        tmp_path / "work", "clinic", {"clinic.py": CODE, "bucle.toml": TOML.format(name="clinic"), ".gitignore": "*.csv\n"}
    )
    write_visits(tmp_path / "work" / "visits.csv", days=10)
    with opened(tmp_path, replay_from=BEGIN) as clinic:
        clinic.move(11)
        assert check(clinic, CODE).message == "no model version is live yet; all columns that definitions name are given"
        (found,) = check(clinic, CODE.replace("    return raw\n", '    return raw.drop("place")\n')).findings
        assert found.message.startswith("delivery/consumed-column: This commit does not give the column place of visits")
        assert "the training set buyers" in found.message
        assert found.where == f"clinic.py:{line_of(CODE, '@bucle.source')}"
