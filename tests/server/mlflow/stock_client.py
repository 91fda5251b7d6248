"""What a user of a stock MLflow client does; run by `test_stock_client.py` with that client's own interpreter."""

import math

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
assert client.get_experiment("0").name == "Default"
mlflow.set_experiment("flights")
with mlflow.start_run(run_name="first") as run:
    mlflow.log_param("depth", 5)
    mlflow.log_params({"a": 1, "b": "x"})
    for step, value in enumerate((0.5, math.nan, 2.0)):
        mlflow.log_metric("loss", value, step=step)
    mlflow.log_metrics({"x": 1, "y": 2}, step=1)
    mlflow.set_tags({"team": "air", "gone": "1"})
    mlflow.delete_tag("gone")
    mlflow.log_text("hello", "notes/a.txt")
    mlflow.log_metric("later", 1.0, synchronous=False).wait()
    with mlflow.start_run(nested=True, run_name="child") as child:
        mlflow.log_metric("m", 1)
id, experiment = run.info.run_id, run.info.experiment_id
held = client.get_run(id)
assert (held.info.status, held.info.run_name) == ("FINISHED", "first")
assert held.data.params == {"depth": "5", "a": "1", "b": "x"}
assert held.data.metrics == {"loss": 2.0, "x": 1.0, "y": 2.0, "later": 1.0}
assert held.data.tags["team"] == "air" and "gone" not in held.data.tags
assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == id
assert [point.step for point in client.get_metric_history(id, "loss")] == [0, 1, 2]
assert [file.path for file in client.list_artifacts(id, "notes")] == ["notes/a.txt"]
assert mlflow.artifacts.load_text(f"{held.info.artifact_uri}/notes/a.txt") == "hello"
for text, names in {
    "": ["child", "first"],
    "metrics.x > 0.5 and params.depth = '5'": ["first"],
    "tags.team = 'air' OR metrics.m >= 1": ["child", "first"],
    "NOT (tags.team ILIKE 'AIR')": ["child"],
    f"run_id IN ('{id}')": ["first"],
}.items():
    assert [each.info.run_name for each in client.search_runs([experiment], text)] == names, text
for code, call in {
    "INVALID_PARAMETER_VALUE": lambda: client.log_param(id, "depth", 6),
    "RESOURCE_DOES_NOT_EXIST": lambda: client.get_run("0" * 32),
    "RESOURCE_ALREADY_EXISTS": lambda: client.create_experiment("flights"),
}.items():
    try:
        call()
    except MlflowException as error:
        assert error.error_code == code, error
    else:
        raise AssertionError(f"{code} was not raised")
model = client.create_logged_model(experiment_id=experiment, name="m", source_run_id=id, params={"p": "1"})
client.finalize_logged_model(model.model_id, "READY")
assert [each.model_id for each in client.search_logged_models([experiment])] == [model.model_id]
with mlflow.start_run(run_id=id):
    mlflow.log_metric("late", 3)
assert client.get_run(id).info.status == "FINISHED"
client.delete_run(child.info.run_id)
assert client.get_run(child.info.run_id).info.lifecycle_stage == "deleted"
