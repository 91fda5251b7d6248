"""One deployment answers, the one before stands by, and each change is an event with its cause."""

from collections.abc import Callable

import pytest

from bucle.ledger import EventFilter, Home, Scope, because
from bucle.serving import (
    Candidate,
    NothingDeployed,
    NothingToRestore,
    current_deployment,
    deploy,
    list_deployments,
    rollback,
    standby_deployment,
    withdraw,
)

SCOPE = Scope("flights", "production")


def test_a_replacement_leaves_the_version_before_on_standby_and_retires_the_one_before_that(
    home: Home, candidate: Callable[[int], Candidate]
) -> None:
    for version in (1, 2, 3):
        with home.ledger.write() as tx:
            deploy(tx, SCOPE, candidate(version))
    with home.ledger.read() as reader:
        states = {each.candidate.version: each.state for each in list_deployments(reader, SCOPE, "delay")}
        current = current_deployment(reader, SCOPE, "delay")
    assert states == {1: "retired", 2: "standby", 3: "current"}
    assert current is not None
    assert current.candidate == candidate(3)


def test_a_rollback_restores_the_version_before_as_a_deployment_of_its_own(
    home: Home, candidate: Callable[[int], Candidate]
) -> None:
    with home.ledger.write() as tx:
        deploy(tx, SCOPE, candidate(1))
        second = deploy(tx, SCOPE, candidate(2))
        restored = rollback(tx, SCOPE, "delay")
    assert (restored.candidate.version, restored.strategy, restored.replaced) == (1, "rollback", second.id)
    with home.ledger.read() as reader:
        standby = standby_deployment(reader, SCOPE, "delay")
    assert standby is not None
    assert standby.id == second.id


def test_there_is_nothing_to_restore_after_the_first_deployment(home: Home, candidate: Callable[[int], Candidate]) -> None:
    with home.ledger.write() as tx:
        deploy(tx, SCOPE, candidate(1))
    with pytest.raises(NothingToRestore) as caught, home.ledger.write() as tx:
        rollback(tx, SCOPE, "delay")
    assert caught.value.code == "serving/nothing-to-restore"


def test_a_deployment_is_caused_by_what_decided_it_and_hangs_on_the_model_version(
    home: Home, candidate: Callable[[int], Candidate]
) -> None:
    with home.ledger.write() as tx:
        promotion = deploy(tx, Scope("flights", "staging"), candidate(1)).event
    with because(promotion), home.ledger.write() as tx:
        deployment = deploy(tx, SCOPE, candidate(1))
    event = home.ledger.event(deployment.event)
    assert event.caused_by == (promotion,)
    assert (event.kind, event.environment, event.data["number"]) == ("serving.deployed", "production", 1)
    assert [(edge.source, edge.role) for edge in home.ledger.lineage(deployment.id)] == [("mv_1", "serves")]


def test_environments_and_projects_do_not_see_one_another(home: Home, candidate: Callable[[int], Candidate]) -> None:
    with home.ledger.write() as tx:
        deploy(tx, SCOPE, candidate(1))
    with home.ledger.read() as reader:
        assert current_deployment(reader, Scope("flights", "staging"), "delay") is None
        assert current_deployment(reader, Scope("other", "production"), "delay") is None


def test_a_withdrawn_service_answers_no_longer_and_can_be_restored(home: Home, candidate: Callable[[int], Candidate]) -> None:
    with home.ledger.write() as tx:
        deploy(tx, SCOPE, candidate(1))
        withdraw(tx, SCOPE, "delay")
    with home.ledger.read() as reader:
        assert current_deployment(reader, SCOPE, "delay") is None
    with home.ledger.write() as tx:
        assert rollback(tx, SCOPE, "delay").candidate.version == 1
    assert [event.kind for event in home.ledger.events(EventFilter(kinds=("serving.",)))] == [
        "serving.deployed",
        "serving.withdrawn",
        "serving.deployed",
    ]
    with pytest.raises(NothingDeployed), home.ledger.write() as tx:
        withdraw(tx, Scope("flights", "staging"), "delay")
