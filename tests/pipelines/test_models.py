"""From a split to a registered model version, on a small table of our own."""

import json

import pytest
from tests.pipelines.conftest import DEV, Place

from bucle.data import ingest
from bucle.ledger import EventFilter, Scope
from bucle.pipelines import PipelineRun
from bucle.registry import get_version, list_versions, set_stage
from bucle.tracking import RunFilter, completeness, get_run, list_runs

PROJECT = """
from datetime import UTC, datetime, timedelta
import polars as pl
from sklearn.linear_model import LogisticRegression

@bucle.source("data/*.parquet", key="id", timestamp="at")
def visits(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw

buys = bucle.TrainingSet(spine=visits, columns=["shop", "size"], features=[], label=bucle.Label("bought", pl.col("paid") > 0))

@bucle.step
def fit(frame: bucle.TrainingFrame, strength: float = 1.0) -> LogisticRegression:
    return LogisticRegression(C=strength, random_state=frame.seed).fit(frame.X, frame.y)

@bucle.pipeline(model="buyer")
def train(strength: float = 1.0):
    past, recent = buys.split(window="60d", holdout="20d")
    return bucle.evaluate(fit(past, strength), recent, slices=["shop"])
"""
CHARTER = """
[charter]
problem = "Who buys?"
task = "classification"
success = ["roc_auc >= 0.6", "roc_auc >= 0.99"]
owner = "ana"
data = ["visits: every visit"]
"""


@pytest.fixture
def shop(place: Place) -> Place:
    import numpy as np
    import polars as pl

    random = np.random.default_rng(7)
    rows, day = 3000, 86_400_000_000
    size = random.normal(size=rows)
    paid = (size + random.normal(size=rows) > 0.3).astype(np.int64)
    frame = pl.DataFrame(
        {
            "id": [f"v{n}" for n in range(rows)],
            "at": pl.Series(np.sort(random.integers(0, 100 * day, rows))).cast(pl.Datetime("us", "UTC")),
            "shop": random.choice(["north", "south"], rows),
            "size": size,
            "paid": paid,
        }
    )
    (place.root / "data").mkdir()
    frame.write_parquet(place.root / "data" / "visits.parquet")
    (place.root / "bucle.toml").write_text((place.root / "bucle.toml").read_text() + CHARTER)
    place.write(PROJECT)
    return place


def test_a_model_is_evaluated_judged_and_registered_with_its_lineage(shop: Place) -> None:
    run = shop.run("train", engine="inline")
    assert run.state == "done", run.failure
    ledger = shop.home.ledger
    with ledger.read() as reader:
        version = get_version(reader, "demo", "buyer", 1)
        record = get_run(reader, run.id)
        training = list_runs(reader, RunFilter(purpose="training"))
        assert completeness(reader, training[0].id).missing == ("code",)  # the folder is no repository
    assert run.model_version == version.id
    verdicts = {gate.name: gate.passed for gate in version.gates}
    assert verdicts["roc_auc >= 0.6"] and not verdicts["roc_auc >= 0.99"]
    assert verdicts["better_than_baseline"] and verdicts["loadable"] and verdicts["slices"]
    assert version.evaluation is not None and version.evaluation.training["rows"] > 1000
    assert {each.column for each in version.evaluation.slices} == {"shop"}
    assert version.evaluation.baseline.source == "training rows"
    assert {each.name for each in version.package.files} == {"bucle.toml"}
    metrics = {point.name: point.number for point in record.metrics}
    assert metrics["roc_auc"] == pytest.approx(version.evaluation.metrics["roc_auc"])
    assert record.data[0].source == "visits"
    up = {edge.source for edge in ledger.lineage(version.id)}
    assert {run.id, record.data[0].version, version.package.id, training[0].id} <= up
    steps = [step.name for step in shop.steps(run).values()]
    assert steps == ["split", "fit", "evaluate", "package", "loadable", "gates"]
    kinds = [event.kind for event in ledger.why(version.id)]
    assert "pipelines.run_started" in kinds and "registry.gate_judged" in kinds
    notes = {note.kind for child in record.children for note in _record(shop, child).notes}
    assert notes == {"features.frame_read", "features.split_made"}


def _record(place: Place, run_id: str):  # type: ignore[no-untyped-def]
    with place.home.ledger.read() as reader:
        return get_run(reader, run_id)


def test_the_same_training_again_is_all_hits_and_no_new_version(shop: Place) -> None:
    """Also by another engine and in another environment; rerunning gives exactly the same artifact (K-P3, K-20, G1-a)."""
    first = shop.run("train", engine="processes")
    second = shop.run("train", engine="inline")
    assert second.state == "done", second.failure
    hits = {call: step.hit for call, step in shop.steps(second).items()}
    assert [call for call, hit in hits.items() if not hit] in ([], ["split#1"])  # as-of moved on, the frames did not
    assert second.model_version == first.model_version
    started = shop.home.ledger.events(EventFilter(kinds=("pipelines.run_started",)))
    assert started[1].data["same_configuration_as"] == first.id
    assert started[1].data["configuration"] == started[0].data["configuration"]


def test_training_again_from_nothing_gives_the_same_bytes(shop: Place) -> None:
    first = shop.run("train")
    with shop.home.ledger.write() as tx:
        tx.execute("DELETE FROM step_cache")
    second = shop.run("train")
    assert all(not step.hit for step in shop.steps(second).values())
    assert _model(shop, first) == _model(shop, second)


def _model(place: Place, run: PipelineRun) -> str:
    output = place.steps(run)["fit#1"].output
    assert output is not None and output.codec == "estimator"
    return output.artifact


def test_a_candidate_is_compared_with_the_version_in_production_on_the_same_rows(shop: Place) -> None:
    first = shop.run("train")
    with shop.home.ledger.write() as tx:
        set_stage(tx, first.model_version or "", "production")
    second = shop.run("train", strength=0.0001)
    with shop.home.ledger.read() as reader:
        version = list_versions(reader, "demo", "buyer")[0]
    assert second.model_version == version.id != first.model_version
    gate = next(gate for gate in version.gates if gate.name == "better_than_production")
    assert gate.evidence["champion"] == "buyer@1" and not gate.passed
    assert "evaluate_production" in {step.name for step in shop.steps(second).values()}


def test_what_is_no_evaluation_cannot_be_registered(shop: Place) -> None:
    shop.write(
        PROJECT.replace('return bucle.evaluate(fit(past, strength), recent, slices=["shop"])', "return fit(past, strength)")
    )
    run = shop.run("train")
    assert run.failure is not None and run.failure.code == "pipelines/not-an-evaluation"
    assert (run.failure.where or "").startswith("demo.py:")


def test_other_environments_train_from_the_data_that_they_have(shop: Place) -> None:
    scope, code = Scope("demo", "production"), shop.code()
    ingest(shop.home, shop.store, shop.runners, code, scope, "visits")
    shop.run("train")
    run_id = shop.runs.start(code, scope, "train")
    run = shop.runs.wait(run_id or "", 60)
    assert run.state == "done", run.failure
    started = shop.home.ledger.events(EventFilter(kinds=("pipelines.run_started",), environment="production"))
    assert started[0].data["same_configuration_as"] is not None
    assert json.dumps(started[0].data["parameters"]) == '{"strength": 1.0}'
    assert DEV.environment != run.scope.environment
