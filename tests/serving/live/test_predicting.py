"""A deployed model answers through the native route: with features of the moment, logged, or with a coded refusal."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bucle.artifacts import ArtifactStore
from bucle.errors import BucleError, RemoteError
from bucle.ledger import EventFilter, Scope
from bucle.registry import load_package

DEV = Scope("air", "dev")


def test_a_prediction_is_what_the_model_says_to_the_features_of_now(served, make_row) -> None:
    answer = served.predict(make_row(1), make_row(2, origin="LGA", carrier="B6"))
    assert (answer["model"], answer["version"], answer["kind"], answer["label"]) == ("delay", 1, "probability", "late")
    logged = {each["id"]: each for each in served.client.get(served.client.path("services", "delay", "predictions"))}
    package = served.services.current(DEV, "delay").candidate.package
    model = load_package(ArtifactStore(served.house.artifacts.root), package)
    names = [column.name for column in model.package.signature.inputs]
    assert names == ["carrier", "origin", "distance", "wind_speed", "mean_delay"]
    for prediction in answer["predictions"]:
        inputs = logged[prediction["id"]]["inputs"]
        codes = [float(["AA", "B6"].index(inputs[0])), float(["JFK", "LGA"].index(inputs[1])), *inputs[2:]]
        assert None not in codes, "weather and traffic of this hour are there"
        expected = float(model.answers(np.array([codes]))[0])
        assert prediction["prediction"] == pytest.approx(expected, abs=1e-12)
        assert prediction["label"] is (expected >= 0.5)
    assert [each["key"] for each in answer["predictions"]] == ["n1", "n2"]


def test_a_thousand_rows_are_answered_in_order_and_one_more_is_too_many(served, make_row) -> None:
    rows = [make_row(number, distance=100 + number) for number in range(1000)]
    answer = served.predict(*rows)
    assert [each["key"] for each in answer["predictions"]] == [each["flight_id"] for each in rows]
    assert len({each["id"] for each in answer["predictions"]}) == 1000
    single = served.predict(rows[77])["predictions"][0]["prediction"]
    assert answer["predictions"][77]["prediction"] == pytest.approx(single, abs=1e-12)
    with pytest.raises(RemoteError) as caught:
        served.predict(*rows, make_row(1001))
    assert caught.value.code == "serving/too-many-rows"


@pytest.mark.parametrize(
    ("changes", "drop", "code", "where"),
    [
        ({}, "distance", "serving/missing-input", "rows[1].distance"),
        ({}, "flight_id", "serving/missing-input", "rows[1].flight_id"),
        ({"distance": None}, "", "serving/null-input", "rows[1].distance"),
        ({"flight_id": None}, "", "serving/null-input", "rows[1].flight_id"),
        ({"wind_speed": 3.0}, "", "serving/extra-input", "rows[1].wind_speed"),
        ({"distanec": 3.0}, "distance", "serving/missing-input", "rows[1].distance"),
        ({"distance": "far"}, "", "serving/wrong-type", "rows[1].distance"),
        ({"distance": True}, "", "serving/wrong-type", "rows[1].distance"),
        ({"distance": 1.5}, "", "serving/wrong-type", "rows[1].distance"),
        ({"carrier": 7}, "", "serving/wrong-type", "rows[1].carrier"),
        ({"origin": 1.5}, "", "serving/wrong-type", "rows[1].origin"),
        ({"flight_id": True}, "", "serving/wrong-type", "rows[1].flight_id"),
        ({"distance": 10**400}, "", "serving/wrong-type", "rows[1].distance"),
        ({"flight_id": 10**4000}, "", "serving/wrong-type", "rows[1].flight_id"),
        ({"flight_id": "x" * 5000}, "", "serving/wrong-type", "rows[1].flight_id"),
        ({"origin": 2**63}, "", "serving/wrong-type", "rows[1].origin"),
    ],
)
def test_a_malformed_row_is_refused_with_its_field_and_nothing_is_predicted(
    served, make_row, changes: dict[str, Any], drop: str, code: str, where: str
) -> None:
    served.services.flush()
    before = count(served)
    bad = {name: value for name, value in make_row(2, **changes).items() if name != drop}
    with pytest.raises(RemoteError) as caught:
        served.predict(make_row(1), bad)
    assert (caught.value.code, caught.value.where) == (code, where)
    assert caught.value.next_step
    served.services.flush()
    assert count(served) == before


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"flight_id": "\ud800"}, "flight_id"),
        ({"origin": "\udfff"}, "origin"),
        ({"carrier": "\ud800"}, "carrier"),
        ({"distance": float("inf")}, "distance"),
        ({"origin": float("nan")}, "origin"),
        ({"flight_id": 10**4290}, "flight_id"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_field_by_the_client_and_by_the_service(
    served, make_row, changes: dict[str, Any], place: str
) -> None:
    with pytest.raises(BucleError) as unsent:
        served.predict(make_row(1), make_row(2, **changes))
    assert (unsent.value.code, unsent.value.where) == ("client/bad-value", f"rows[1].{place}")
    with pytest.raises(BucleError) as refused:
        served.services.predict(DEV, "delay", [make_row(1), make_row(2, **changes)])
    assert (refused.value.code, refused.value.where) == ("serving/wrong-type", f"rows[1].{place}")


def test_half_a_surrogate_pair_in_a_request_is_refused_in_words(served) -> None:
    for path in (("services", "delay", "predict"), ("features", "online")):
        status, problem = served.send("POST", served.client.path(*path), {"rows": [{"origin": "\ud800"}]})
        assert (status, problem["code"]) == (400, "server/bad-json")


def count(served) -> int:
    with served.house.ledger.read() as reader:
        found = reader.row("SELECT count(*) FROM prediction")
        return int(found[0]) if found else 0


def test_an_empty_request_and_one_that_is_no_object_are_refused(served) -> None:
    path = served.client.path("services", "delay", "predict")
    assert served.send("POST", path, {"rows": []})[1]["code"] == "serving/empty-request"
    status, problem = served.send("POST", path, {"rows": [1]})
    assert (status, problem["code"]) == (422, "server/bad-body")
    status, problem = served.send("POST", path, {"row": []})
    assert problem["code"] == "server/bad-body"


def test_a_category_that_training_never_saw_is_answered_as_missing_and_named(served, make_row) -> None:
    (prediction,) = served.predict(make_row(carrier="ZZ"))["predictions"]
    assert prediction["unseen"] == ["carrier"]
    assert served.services.meter.since_start()[(DEV, "delay")].unseen >= 1


def test_a_service_without_a_deployment_says_what_to_do(served, make_row) -> None:
    path = served.client.path("services", "delay", "predict") + "?environment=staging"
    status, problem = served.send("POST", path, {"rows": [make_row()]})
    assert (status, problem["code"]) == (409, "serving/nothing-deployed")
    assert "bucle promote" in problem["next"]


def test_a_null_is_taken_where_training_had_some(served, make_row) -> None:
    (known, missing) = served.predict(make_row(1, distance=900), make_row(2, distance=900, carrier=None))["predictions"]
    assert "unseen" not in missing
    assert 0 < missing["prediction"] < 1
    assert known["key"] != missing["key"]


def test_who_asked_and_by_which_client_is_logged_and_listed(served, make_row) -> None:
    served.predict(make_row())
    (caller, *_) = served.client.get(served.client.path("services", "delay", "callers"))
    whoami = served.client.get("/api/v1/whoami")["name"]
    assert (caller["caller"], caller["client"]) == (whoami, "tests/1")
    (event, *_) = served.house.ledger.events(EventFilter(kinds=("serving.predictions_logged",), newest_first=True))
    assert event.data["store"] == "online"


def test_why_leads_from_a_prediction_to_its_deployment_and_lineage_to_the_model(served, make_row) -> None:
    (prediction,) = served.predict(make_row())["predictions"]
    events = served.client.why(prediction["id"])["events"]
    assert {"serving.deployed", "serving.predictions_logged"} <= {event["kind"] for event in events}
    edges = served.client.lineage(prediction["id"])["edges"]
    assert served.versions[0] in {edge["source"] for edge in edges}


def test_labels_come_back_by_key_through_the_route(served, make_row) -> None:
    (prediction,) = served.predict(make_row(flight_id="labelled"))["predictions"]
    path = served.client.path("services", "delay", "labels")
    receipt = served.client.post(path, {"labels": [{"key": "labelled", "value": True}]})
    assert receipt == {"service": "delay", "recorded": 1, "repeated": 0, "corrected": 0}
    shown = served.client.get(served.client.path("predictions", prediction["id"]))
    assert shown["label"] == 1.0
    with pytest.raises(RemoteError) as caught:
        served.client.post(path, {"labels": [{"key": "labelled", "value": False}]})
    assert caught.value.code == "serving/label-differs"
    with pytest.raises(RemoteError) as caught:
        served.client.post(path, {"labels": [{"key": "nobody", "value": False}]})
    assert caught.value.code == "serving/unknown-prediction"


def test_a_prediction_of_another_environment_is_not_shown(served, make_row) -> None:
    (prediction,) = served.predict(make_row())["predictions"]
    path = served.client.path("predictions", prediction["id"])
    assert served.send("GET", f"{path}?environment=staging")[0] == 404


def test_the_service_says_what_it_takes_and_what_answers(served) -> None:
    shown = served.client.get(served.client.path("services", "delay"))
    assert shown["fields"] == {"flight_id": "category", "origin": "category", "carrier": "category", "distance": "int"}
    assert shown["features"] == ["wind_speed", "mean_delay"]
    assert (shown["model"], shown["version"], shown["state"]) == ("delay", 1, "current")
    assert [each["name"] for each in served.client.get(served.client.path("services"))] == ["delay"]


def test_the_watch_of_a_deployment_takes_its_terms_from_definitions_and_evaluation(served) -> None:
    (started,) = served.house.ledger.events(EventFilter(kinds=("monitoring.watch_started",)))
    assert started.data["monitor"] == "watch"
    assert started.data["false_pages_per_month"] == 2
    assert 0 < started.data["expected_loss"] < 1
    shown = served.client.get(served.client.path("services", "delay", "monitoring"))
    assert shown["verdict"] == "insufficient data"
    assert shown["loss"]["retrain_cost"] is None


def test_metrics_speak_of_serving_events_and_the_process(served, make_row) -> None:
    served.predict(make_row())
    answer = served.client._transport.send("GET", "/metrics", {}, None)
    text = answer.body.decode()
    labels = 'project="air",environment="dev",service="delay"'
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert f"bucle_serving_request_duration_seconds_count{{{labels}}}" in text
    assert 'bucle_serving_deployment_info{project="air",environment="dev",service="delay",model="delay",version="1"} 1' in text
    assert 'bucle_events_total{kind="serving.deployed"} 1' in text
    assert "process_resident_memory_bytes" in text
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2
        assert line.startswith("#") or float(line.rsplit(" ", 1)[1]) >= 0


def test_a_request_that_comes_again_with_its_key_is_answered_from_the_log_and_logged_once(served: Any, make_row: Any) -> None:
    path, rows = served.client.path("services", "delay", "predict"), [make_row(n, flight_id=f"again{n}") for n in range(3)]
    first = served.client.post(path, {"rows": rows}, key="once")
    assert served.client.post(path, {"rows": rows}, key="once") == first
    other = served.client.post(path, {"rows": rows}, key="another")
    assert other["request"] != first["request"]
    logged = served.client.get(served.client.path("services", "delay", "predictions"), {"limit": 1000})
    assert [each["key"] for each in logged].count("again0") == 2


def test_an_answer_waits_for_the_disk_where_the_home_is_to_survive_a_loss_of_power(powered, make_row, monkeypatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").resolve().suffix)
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    powered.predict(make_row(1))
    assert ".log" in synced


def test_an_answer_does_not_wait_for_the_disk_otherwise(fresh, make_row, monkeypatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: pytest.fail("an fsync costs milliseconds"))
    fresh.predict(make_row(1))
