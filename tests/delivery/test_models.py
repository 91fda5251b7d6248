"""Model versions on their way to production: gates, evidence from test, the status event that causes the deployment (K-24)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.delivery.developing import TOML, commit_all, write_project
from tests.delivery.test_checks import CLINIC, PIPELINE, START, write_visits

from bucle.cli.registry import models
from bucle.cli.session import Session
from bucle.client import Client
from bucle.client.transports import InProcessTransport
from bucle.data import ingest_all
from bucle.delivery import Delivery, approve, deploy_automatically, get_check_run, promote, roll_back
from bucle.delivery.errors import CandidateFailed, GatesNotPassed, NoEvidence, OwnApproval
from bucle.delivery.models import code_of
from bucle.errors import RemoteError
from bucle.identity import Grant, Principal
from bucle.ledger import EventFilter, Scope, StoredEvent, acting
from bucle.pipelines import Runs
from bucle.registry import find_version, waive_gate
from bucle.server import House, open_house
from bucle.serving import Services, Value

PRODUCTION = Scope("shop", "production")
OLGA = Principal("prn_olga", "olga", "person", (Grant("devops_engineer"),))
RAJ = Principal("prn_raj", "raj", "person", (Grant("software_engineer"),))
FRAGILE = """    if iterations == 7:
        known = ~np.isnan(frame.X).any(axis=1)
        return LogisticRegression().fit(frame.X[known], frame.y[known])
"""
"""With seven iterations it becomes a model that cannot do without any of its inputs."""
CHECKS = 2
"""How many of the checks are run here: what this is about comes after them."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    from datetime import timedelta

    from bucle.delivery import checking

    folder = tmp_path_factory.mktemp("shop")
    house = open_house(folder / "home", "call", replay_from=START + timedelta(days=61))
    house.part(Delivery).checker._checks = checking.CHECKS[:CHECKS]
    code = CLINIC.replace("max_iter=30", "max_iter=iterations").replace("fit_well(frame)", "fit_well(frame, iterations=30)")
    code = code.replace(
        "    return HistGradientBoostingClassifier(max_iter=iterations",
        FRAGILE + "    return HistGradientBoostingClassifier(max_iter=iterations",
        1,
    )
    code += PIPELINE.format(name="well").replace('window: str = "30d"', 'window: str = "30d", iterations: int = 30')
    code = code.replace("fit_well(past)", "fit_well(past, iterations)")
    toml = TOML.format(name="shop").replace('task = "classification"', 'task = "classification"\nsuccess = ["roc_auc >= 0.6"]')
    write_visits(write_project(folder / "work", "shop", {"shop.py": code, "bucle.toml": toml}) / "visits.csv")
    (folder / "work" / ".gitignore").write_text("visits.csv\n")
    commit_all(folder / "work")
    yield house
    house.close()


def deliver(house: House, folder: Path) -> str:
    """Release the working directory's HEAD and bring it to production; return the commit."""
    delivery = house.part(Delivery)
    with acting("ana", "ml_engineer"):
        id = delivery.check("shop", "HEAD", "release", folder)
        delivery.checker.wait(id)
        run = get_check_run(house.ledger, "shop", id)
        assert run.state == "passed", run.results
    with acting("olga", "devops_engineer"):
        waiting = promote(delivery, PRODUCTION, f"release:{run.commit}", OLGA)
    with acting("raj", "software_engineer"):
        approve(delivery, "shop", waiting.id, RAJ)
    return str(run.commit)


def train(house: House, scope: Scope, **parameters: object) -> str:
    """Train in an environment and return the version's name."""
    with acting("dora", "data_scientist"):
        code = code_of(house.part(Delivery), scope)
        ingest_all(house.home, house.artifacts, house.runners, code, scope)
        runs = house.part(Runs)
        id = runs.start(code, scope, "train_well", parameters, engine="inline")
        assert id is not None
        run = runs.wait(id, 120)
    assert run.state == "done" and run.model_version, run.failure
    with house.ledger.read() as reader:
        return find_version(reader, "shop", run.model_version).name


def last(house: House, kind: str) -> StoredEvent:
    return house.ledger.events(EventFilter(kinds=(kind,), newest_first=True, limit=1))[0]


