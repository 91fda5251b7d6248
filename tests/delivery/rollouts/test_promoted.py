"""From a promotion to all traffic, or back with the release that a version came with: the whole way, with real releases."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from tests.delivery.developing import TOML, commit_all, write_project
from tests.delivery.test_checks import CLINIC, PIPELINE, START, write_visits
from tests.delivery.test_models import OLGA, PRODUCTION, RAJ, deliver, last, train

from bucle.client import Client
from bucle.client.transports import InProcessTransport
from bucle.delivery import Delivery, Promotion, approve, checking, newest_rollout, promote, prospects, show
from bucle.delivery.errors import RolloutRunning
from bucle.ledger import Scope, acting
from bucle.project import current_release
from bucle.registry import find_version, waive_gate
from bucle.server import House, open_house

ROLLOUT = 'deploy = "approved"\nrollout = { strategy = "shadow, canary", steps = [50, 100], requests = 20, labels = 0 }'
LONG = 'deploy = "automatic"\nrollout = { strategy = "canary", steps = [50, 100], requests = 10000 }'
TEST = Scope("shop", "test")
WELL = "HistGradientBoostingClassifier(max_iter=iterations, random_state=frame.seed).fit(frame.X, frame.y)"
BLIND = "Blind(max_depth=3).fit(frame.X, frame.y)"
BLIND_CLASS = """

class Blind(DecisionTreeClassifier):
    def predict_proba(self, X):
        if np.isnan(X).sum(axis=1).max() > 1:
            raise ValueError("two values are missing at once")
        return super().predict_proba(X)
"""
"""What no check of a candidate asks for: one value that is missing they try, not two of these at once."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("rolled")
    house = open_house(folder / "home", "call", replay_from=START + timedelta(days=61))
    house.part(Delivery).checker._checks = checking.CHECKS[:2]
    code = CLINIC.replace("max_iter=30", "max_iter=iterations").replace("fit_well(frame)", "fit_well(frame, iterations=30)")
    code += PIPELINE.format(name="well").replace('window: str = "30d"', 'window: str = "30d", iterations: int = 30')
    code = code.replace("fit_well(past)", "fit_well(past, iterations)")
    toml = TOML.format(name="shop").replace('deploy = "approved"', ROLLOUT).replace('deploy = "automatic"', LONG)
    write_visits(write_project(folder / "work", "shop", {"shop.py": code, "bucle.toml": toml}) / "visits.csv")
    (folder / "work" / ".gitignore").write_text("visits.csv\n")
    commit_all(folder / "work")
    yield house
    house.close()


def version_of(house: House, **parameters: object) -> str:
    """Train in production and let the version pass: what its gates say is not what this is about."""
    name = train(house, PRODUCTION, **parameters)
    with house.ledger.read() as reader:
        version = find_version(reader, "shop", name)
    with acting("mia", "ml_engineer"), house.ledger.write() as tx:
        for gate in version.failed:
            waive_gate(tx, version.id, gate.name, "to see what its rollout says")
    return name


def ask_for(house: House, name: str) -> Promotion:
    with acting("olga", "devops_engineer"):
        return promote(house.part(Delivery), PRODUCTION, name, OLGA)


def agree(house: House, waiting: Promotion) -> Promotion:
    with acting("raj", "software_engineer"):
        done = approve(house.part(Delivery), "shop", waiting.id, RAJ)
    house.dispatcher.drain()
    return done


def visit(house: House, numbers: range, person: str, place: str = "shop") -> list[Any]:
    """Ask for predictions as a shop would."""
    client = Client(InProcessTransport(house), None, "shop", "tests/1")
    rows = [{"visit": f"n{number}", "size": number % 10 / 10, "place": place, "person": person} for number in numbers]
    path = client.path("services", "well", "predict")
    return list(client.post(path, {"rows": rows}, {"environment": "production"})["predictions"])


def shown(house: House) -> Any:
    house.settle()
    with house.ledger.read() as reader:
        return show(reader, newest_rollout(reader, PRODUCTION, "well"), house.ledger.clock.now())


def stage(house: House, name: str) -> str:
    with house.ledger.read() as reader:
        return str(find_version(reader, "shop", name).stage)


