"""An evaluation says how a model does, over all rows and in slices, against a baseline that learned nothing."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.svm import LinearSVC
from tests.registry.conftest import flights

from bucle.artifacts import ArtifactStore
from bucle.features import FrameColumn, TrainingFrame
from bucle.registry import evaluate_model, keep_evaluation, read_evaluation
from bucle.registry.errors import BadEvaluation, UnknownSlice
from bucle.registry.frames import aligned
from bucle.registry.scoring import read_losses


def boosted(frame: TrainingFrame) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(random_state=1, max_iter=20).fit(frame.X, frame.y)


def test_the_numbers_are_those_of_the_rows(store: ArtifactStore) -> None:
    past, recent = flights(2000, 1), flights(1000, 2)
    model = boosted(past)
    found = evaluate_model(model, recent, ["origin"], trained_on=past, store=store)
    probability = model.predict_proba(recent.X)[:, 1]
    assert found.metrics["roc_auc"] == pytest.approx(roc_auc_score(recent.y, probability))
    assert found.mean_loss == pytest.approx(brier_score_loss(recent.y, probability))
    assert (found.rows, found.positives, found.task, found.label) == (1000, int(recent.y.sum()), "classification", "late")
    assert read_losses(store, found.losses).mean() == pytest.approx(found.mean_loss)
    assert found.training["roc_auc"] > found.metrics["roc_auc"] and found.training["rows"] == 2000
    assert keep_evaluation(store, found) == read_evaluation(store, keep_evaluation(store, found).id)
    assert "origin = JFK" in found._repr_html_()


def test_the_slices_of_a_column_share_out_the_rows_and_nulls_are_a_slice(store: ArtifactStore) -> None:
    recent = flights(1000, 2)
    found = evaluate_model(boosted(flights(2000, 1)), recent, ["origin", "distance"], store=store)
    for column, values in (("origin", {"EWR", "JFK", "LGA", "null"}), ("distance", None)):
        slices = found.slices_by(column)
        assert sum(each.rows for each in slices) == 1000
        assert values is None or {each.value for each in slices} == values
    assert {each.value: each.enough for each in found.slices_by("origin")} == {
        "EWR": True,
        "JFK": True,
        "LGA": True,
        "null": False,
    }
    jfk = next(each for each in found.slices if each.value == "JFK")
    mask = recent.X[:, 0] == 1
    assert (jfk.rows, jfk.positives) == (int(mask.sum()), int(recent.y[mask].sum()))


def test_the_baseline_answers_what_the_training_rows_say(store: ArtifactStore) -> None:
    past, recent = flights(2000, 1), flights(1000, 2)
    model = boosted(past)
    assert evaluate_model(model, recent, trained_on=past).baseline.value == (pytest.approx(past.y.mean()),)
    unaided = evaluate_model(model, recent).baseline
    assert (unaided.value, unaided.source) == ((pytest.approx(recent.y.mean()),), "evaluated rows")
    trivial = DummyClassifier(strategy="prior").fit(past.X, past.y)
    assert evaluate_model(trivial, recent, trained_on=past).baseline.gain == 0


def test_a_regression_is_in_the_labels_unit(store: ArtifactStore) -> None:
    past, recent = flights(2000, 1, task="regression"), flights(1000, 2, task="regression")
    model = HistGradientBoostingRegressor(random_state=1, max_iter=30).fit(past.X, past.y)
    found = evaluate_model(model, recent, ["origin"], "regression", trained_on=past, store=store)
    assert set(found.metrics) == {"mae", "rmse", "r2"} and found.positives is None
    assert found.baseline.gain_low > 0 and found.metrics["r2"] > 0.2
    flat = evaluate_model(DummyRegressor().fit(past.X, past.y), recent, trained_on=past)
    assert flat.baseline.gain == 0


def test_several_classes_and_classes_with_names() -> None:
    past, recent = flights(1500, 1), flights(800, 2)
    named = [
        frame_with(each, lambda row: "late" if row > 0.8 else "early" if row < -0.5 else "on time") for each in (past, recent)
    ]
    model = HistGradientBoostingClassifier(random_state=1, max_iter=10).fit(named[0].X, named[0].y)
    found = evaluate_model(model, named[1], trained_on=named[0])
    assert found.metrics["roc_auc"] > 0.7 and found.positives is None and len(found.baseline.value) == 3
    two = [frame_with(each, lambda row: "late" if row > 0.8 else "on time") for each in (past, recent)]
    found = evaluate_model(LogisticRegression().fit(np.nan_to_num(two[0].X), two[0].y), nulls_filled(two[1]))
    assert found.positives == int((two[1].y == "on time").sum())


def frame_with(frame: TrainingFrame, label: object) -> TrainingFrame:
    table = frame.table.with_columns(pl.col("wind").map_elements(label, return_dtype=pl.String).alias("late"))
    return replace(frame, table=table)


def nulls_filled(frame: TrainingFrame) -> TrainingFrame:
    return replace(frame, table=frame.table.with_columns(pl.col("origin").fill_null("EWR")))


def test_a_classifier_without_probabilities_counts_as_sure() -> None:
    past, recent = nulls_filled(flights(1000, 1)), nulls_filled(flights(500, 2))
    found = evaluate_model(LinearSVC().fit(past.X, past.y), recent)
    assert found.mean_loss == pytest.approx(1 - found.metrics["accuracy"])


def test_rows_of_one_class_leave_some_metrics_undefined() -> None:
    recent = flights(300, 2)
    calm = replace(recent, table=recent.table.with_columns(late=pl.lit(False)))
    found = evaluate_model(boosted(flights(1000, 1)), calm)
    assert "roc_auc" in found.undefined and "roc_auc" not in found.metrics and found.positives == 0


def test_a_slice_in_which_a_class_does_not_occur_is_not_enough_to_judge_by(store: ArtifactStore) -> None:
    past, recent = flights(2000, 1), flights(1000, 2)
    punctual = recent.table.with_columns(late=pl.when(pl.col("origin") == "EWR").then(pl.lit(False)).otherwise(pl.col("late")))
    found = evaluate_model(boosted(past), replace(recent, table=punctual), ["origin"], trained_on=past, store=store)
    held = {each.value: (each.positives, each.enough) for each in found.slices_by("origin")}
    assert held["EWR"] == (0, False) and held["JFK"][1]


def test_a_model_that_answers_nan_or_rows_without_labels_are_refused() -> None:
    frame = flights(200, 1)

    class Broken:
        classes_ = np.array([0, 1])

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            return np.full((len(rows), 2), np.nan)

    with pytest.raises(BadEvaluation, match="NaN"):
        evaluate_model(Broken(), frame)
    with pytest.raises(BadEvaluation, match="no rows"):
        evaluate_model(boosted(frame), replace(frame, table=frame.table.head(0)))
    with pytest.raises(BadEvaluation, match="none of the classes"):
        evaluate_model(boosted(frame), frame_with(frame, lambda row: "never"))
    with pytest.raises(BadEvaluation, match="no fitted classifier"):
        evaluate_model(DummyRegressor().fit(frame.X, frame.y), frame, task="classification")


def test_a_misspelt_slice_names_the_nearest_column() -> None:
    frame = flights(200, 1)
    with pytest.raises(UnknownSlice) as error:
        evaluate_model(boosted(frame), frame, ["orign"])
    assert "'origin'" in error.value.next_step


def test_a_model_of_other_columns_and_categories_is_judged_on_the_same_rows(store: ArtifactStore) -> None:
    recent = flights(1000, 2)
    inputs = (FrameColumn("wind", "float", "weather_now"), FrameColumn("origin", "category", None, ("LGA", "EWR")))
    rows = aligned(recent.columns, recent.X, inputs)
    names = recent.table["origin"].to_list()
    expected = [{"LGA": 0.0, "EWR": 1.0}.get(name, np.nan) for name in names]
    assert np.array_equal(rows[:, 1], expected, equal_nan=True) and np.array_equal(rows[:, 0], recent.X[:, 1])
    model = HistGradientBoostingClassifier(random_state=1).fit(rows, recent.y)
    found = evaluate_model(model, recent, columns=inputs, store=store)
    assert found.columns == ("wind", "origin")
    assert found.rows_id == evaluate_model(boosted(recent), recent).rows_id
    with pytest.raises(BadEvaluation, match="lack gust"):
        evaluate_model(model, recent, columns=(FrameColumn("gust", "float"),))


def test_other_rows_have_another_identity() -> None:
    model = boosted(flights(500, 1))
    ids = {evaluate_model(model, flights(200, seed)).rows_id for seed in (1, 2, 2)}
    assert len(ids) == 2


def test_a_category_of_many_values_has_its_most_frequent_ones_as_slices() -> None:
    frame = flights(1000, 1)
    names = tuple(f"T{number:03}" for number in range(120))
    tails = [names[min(int(number**0.75), 119)] for number in range(1000)]
    columns = (FrameColumn("origin", "category", None, names), *frame.columns[1:])
    many = replace(frame, table=frame.table.with_columns(origin=pl.Series(tails)), columns=columns)
    found = evaluate_model(LogisticRegression().fit(many.X, many.y), many, ["origin"]).slices_by("origin")
    others = next(each for each in found if each.value == "(others)")
    assert len(found) == 51 and sum(each.rows for each in found) == 1000
    assert others.rows == sum(sorted((tails.count(name) for name in set(tails)), reverse=True)[50:])
