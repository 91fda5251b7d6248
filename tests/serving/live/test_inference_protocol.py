"""The Open Inference Protocol, version 2, over REST: metadata, readiness, inference, and its own form of errors."""

import json
from typing import Any

import pytest


def tensors(**changes: Any) -> dict[str, Any]:
    columns = {
        "flight_id": {"datatype": "BYTES", "data": ["a", "b"]},
        "carrier": {"datatype": "BYTES", "data": ["AA", "B6"]},
        "origin": {"datatype": "BYTES", "data": ["JFK", "LGA"]},
        "distance": {"datatype": "INT64", "data": [100, 200]},
    }
    columns |= changes
    return {"inputs": [{"name": name, "shape": [2]} | tensor for name, tensor in columns.items() if tensor]}


def test_server_and_model_describe_themselves(served) -> None:
    assert served.send("GET", "/v2")[1]["name"] == "bucle"
    assert served.send("GET", "/v2/health/live") == (200, {"live": True})
    assert served.send("GET", "/v2/health/ready") == (200, {"ready": True})
    status, model = served.send("GET", "/v2/models/delay")
    assert status == 200
    assert model["versions"] == ["1"]
    assert {tensor["name"]: tensor["datatype"] for tensor in model["inputs"]} == {
        "flight_id": "BYTES",
        "origin": "BYTES",
        "carrier": "BYTES",
        "distance": "INT64",
    }
    assert served.send("GET", "/v2/models/delay/versions/1")[1] == model
    assert served.send("GET", "/v2/models/delay/ready") == (200, {"ready": True})
    assert served.send("GET", "/v2/models/air.dev.delay/versions/1/ready") == (200, {"ready": True})


def test_an_inference_gives_what_the_native_route_gives(served) -> None:
    status, answer = served.send("POST", "/v2/models/delay/infer", tensors() | {"id": "42"})
    assert status == 200
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("42", "delay", "1")
    outputs = {tensor["name"]: tensor for tensor in answer["outputs"]}
    assert outputs["prediction"]["shape"] == [2]
    native = served.predict(
        {"flight_id": "a", "carrier": "AA", "origin": "JFK", "distance": 100},
        {"flight_id": "b", "carrier": "B6", "origin": "LGA", "distance": 200},
    )
    assert outputs["prediction"]["data"] == pytest.approx([each["prediction"] for each in native["predictions"]])
    assert outputs["label"]["data"] == [each["label"] for each in native["predictions"]]
    assert all(id.startswith("pred_") for id in outputs["id"]["data"])


def test_only_the_outputs_asked_for_are_given_and_nested_data_is_taken(served) -> None:
    distance = {"datatype": "INT64", "shape": [2, 1], "data": [[100], [200]]}
    request = tensors(distance=distance) | {"outputs": [{"name": "prediction"}]}
    status, answer = served.send("POST", "/v2/models/delay/versions/1/infer", request)
    assert status == 200
    assert [tensor["name"] for tensor in answer["outputs"]] == ["prediction"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v2/models/dealy/infer", tensors(), 404, "serving/unknown-service"),
        ("/v2/models/delay/versions/9/infer", tensors(), 404, "serving/unknown-service"),
        ("/v2/models/delay/infer", tensors(distance=None), 422, "serving/missing-input"),
        ("/v2/models/delay/infer", tensors(wind={"datatype": "FP64", "data": [1.0, 2.0]}), 422, "serving/extra-input"),
        ("/v2/models/delay/infer", tensors(distance={"datatype": "INT64", "data": [1]}), 400, "serving/bad-tensor"),
        ("/v2/models/delay/infer", tensors(distance={"datatype": "INT64", "data": [1, "2"]}), 400, "serving/bad-tensor"),
        ("/v2/models/delay/infer", tensors(distance={"datatype": "INT64", "data": [1, None]}), 422, "serving/null-input"),
        ("/v2/models/delay/infer", tensors(distance={"datatype": "INT7", "data": [1, 2]}), 400, "serving/bad-tensor"),
        ("/v2/models/delay/infer", tensors(distance={"datatype": "FP64", "data": [1.5, 2]}), 422, "serving/wrong-type"),
        (
            "/v2/models/delay/infer",
            tensors(distance={"datatype": "INT64", "shape": [-2], "data": [1, 2]}),
            400,
            "serving/bad-tensor",
        ),
        (
            "/v2/models/delay/infer",
            tensors(distance={"datatype": "INT64", "shape": [1 << 62, 1 << 62], "data": [1, 2]}),
            400,
            "serving/bad-tensor",
        ),
        ("/v2/models/delay/infer", {"inputs": []}, 422, "serving/empty-request"),
        ("/v2/models/delay/infer", tensors() | {"outputs": [{"name": "odds"}]}, 400, "serving/bad-tensor"),
        ("/v2/models/delay/infer", {"inputs": [], "more": 1}, 422, "server/bad-body"),
    ],
)
def test_an_error_has_the_one_member_that_the_protocol_gives_it(served, path: str, body: Any, status: int, code: str) -> None:
    found, document = served.send("POST", path, body)
    assert list(document) == ["error"]
    assert document["error"].startswith(code)
    assert found == status


def test_a_body_that_is_no_json_is_an_error_of_the_protocol(served) -> None:
    answer = served.client._transport.send("POST", "/v2/models/delay/infer", {"Content-Type": "application/json"}, b"{")
    assert answer.status == 400
    assert list(json.loads(answer.body)) == ["error"]
