"""The MLflow protocol at the wire: shapes, defaults and literal messages (J-M, K-C7)."""

import json
import math
from typing import Any

import pytest
from tests.server.conftest import Wire

from bucle.server import House, route_table

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def wire(house: House) -> Wire:
    return Wire(house, route_table(), "127.0.0.1")


def post(wire: Wire, path: str, **fields: Any) -> Any:
    reply = wire.json("POST", f"{API}/{path}", fields)
    assert reply.status == 200, reply.body
    return reply.json


def refused(wire: Wire, path: str, **fields: Any) -> tuple[int, str, str]:
    reply = wire.json("POST", f"{API}/{path}", fields)
    return reply.status, reply.json["error_code"], reply.json["message"]


def begin(wire: Wire, **fields: Any) -> str:
    return str(post(wire, "runs/create", experiment_id="0", **fields)["run"]["info"]["run_id"])


def test_the_default_experiment_is_there_at_once(wire: Wire) -> None:
    held = wire.send("GET", f"{API}/experiments/get?experiment_id=0").json["experiment"]
    assert (held["experiment_id"], held["name"], held["lifecycle_stage"]) == ("0", "Default", "active")
    assert held["artifact_location"] == "mlflow-artifacts:/0"
    assert "tags" not in held, "empty lists are left out"


def test_an_experiment_is_made_renamed_tagged_deleted_and_restored(wire: Wire) -> None:
    id = post(wire, "experiments/create", name="a", tags=[{"key": "k", "value": "v"}])["experiment_id"]
    assert refused(wire, "experiments/create", name="a")[:2] == (400, "RESOURCE_ALREADY_EXISTS")
    assert post(wire, "experiments/update", experiment_id=id, new_name="b") == {}
    post(wire, "experiments/set-experiment-tag", experiment_id=id, key="l", value="w")
    held = wire.send("GET", f"{API}/experiments/get-by-name?experiment_name=b").json["experiment"]
    assert held["tags"] == [{"key": "k", "value": "v"}, {"key": "l", "value": "w"}]
    post(wire, "experiments/delete", experiment_id=id)
    status, code, text = refused(wire, "runs/create", experiment_id=id)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert text == f"The experiment {id} must be in the 'active' state. Current state is deleted."
    assert refused(wire, "experiments/update", experiment_id=id, new_name="c")[1] == "INVALID_STATE"
    post(wire, "experiments/restore", experiment_id=id)
    begin(wire)
    assert [each["name"] for each in post(wire, "experiments/search")["experiments"]] == ["Default", "b"]


def test_a_run_records_and_ends(wire: Wire) -> None:
    run = begin(wire, run_name="first", start_time=1_365_000_000_123, tags=[{"key": "mlflow.user", "value": "ana"}])
    post(wire, "runs/log-parameter", run_id=run, key="depth", value="5")
    post(wire, "runs/log-metric", run_id=run, key="loss", value=0.5, timestamp="1365000000200", step=1)
    for step, value in enumerate(("NaN", "Infinity"), 2):
        post(wire, "runs/log-metric", run_id=run, key="loss", value=value, timestamp=1_365_000_000_300 + step, step=step)
    info = post(wire, "runs/update", run_id=run, status="FINISHED", end_time=1_365_000_001_000)["run_info"]
    assert (info["status"], info["start_time"], info["end_time"]) == ("FINISHED", 1_365_000_000_123, 1_365_000_001_000)
    held = wire.send("GET", f"{API}/runs/get?run_id={run}").json["run"]
    assert held["info"]["user_id"] == "ana"
    assert held["info"]["run_uuid"] == held["info"]["run_id"] == run
    assert held["info"]["artifact_uri"] == f"mlflow-artifacts:/0/{run}/artifacts"
    assert held["data"]["params"] == [{"key": "depth", "value": "5"}]
    assert held["data"]["metrics"][0]["value"] == 1.7976931348623157e308, "infinities are the largest numbers"
    assert {"key": "mlflow.runName", "value": "first"} in held["data"]["tags"]
    points = wire.send("GET", f"{API}/metrics/get-history?run_id={run}&metric_key=loss").json["metrics"]
    assert [point["value"] for point in points[:2]] == [0.5, "NaN"]
    assert points[0] == {"key": "loss", "value": 0.5, "timestamp": 1_365_000_000_200, "step": 1}


