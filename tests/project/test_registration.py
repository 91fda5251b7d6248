"""A home knows projects, their charter and decision record, and what each environment runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bucle.ledger import EventFilter, Home, Scope, acting
from bucle.project import (
    current_release,
    dev_checkout,
    list_environments,
    list_projects,
    load_project_file,
    point_environment,
    register_project,
)
from bucle.project.errors import BadValue, NoWorkingTree

CHARTER = """\
[project]
name = "flights"
[charter]
problem = "Gates are rebooked too late."
task = "classification"
success = ["roc_auc >= 0.65"]
data = ["flights: departures"]
architecture = "decision.md"
[environments.test]
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home.open(tmp_path / "home")
    yield home
    home.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "flights"
    root.mkdir()
    (root / "bucle.toml").write_text(CHARTER)
    (root / "decision.md").write_text("# 1. Boosting\n\nBecause.\n")
    return root


def kinds(home: Home) -> list[str]:
    return [event.kind for event in home.ledger.events(EventFilter(kinds=("project.",)))]


def test_a_project_its_charter_and_decision_are_events_and_only_changes_are(home: Home, root: Path) -> None:
    with acting("ada", "business_stakeholder"):
        first = register_project(home.ledger, load_project_file(root))
    assert kinds(home) == ["project.registered", "project.charter_recorded", "project.decision_recorded"]
    charter = home.ledger.event(first.charter_event or 0)
    assert (charter.project, charter.subject, charter.actor) == ("flights", "flights", "ada")
    assert (charter.data["task"], charter.data["success"]) == ("classification", ["roc_auc >= 0.65"])
    assert home.ledger.event(first.decision_event or 0).data["title"] == "1. Boosting"
    assert register_project(home.ledger, load_project_file(root)) == first
    assert len(kinds(home)) == 3
    (root / "bucle.toml").write_text(CHARTER.replace("0.65", "0.7"))
    (root / "decision.md").write_text("# 1. Linear\n")
    second = register_project(home.ledger, load_project_file(root))
    assert kinds(home)[3:] == ["project.charter_recorded", "project.decision_recorded"]
    assert second.charter_event != first.charter_event
    with home.ledger.read() as reader:
        assert list_projects(reader) == [second]


def test_a_project_without_charter_records_none(home: Home, root: Path) -> None:
    (root / "bucle.toml").write_text('[project]\nname = "flights"\n')
    assert register_project(home.ledger, load_project_file(root)).charter_event is None
    assert kinds(home) == ["project.registered"]


def test_a_decision_record_that_is_not_there_is_refused(home: Home, root: Path) -> None:
    (root / "decision.md").unlink()
    with pytest.raises(BadValue, match=r"decision\.md"):
        register_project(home.ledger, load_project_file(root))
    assert kinds(home) == []


def test_an_environment_points_to_one_release(home: Home) -> None:
    scope = Scope("flights", "production")
    with home.ledger.read() as reader:
        assert current_release(reader, scope) is None
    for release in ("rel_1", "rel_2"):
        with home.ledger.write() as transaction:
            event = point_environment(transaction, scope, release, f"commit of {release}", "blake3:lock")
    with home.ledger.read() as reader:
        pointer = current_release(reader, scope)
        assert pointer is not None
        assert (pointer.release_id, pointer.commit, pointer.event) == ("rel_2", "commit of rel_2", event)
        assert list_environments(reader, "flights") == [pointer]
        assert current_release(reader, Scope("flights", "test")) is None
    moved = home.ledger.event(event)
    assert (moved.data["previous"], moved.environment) == ("rel_1", "production")


def test_dev_is_the_working_tree_that_was_registered_else_that_beside_the_home(tmp_path: Path, home: Home, root: Path) -> None:
    with pytest.raises(NoWorkingTree):
        dev_checkout(home, "flights")
    register_project(home.ledger, load_project_file(root))
    with pytest.raises(NoWorkingTree):
        dev_checkout(home, "flights")
    register_project(home.ledger, load_project_file(root), working_tree=True)
    assert dev_checkout(home, "flights").root == root
    beside = Home.open(root / ".bucle")
    try:
        assert dev_checkout(beside, "flights").root == root
        with pytest.raises(NoWorkingTree):
            dev_checkout(beside, "another")
    finally:
        beside.close()