def test_where_the_policy_is_automatic_a_version_that_passes_answers_by_itself(house: House) -> None:
    """A retraining closes the loop without anybody's hand (G1-a); delivered twice, it is deployed once."""
    delivery, folder = house.part(Delivery), house.home.path.parent / "work"
    with pytest.raises(NoEvidence):
        code_of(delivery, PRODUCTION)
    deliver(house, folder)
    made = train(house, Scope("shop", "test"))
    house.dispatcher.drain()
    deployed = last(house, "serving.deployed")
    assert (deployed.environment, f"{deployed.data['model']}@{deployed.data['number']}") == ("test", made)
    registered = last(house, "registry.version_registered")
    assert registered.seq in deployed.caused_by
    deploy_automatically(delivery).handler(registered)
    assert last(house, "serving.deployed").seq == deployed.seq


def test_a_version_goes_from_its_gates_to_production_and_back(house: House) -> None:
    delivery, folder = house.part(Delivery), house.home.path.parent / "work"
    deliver(house, folder)
    first = train(house, PRODUCTION)
    with acting("olga", "devops_engineer"):
        waiting = promote(delivery, PRODUCTION, first, OLGA)
    assert waiting.state == "pending" and set(waiting.authors) == {"dora", "olga"}
    with pytest.raises(OwnApproval):
        approve(delivery, "shop", waiting.id, OLGA)
    with acting("raj", "software_engineer"):
        assert approve(delivery, "shop", waiting.id, RAJ).state == "done"
    status, deployed = last(house, "registry.stage_changed"), last(house, "serving.deployed")
    assert (status.data["before"], status.data["after"]) == ("registered", "production")
    assert status.seq in deployed.caused_by
    causes = {event.kind for event in house.ledger.why(deployed.id)}
    wanted = {
        "delivery.candidate_checked",
        "registry.gate_judged",
        "delivery.promotion_approved",
        "pipelines.run_started",
        "delivery.released",
    }
    assert wanted <= causes, wanted - causes

    weaker = train(house, PRODUCTION, iterations=1)
    with pytest.raises(GatesNotPassed) as caught, acting("olga", "devops_engineer"):
        promote(delivery, PRODUCTION, weaker, OLGA)
    assert "better_than_production" in caught.value.text
    with house.ledger.read() as reader:
        version = find_version(reader, "shop", weaker)
    with acting("mia", "ml_engineer"), house.ledger.write() as transaction:
        for gate in version.failed:
            waive_gate(transaction, version.id, gate.name, "to see that a waiver lets it through")
    with acting("olga", "devops_engineer"):
        waiting = promote(delivery, PRODUCTION, weaker, OLGA)
    with acting("raj", "software_engineer"):
        approve(delivery, "shop", waiting.id, RAJ)
    assert "registry.gate_waived" in {event.kind for event in house.ledger.why(last(house, "serving.deployed").id)}
    with acting("olga", "devops_engineer"):
        back = roll_back(delivery, PRODUCTION, "well")
    assert (back.left, back.restored) == (weaker, first)
    with house.ledger.read() as reader:
        assert find_version(reader, "shop", first).stage == "production"


def test_a_version_that_could_not_answer_what_was_asked_before_is_refused(house: House) -> None:
    """Contract, load and replay are made of the version itself, with the environment's own traffic, before it gets any."""
    delivery, folder = house.part(Delivery), house.home.path.parent / "work"
    if not any(each.environment == "production" for each in house.ledger.events(EventFilter(kinds=("serving.deployed",)))):
        deliver(house, folder)
        with acting("olga", "devops_engineer"):
            waiting = promote(delivery, PRODUCTION, train(house, PRODUCTION), OLGA)
        with acting("raj", "software_engineer"):
            approve(delivery, "shop", waiting.id, RAJ)
    stranger: dict[str, Value] = {"visit": "v1", "person": "nobody", "size": 0.4, "place": "shop"}
    with acting("ana", "predictor"):
        house.part(Services).predict(PRODUCTION, "well", [stranger, stranger | {"visit": "v2", "person": "p1"}])
    fragile = train(house, PRODUCTION, iterations=7)
    with house.ledger.read() as reader:
        version = find_version(reader, "shop", fragile)
    with acting("mia", "ml_engineer"), house.ledger.write() as transaction:
        for gate in version.failed:
            waive_gate(transaction, version.id, gate.name, "to see what its checks say")
    before = last(house, "serving.deployed").seq
    with acting("olga", "devops_engineer"):
        waiting = promote(delivery, PRODUCTION, fragile, OLGA)
    with pytest.raises(CandidateFailed) as caught, acting("raj", "software_engineer"):
        approve(delivery, "shop", waiting.id, RAJ)
    assert "it failed contract, replay" in caught.value.text and "last_size is null" in caught.value.text
    assert last(house, "serving.deployed").seq == before
    checked = house.ledger.events(EventFilter(kinds=("delivery.candidate_checked",), subject=version.id))
    outcomes = {each.data["name"]: each.data["outcome"] for each in checked}
    assert (outcomes["contract"], outcomes["replay"]) == ("failed", "failed") and outcomes["load"] in ("passed", "skipped")
    _read_and_waive(house, version.name)
    with acting("olga", "devops_engineer"):
        waiting = promote(delivery, PRODUCTION, fragile, OLGA)
    with acting("raj", "software_engineer"):
        assert approve(delivery, "shop", waiting.id, RAJ).state == "done"
    causes = {event.kind for event in house.ledger.why(last(house, "serving.deployed").id)}
    assert "delivery.candidate_waived" in causes


