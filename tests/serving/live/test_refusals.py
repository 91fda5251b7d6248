"""What cannot be deployed or is not meant clearly is refused by code before anything changes."""

import shutil
from dataclasses import replace

import msgspec
import pytest

from bucle.errors import RemoteError
from bucle.ledger import Scope
from bucle.messages import Phrase
from bucle.monitoring import BadMonitor, Monitor
from bucle.monitoring.alerts import Finding, fire
from bucle.project import working_tree
from bucle.registry import version_of_id
from bucle.runtimes import load_code
from bucle.serving import ContractBroken, ServicePool, plan_candidate, runner_starter
from bucle.serving.errors import WrongModel

DEV = Scope("air", "dev")


def test_a_version_of_another_model_or_of_views_that_are_gone_cannot_be_planned(served) -> None:
    code = load_code(served.house.home, served.house.runners, working_tree(served.root))
    with served.house.ledger.read() as reader:
        version = version_of_id(reader, served.versions[0], "air")

    with pytest.raises(WrongModel) as caught:
        plan_candidate(code, "delay", replace(version, model="price"))
    assert caught.value.code == "serving/wrong-model"
    inputs = tuple(msgspec.structs.replace(each, view="gone" if each.view else None) for each in version.signature.inputs)
    signature = msgspec.structs.replace(version.signature, inputs=inputs)
    package = msgspec.structs.replace(version.package, signature=signature)
    with pytest.raises(ContractBroken) as broken:
        plan_candidate(code, "delay", replace(version, package=package))
    assert "'gone'" in str(broken.value)


def test_a_name_in_two_environments_must_be_said_in_full_and_code_that_is_gone_does_not_answer(fresh, make_row) -> None:
    fresh.deploy(0, Scope("air", "staging"))
    status, document = fresh.send("GET", "/v2/models/delay")
    assert status == 409
    assert document["error"].startswith("serving/ambiguous-service")
    assert "air.dev.delay, air.staging.delay" in document["error"]
    assert fresh.send("GET", "/v2/models/air.staging.delay")[0] == 200
    fresh.services.pool.close()
    shutil.rmtree(fresh.root)
    with pytest.raises(RemoteError) as caught:
        fresh.predict(make_row())
    assert (caught.value.code, caught.value.status) == ("serving/code-gone", 503)


def test_what_children_print_lies_apart_for_each_project_and_environment(served) -> None:
    house = served.house
    candidate = served.services.current(Scope("air", "dev"), "delay").candidate
    places = [Scope("air", "dev"), Scope("air", "production"), Scope("another", "production")]
    assert candidate.scope == places[0]
    for place in places:
        pool = ServicePool(runner_starter(house.home, house.artifacts.root))
        try:
            pool.warm(replace(candidate, scope=place))
        finally:
            pool.close()
    logs = house.home.path / "logs" / "services"
    assert {f"{each.project}/{each.environment}/delay.log" for each in places} <= {
        str(file.relative_to(logs)) for file in logs.rglob("*.log")
    }


def test_a_monitor_that_may_never_page_falsely_makes_no_sense() -> None:
    with pytest.raises(BadMonitor) as caught:
        Monitor("delay", false_pages_per_month=0)
    assert caught.value.code == "monitoring/bad-monitor"
    assert caught.value.where is not None
    assert "test_refusals.py:" in caught.value.where


@pytest.mark.parametrize("lengths", [{"window": "0d"}, {"max_age": "0h"}])
def test_a_monitor_of_no_time_makes_no_sense(lengths: dict[str, str]) -> None:
    with pytest.raises(BadMonitor, match="longer than nothing"):
        Monitor("delay", **lengths)  # type: ignore[arg-type]


def test_a_service_that_was_never_deployed_is_not_watched(served) -> None:
    status, problem = served.send("GET", served.client.path("services", "delay", "monitoring") + "?environment=staging")
    assert (status, problem["code"]) == (404, "monitoring/not-watched")


def test_alerts_are_acknowledged_and_resolved_through_their_routes(served) -> None:
    with served.house.ledger.write() as tx:
        alert = fire(
            tx, DEV, "delay", "dep_1", "delay", Finding("drift", "wind_speed", Phrase("alert.nonfinite", {"count": 1}), {})
        )
    assert alert is not None
    shown = served.client.post(served.client.path("alerts", alert.id, "acknowledge"), {"note": "on it"})
    assert (shown["state"], shown["note"]) == ("acknowledged", "on it")
    assert [each["id"] for each in served.client.get(served.client.path("alerts"), {"state": "acknowledged"})] == [alert.id]
    assert served.client.post(served.client.path("alerts", alert.id, "resolve"), {})["state"] == "resolved"
    with pytest.raises(RemoteError) as caught:
        served.client.post(served.client.path("alerts", alert.id, "resolve"), {})
    assert caught.value.code == "monitoring/alert-resolved"
    status, problem = served.send("GET", served.client.path("alerts") + "?state=loud")
    assert (status, problem["code"]) == (400, "server/bad-parameter")