def test_what_is_trained_during_a_rollout_has_its_turn_afterwards_and_what_went_back_has_none(house: House) -> None:
    """Where the policy is automatic nobody is there to ask again."""
    deliver(house, house.home.path.parent / "work")
    names = []
    for iterations in (30, 25, 20, 15):
        names.append(train(house, TEST, iterations=iterations))
        house.dispatcher.drain()

    def target() -> str:
        with house.ledger.read() as reader:
            newest = newest_rollout(reader, TEST, "well")
        return f"{newest.target} is {newest.state}"

    assert target() == f"{names[1]} is running"
    client = Client(InProcessTransport(house), None, "shop", "tests/1")
    client.post(client.path("rollback"), {"name": "well"}, {"environment": "test"})
    house.dispatcher.drain()
    assert target() == f"{names[3]} is running", "the newest, not the one between"
    client.post(client.path("rollback"), {"name": "well"}, {"environment": "test"})
    house.dispatcher.drain()
    assert target() == f"{names[3]} is rolled back", "nothing that went back is tried again by itself"


def test_a_version_that_is_no_worse_gets_there_and_one_that_fails_online_goes_back_with_its_release(house: House) -> None:
    folder = house.home.path.parent / "work"
    good_commit = deliver(house, folder)
    first = version_of(house)
    assert agree(house, ask_for(house, first)).state == "done", "nothing answered before: there is nothing to compare with"
    visit(house, range(30), "p1")

    second = version_of(house, iterations=25)
    waiting = ask_for(house, second)
    (foreseen,) = prospects(house.part(Delivery), waiting)
    assert foreseen.service == "well" and foreseen.sentence
    assert agree(house, waiting).state == "rolling out"
    assert (stage(house, first), stage(house, second)) == ("production", "registered")
    third = version_of(house, iterations=20)
    asked = ask_for(house, third)
    with pytest.raises(RolloutRunning, match=second), acting("raj", "software_engineer"):
        approve(house.part(Delivery), "shop", asked.id, RAJ)
    for start in range(100, 1000, 50):
        if shown(house).state == "running":
            assert len(visit(house, range(start, start + 50), "p2")) == 50
    assert shown(house).state == "completed"
    assert (stage(house, second), stage(house, first)) == ("production", "archived")
    deployed, promoted = last(house, "serving.deployed"), last(house, "delivery.promoted")
    changes = [each for each in house.ledger.events() if each.kind == "registry.stage_changed"]
    assert [each.seq for each in changes if each.data["after"] == "production"][-1] in deployed.caused_by
    assert promoted.data["target"] == second and promoted.data["services"] == ["well"]
    chain = {event.kind for event in house.ledger.why(deployed.id)}
    wanted = {"delivery.rollout_completed", "delivery.rollout_started", "delivery.promotion_approved", "pipelines.run_started"}
    assert wanted <= chain, wanted - chain

    shop = folder / "shop.py"
    shop.write_text(shop.read_text("utf-8").replace(WELL, BLIND) + BLIND_CLASS, "utf-8")
    assert BLIND in shop.read_text("utf-8")
    commit_all(folder)
    bad_commit = deliver(house, folder)
    blind = version_of(house)
    with house.ledger.read() as reader:
        assert current_release(reader, PRODUCTION).commit == bad_commit
    agree(house, ask_for(house, blind))
    for start in range(2000, 2400, 40):
        if shown(house).state == "running":
            answers = visit(house, range(start, start + 40), "somebody new", "fair")
            assert all(answer["prediction"] is not None for answer in answers)
    gone = shown(house)
    assert (gone.state, gone.cause) == ("rolled back", "errors"), gone.judgements
    with house.ledger.read() as reader:
        assert current_release(reader, PRODUCTION).commit == good_commit, "it would train the next one in the same way"
    returned = last(house, "delivery.deployed")
    assert {"delivery.rollout_rolled_back", "delivery.rolled_back"} <= {each.kind for each in house.ledger.why(returned.id)}
    assert stage(house, second) == "production"
    refused = [each for each in house.part(Delivery).home.ledger.events() if each.kind == "ledger.delivery_failed"]
    assert refused == []