def test_history_comes_in_pages(wire: Wire) -> None:
    run = begin(wire)
    metrics = [{"key": "m", "value": float(step), "timestamp": 1000 + step, "step": step} for step in range(25)]
    post(wire, "runs/log-batch", run_id=run, metrics=metrics)
    found, token = [], ""
    while True:
        more = f"&page_token={token}" if token else ""
        page = wire.send("GET", f"{API}/metrics/get-history?run_id={run}&metric_key=m&max_results=10{more}").json
        found += [point["step"] for point in page["metrics"]]
        token = page.get("next_page_token", "").replace("=", "%3D")
        if not token:
            break
    assert found == list(range(25))


def test_a_batch_is_all_or_nothing(wire: Wire) -> None:
    run = begin(wire)
    post(wire, "runs/log-parameter", run_id=run, key="a", value="1")
    status, code, text = refused(
        wire,
        "runs/log-batch",
        run_id=run,
        metrics=[{"key": "m", "value": 1, "timestamp": 1, "step": 0}],
        params=[{"key": "b", "value": "1"}, {"key": "a", "value": "2"}],
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert text == (
        "Changing param values is not allowed. Param with key='a' was already logged with value='1' "
        f"for run ID='{run}'. Attempted logging new value '2'."
    )
    data = wire.send("GET", f"{API}/runs/get?run_id={run}").json["run"]["data"]
    assert "metrics" not in data and data["params"] == [{"key": "a", "value": "1"}]


SEE = " See the API docs for more information about request parameters."


@pytest.mark.parametrize(
    ("path", "fields", "text"),
    [
        ("runs/log-metric", {"key": "a", "value": 1, "timestamp": 1}, f"Missing value for required parameter 'run_id'.{SEE}"),
        ("runs/log-metric", {"run_id": "R", "key": "a", "timestamp": 1}, f"Missing value for required parameter 'value'.{SEE}"),
        (
            "runs/log-metric",
            {"run_id": "R", "key": 7, "value": 1, "timestamp": 1},
            f"Invalid value 7 for parameter 'key' supplied:  Hint: Value was of type 'int'.{SEE}",
        ),
        (
            "experiments/create",
            {"name": ["x"]},
            f"Invalid value [\"x\"] for parameter 'name' supplied:  Hint: Value was of type 'list'.{SEE}",
        ),
        (
            "runs/log-batch",
            {"run_id": "R", "metrics": [{"value": 1}]},
            f"Missing value for required parameter 'metrics[0].key'.{SEE}",
        ),
        (
            "runs/log-batch",
            {"run_id": "R", "params": [{"key": "k"}, {"key": "k"}]},
            (
                "Duplicate parameter keys have been submitted: ['k']. Please ensure the request contains only one param "
                "value per param key."
            ),
        ),
        (
            "runs/log-batch",
            {"run_id": "R", "tags": [{"key": str(n), "value": ""} for n in range(101)]},
            (
                "A batch logging request can contain at most 100 tags. Got 101 tags. Please split up tags across multiple "
                "requests and try again."
            ),
        ),
        (
            "runs/set-tag",
            {"run_id": "R", "key": "../x", "value": ""},
            (
                "Invalid value \"../x\" for parameter 'key' supplied: Names may be treated as files in certain cases, and must "
                "not resolve to other names when treated as such. This name would resolve to '../x'"
            ),
        ),
        ("runs/search", {"experiment_ids": ["0"], "max_results": 0}, "Invalid value 0 for parameter 'max_results' supplied."),
    ],
)
def test_bad_parameters_are_refused_in_mlflow_s_words(wire: Wire, path: str, fields: dict[str, Any], text: str) -> None:
    run = begin(wire)
    status, code, message = refused(wire, path, **{name: run if value == "R" else value for name, value in fields.items()})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message.startswith(text)


def test_what_is_no_json_object_is_refused(wire: Wire) -> None:
    reply = wire.send("POST", f"{API}/runs/create", {"content-type": "text/plain"}, b"{}")
    assert (reply.status, reply.json["error_code"]) == (400, "BAD_REQUEST")
    assert wire.json("POST", f"{API}/runs/create", [1]).json["error_code"] == "BAD_REQUEST"
    twice = wire.json("POST", f"{API}/experiments/create", json.dumps({"name": "old client"}))
    assert "experiment_id" in twice.json


def test_an_endpoint_that_does_not_answer_says_so(wire: Wire) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        reply = wire.send(method, "/api/3.0/mlflow/no/such")
        assert (reply.status, reply.json["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_runs_are_deleted_restored_and_renamed(wire: Wire) -> None:
    run = begin(wire)
    post(wire, "runs/delete", run_id=run)
    _status, code, text = refused(wire, "runs/set-tag", run_id=run, key="a", value="b")
    assert (code, text) == (
        "INVALID_PARAMETER_VALUE",
        f"The run {run} must be in the 'active' state. Current state is deleted.",
    )
    assert post(wire, "runs/search", experiment_ids=["0"]) == {}
    assert len(post(wire, "runs/search", experiment_ids=["0"], run_view_type="DELETED_ONLY")["runs"]) == 1
    post(wire, "runs/restore", run_id=run)
    post(wire, "runs/set-tag", run_id=run, key="mlflow.runName", value="other")
    assert wire.send("GET", f"{API}/runs/get?run_id={run}").json["run"]["info"]["run_name"] == "other"
    assert refused(wire, "runs/delete-tag", run_id=run, key="none")[1] == "RESOURCE_DOES_NOT_EXIST"


def test_artifacts_are_sent_listed_and_fetched(wire: Wire) -> None:
    run = begin(wire)
    for name in ("notes/a.txt", "page.html"):
        assert wire.send("PUT", f"{FILES}/0/{run}/artifacts/{name}", body=name.encode()).status == 200
    listed = wire.send("GET", f"{FILES}?path=0/{run}/artifacts").json["files"]
    assert listed == [{"path": "notes", "is_dir": True}, {"path": "page.html", "is_dir": False, "file_size": 9}]
    below = wire.send("GET", f"{API}/artifacts/list?run_id={run}&path=notes").json
    assert below["files"] == [{"path": "notes/a.txt", "is_dir": False, "file_size": 11}]
    page = wire.send("GET", f"{FILES}/0/{run}/artifacts/page.html")
    assert page.headers["content-length"] == "9" and page.headers["content-type"].startswith("text/plain")
    assert page.headers["content-disposition"].startswith("attachment") and page.headers["x-content-type-options"] == "nosniff"
    assert wire.send("GET", f"{FILES}/0/{run}/artifacts/none").json["error_code"] == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("path", ["..", "0/../x", "/etc/passwd", "0/R/artifacts/../../x", "0/R/other", "%2e%2e/x", "0\\x"])
def test_a_path_out_of_the_store_is_refused(wire: Wire, path: str) -> None:
    run = begin(wire)
    reply = wire.send("GET", f"{FILES}?path={path.replace('R', run)}")
    assert (reply.status, reply.json["message"]) == (400, "Invalid path")


def test_a_logged_model_has_its_life(wire: Wire) -> None:
    run = begin(wire)
    model = post(wire, "logged-models", experiment_id="0", name="m", source_run_id=run, params=[{"key": "p", "value": "1"}])
    id = model["model"]["info"]["model_id"]
    assert model["model"]["info"]["status"] == "LOGGED_MODEL_PENDING"
    assert wire.send("PUT", f"{FILES}/0/models/{id}/artifacts/MLmodel", body=b"x").status == 200
    assert wire.send("GET", f"{FILES}/0/models/{id}/artifacts/MLmodel").headers["content-length"] == "1"
    ended = wire.json("PATCH", f"{API}/logged-models/{id}", {"model_id": id, "status": "LOGGED_MODEL_READY"})
    assert ended.json["model"]["info"]["status"] == "LOGGED_MODEL_READY"
    wire.json("PATCH", f"{API}/logged-models/{id}/tags", {"tags": [{"key": "t", "value": "1"}]})
    found = post(wire, "logged-models/search", experiment_ids=["0"], filter="name = 'm' AND tags.t = '1' AND params.p = '1'")
    assert [each["info"]["model_id"] for each in found["models"]] == [id]
    assert wire.send("DELETE", f"{API}/logged-models/{id}/tags/t").status == 200
    post(wire, "runs/outputs", run_id=run, models=[{"model_id": id, "step": 3}])
    post(
        wire,
        "runs/log-inputs",
        run_id=run,
        datasets=[
            {
                "dataset": {"name": "flights", "digest": "d", "source_type": "local", "source": "{}"},
                "tags": [{"key": "mlflow.data.context", "value": "training"}],
            }
        ],
    )
    held = wire.send("GET", f"{API}/runs/get?run_id={run}").json["run"]
    assert held["outputs"] == {"model_outputs": [{"model_id": id, "step": 3}]}
    assert held["inputs"]["dataset_inputs"][0]["dataset"]["name"] == "flights"
    for text in ("datasets.name = 'flights'", "datasets.context = 'training' AND datasets.digest LIKE 'd%'"):
        assert len(post(wire, "runs/search", experiment_ids=["0"], filter=text)["runs"]) == 1
    assert wire.send("DELETE", f"{API}/logged-models/{id}").status == 200
    assert wire.send("GET", f"{API}/logged-models/{id}").json["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_pages_of_a_search_hold_every_run_once(wire: Wire) -> None:
    runs = [begin(wire) for _ in range(7)]
    for place, run in enumerate(runs[:5]):
        post(wire, "runs/log-metric", run_id=run, key="m", value=[1.0, 3.0, "NaN", 2.0, 3.0][place], timestamp=1)
    found, token = [], None
    while True:
        page = post(
            wire, "runs/search", experiment_ids=["0"], order_by=["metrics.m DESC"], max_results=2, page_token=token or ""
        )
        found += page["runs"]
        token = page.get("next_page_token")
        if not token:
            break
    assert sorted(each["info"]["run_id"] for each in found) == sorted(runs)
    values = [float(each["data"].get("metrics", [{"value": "-inf"}])[0]["value"]) for each in found]
    assert values[:3] == [3.0, 3.0, 2.0] and math.isnan(values[4]) and values[5:] == [-math.inf, -math.inf]


def test_the_native_route_searches_with_the_same_language(wire: Wire) -> None:
    runs = [begin(wire, run_name=name) for name in ("a", "b", "c")]
    for place, run in enumerate(runs):
        post(wire, "runs/log-metric", run_id=run, key="m", value=place, timestamp=1)
    found = wire.send("GET", "/api/v1/projects/default/runs?filter=metrics.m%20%3E%200&order_by=metrics.m%20ASC").json
    assert [each["run"]["name"] for each in found] == ["b", "c"]
    narrowed = wire.send("GET", "/api/v1/projects/default/runs?filter=metrics.m%20%3E%200&kind=pipeline").json
    assert narrowed == []
    refused = wire.send("GET", "/api/v1/projects/default/runs?filter=metrics.m%20%3E")
    assert (refused.status, refused.code) == (400, "tracking/bad-filter")