def _read_and_waive(house: House, name: str) -> None:
    """Read what the checks found, with a log, and waive the two that failed, as a person does through the routes."""
    client = Client(InProcessTransport(house), None, "shop", "tests/1")
    path = client.path("models", "well", "versions", name.partition("@")[2], "checks")
    found = {each["name"]: each for each in client.get(path)}
    assert {each["environment"] for each in found.values()} == {"production"} and set(found) == {"contract", "load", "replay"}
    assert found["contract"]["findings"][0]["next"]
    log = client.get(f"{path}/{found['contract']['event']}/log").decode()
    assert "FAILED  contract" in log and found["contract"]["findings"][0]["message"] in log
    query, why = {"environment": "production"}, {"reason": "these rows are gone by tomorrow"}
    for check, code in (("load", "registry/bad-waiver"), ("lint", "registry/unknown-gate")):
        with pytest.raises(RemoteError) as refused:
            client.post(f"{path}/{check}/waiver", why, query)
        assert refused.value.code == code
    with pytest.raises(RemoteError, match="fewer than"):
        client.post(f"{path}/contract/waiver", {"reason": "no"}, query)
    with pytest.raises(RemoteError, match="has no gate"):
        client.post(f"{path}/contract/waiver", why, {"environment": "staging"})
    for check in ("contract", "replay"):
        after = {each["name"]: each for each in client.post(f"{path}/{check}/waiver", why, query)}
    assert after["contract"]["waiver"]["reason"] == why["reason"] and after["load"]["waiver"] is None
    (told, _) = house.ledger.events(EventFilter(kinds=("delivery.candidate_waived",)))
    assert (told.environment, told.data["name"]) == ("production", "contract")
    assert after["contract"]["waiver"]["actor"] == told.actor != "system"
    shown = CliRunner().invoke(models, ["show", name], obj=Session(_client=client)).output
    assert f"waived by {told.actor}: {why['reason']}" in shown and "load in production" in shown
    logged = CliRunner().invoke(models, ["show", name, "--log", "replay"], obj=Session(_client=client)).output
    assert "== replay of well in production" in logged and "FAILED  replay" in logged
    words = ["waive", name, "load", "--environment", "production", "--reason", why["reason"]]
    assert "it passed" in str(CliRunner().invoke(models, words, obj=Session(_client=client)).exception)
    version = name.partition("@")[2]
    page = client._transport.send("GET", f"/projects/shop/models/well/{version}", {"Accept-Language": "es"}, None).body.decode()
    assert "Comprobaciones allí donde iba a responder" in page and f"/checks/{after['contract']['event']}/log" in page
    twin = client.get(f"/projects/shop/models/well/{version}.json")
    assert {each["name"] for each in twin["checks"]} == {"contract", "load", "replay"}
    with pytest.raises(RemoteError, match="waived already"):
        client.post(f"{path}/contract/waiver", why, query)


def test_a_version_of_code_that_was_never_released_stays_where_it_was_made(house: House) -> None:
    """And on the laptop, in dev, it needs nobody's approval."""
    delivery, folder = house.part(Delivery), house.home.path.parent / "work"
    from bucle.project import load_project_file, register_project

    if not house.ledger.events(EventFilter(kinds=("delivery.released",))):
        deliver(house, folder)
    (folder / "shop.py").write_text((folder / "shop.py").read_text().replace("max_depth=3", "max_depth=4"))
    register_project(house.ledger, load_project_file(folder), working_tree=True)
    made = train(house, Scope("shop", "dev"), iterations=40)
    with pytest.raises(NoEvidence) as caught, acting("olga", "devops_engineer"):
        promote(delivery, PRODUCTION, made, OLGA)
    assert "no passing evidence from test" in caught.value.text
    with acting("ana", "ml_engineer"):
        done = promote(delivery, Scope("shop", "dev"), made, Principal("p", "ana", "person", (Grant("owner"),)))
    assert done.state == "done" and last(house, "serving.deployed").environment == "dev"
