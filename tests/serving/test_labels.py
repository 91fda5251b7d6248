"""Labels find the prediction that they judge; what cannot be right is refused whole, by row and code."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bucle.errors import BucleError
from bucle.ledger import EventFilter, Scope, format_instant, parse_instant, to_us
from bucle.serving import LabelReceipt, LabelRow, record_labels

SCOPE = Scope("flights", "production")
NOON = parse_instant("2013-04-01T12:00:00Z")


def send(bench, *labels: LabelRow, scope: Scope = SCOPE) -> LabelReceipt:
    bench.log.ship()
    with bench.home.ledger.write() as tx:
        return record_labels(tx, scope, "delay", labels)


def refused(bench, *labels: LabelRow, scope: Scope = SCOPE) -> BucleError:
    before = labels_of(bench)
    with pytest.raises(BucleError) as caught:
        send(bench, *labels, scope=scope)
    assert labels_of(bench) == before, "nothing is half-written"
    return caught.value


def labels_of(bench) -> dict[str, float]:
    with bench.home.ledger.read() as reader:
        return {row["prediction"]: row["value"] for row in reader.rows("SELECT prediction, value FROM label")}


def test_a_label_by_key_judges_the_last_prediction_before_its_moment(bench) -> None:
    bench.predict("f1", NOON - timedelta(hours=3))
    second = bench.predict("f1", NOON - timedelta(hours=2))
    bench.predict("f1", NOON - timedelta(hours=1))
    receipt = send(bench, LabelRow(True, key="f1", observed_at=format_instant(NOON - timedelta(minutes=90))))
    assert receipt == LabelReceipt("delay", 1, 0, 0)
    assert labels_of(bench) == {second: 1.0}


def test_a_key_of_thousands_of_digits_is_refused(bench) -> None:
    bench.predict("f1", NOON)
    error = refused(bench, LabelRow(True, key=10**5000))
    assert (error.code, error.where) == ("serving/bad-label", "labels[0].key")


def test_a_label_by_id_needs_no_key_and_no_moment(bench) -> None:
    id = bench.predict(None, NOON)
    send(bench, LabelRow(0, prediction_id=id))
    assert labels_of(bench) == {id: 0.0}
    (event,) = bench.home.ledger.events(EventFilter(kinds=("serving.labels_recorded",)))
    assert event.data["count"] == 1


def test_the_same_label_again_is_accepted_and_changes_nothing(bench) -> None:
    id = bench.predict("f1", NOON)
    send(bench, LabelRow(True, prediction_id=id))
    assert send(bench, LabelRow(True, key="f1")) == LabelReceipt("delay", 0, 1, 0)
    assert len(bench.home.ledger.events(EventFilter(kinds=("serving.labels_recorded",)))) == 1


def test_a_second_label_that_differs_is_an_error_unless_it_replaces(bench) -> None:
    id = bench.predict("f1", NOON)
    send(bench, LabelRow(True, prediction_id=id))
    error = refused(bench, LabelRow(False, prediction_id=id))
    assert (error.code, error.where) == ("serving/label-differs", "labels[0].value")
    assert send(bench, LabelRow(False, prediction_id=id, replace=True)) == LabelReceipt("delay", 0, 0, 1)
    assert labels_of(bench) == {id: 0.0}
    (corrected,) = bench.home.ledger.events(EventFilter(kinds=("serving.label_corrected",)))
    assert (corrected.subject, corrected.data["old"], corrected.data["new"]) == (id, 1.0, 0.0)


def test_two_labels_of_one_batch_for_one_prediction_must_agree(bench) -> None:
    id = bench.predict("f1", NOON)
    assert refused(bench, LabelRow(True, prediction_id=id), LabelRow(False, key="f1")).code == "serving/label-differs"
    assert send(bench, LabelRow(True, prediction_id=id), LabelRow(True, key="f1")) == LabelReceipt("delay", 1, 1, 0)


def test_a_label_from_the_future_is_refused(bench) -> None:
    id = bench.predict("f1", NOON)
    error = refused(bench, LabelRow(True, prediction_id=id, observed_at="2013-04-01T12:00:01Z"))
    assert (error.code, error.where) == ("serving/label-from-future", "labels[0].observed_at")


def test_unknown_predictions_are_named_each_and_nothing_of_the_batch_is_kept(bench) -> None:
    id = bench.predict("f1", NOON)
    error = refused(
        bench,
        LabelRow(True, prediction_id=id),
        LabelRow(True, key="nobody"),
        LabelRow(True, prediction_id="pred_0"),
        LabelRow(7, prediction_id=id),
    )
    assert (error.code, error.where) == ("serving/unknown-prediction", "labels[1].key")
    assert "2 (serving/unknown-prediction)" in str(error)
    assert "3 (serving/bad-label)" in str(error)


def test_a_key_before_its_first_prediction_is_unknown(bench) -> None:
    bench.predict("f1", NOON)
    error = refused(bench, LabelRow(True, key="f1", observed_at=format_instant(NOON - timedelta(seconds=1))))
    assert error.code == "serving/unknown-prediction"


def test_labels_for_a_prediction_of_another_environment_are_unknown(bench, candidate) -> None:
    from bucle.serving import deploy

    id = bench.predict("f1", NOON)
    staging = Scope("flights", "staging")
    with bench.home.ledger.write() as tx:
        deploy(tx, staging, candidate(1))
    assert refused(bench, LabelRow(True, prediction_id=id), scope=staging).code == "serving/unknown-prediction"
    assert refused(bench, LabelRow(True, key="f1"), scope=staging).code == "serving/unknown-prediction"


@pytest.mark.parametrize(
    ("label", "where"),
    [
        (LabelRow(float("nan"), key="f1"), "labels[0].value"),
        (LabelRow(0.5, key="f1"), "labels[0].value"),
        (LabelRow(True), "labels[0]"),
        (LabelRow(True, prediction_id="p", key="f1"), "labels[0]"),
        (LabelRow(True, key="\ud800"), "labels[0].key"),
        (LabelRow(True, prediction_id="pred_\udfff"), "labels[0].prediction_id"),
        (LabelRow("\ud800", key="f1"), "labels[0].value"),
        (LabelRow(True, key="f1", observed_at="yesterday"), "labels[0].observed_at"),
    ],
)
def test_a_label_that_makes_no_sense_is_refused_with_its_field(bench, label: LabelRow, where: str) -> None:
    bench.predict("f1", NOON)
    error = refused(bench, label)
    assert (error.code, error.where) == ("serving/bad-label", where)


@given(
    predictions=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-50, 0)), max_size=12),
    labels=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-60, 0)), max_size=12),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_join_by_key_agrees_with_a_search_through_all_predictions(
    bench, predictions: list[tuple[str, int]], labels: list[tuple[str, int]]
) -> None:
    bench.log.ship()
    with bench.home.ledger.write() as tx:
        tx.execute("DELETE FROM label")
        tx.execute("DELETE FROM prediction")
    made = [(bench.predict(key, NOON + timedelta(minutes=minute)), key, minute) for key, minute in predictions]
    expected: dict[str, float] = {}
    for key, minute in labels:
        before = [(at, id) for id, name, at in made if name == key and at <= minute]
        label = LabelRow(True, key=key, observed_at=format_instant(NOON + timedelta(minutes=minute)))
        if before:
            expected[max(before)[1]] = 1.0
            send(bench, label)
        else:
            assert refused(bench, label).code == "serving/unknown-prediction"
    assert labels_of(bench) == expected
    assert to_us(NOON) == bench.home.ledger.clock.now_us()
