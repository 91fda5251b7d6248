"""Gates pass what is good, fail what is not, and say why in a sentence."""

from dataclasses import replace

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from tests.registry.conftest import flights

from bucle.artifacts import ArtifactStore
from bucle.project import parse_criterion
from bucle.project.errors import BadCriterion
from bucle.registry import (
    Champion,
    Evaluation,
    Gate,
    GateResult,
    JudgeOrder,
    LoadReport,
    check_loadable,
    evaluate_model,
    judge,
    package_model,
    run_gates,
    slices_needed,
)
from bucle.registry.errors import BadGate

LOADS = LoadReport(True, "It loads.", 0.1, 5)
PAST, RECENT = flights(3000, 1), flights(2000, 2)


def fit(iterations: int = 30, rows: int = 3000) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(random_state=1, max_iter=iterations).fit(PAST.X[:rows], PAST.y[:rows])


def evaluated(store: ArtifactStore, model: object, slices: tuple[str, ...] = ("origin",)) -> Evaluation:
    return evaluate_model(model, RECENT, slices, trained_on=PAST, store=store)


def gates(store: ArtifactStore, evaluation: Evaluation, *own: Gate, **order: object) -> dict[str, GateResult]:
    found = run_gates(JudgeOrder("delay", evaluation, **({"load": LOADS} | order)), store, own)
    return {each.name: each for each in found}


def test_a_good_first_model_passes_every_gate(store: ArtifactStore) -> None:
    criteria = (parse_criterion("roc_auc >= 0.65"), parse_criterion("roc_auc >= 0.55 by origin"))
    order = JudgeOrder("delay", evaluated(store, fit()), LOADS, criteria, slices=("origin",))
    judgement = judge(order, store)
    assert judgement.passed, [gate.reason for gate in judgement.gates]
    assert [gate.kind for gate in judgement.gates] == ["criterion", "criterion", "production", "baseline", "slices", "loadable"]


def test_every_gate_gives_its_reason_in_any_language_but_the_project_s_own_words_stay(store: ArtifactStore) -> None:
    criteria = (parse_criterion("roc_auc >= 0.65"), parse_criterion("roc_auc >= 0.999 by origin"), parse_criterion("f9 >= 1"))
    own = Gate(lambda evaluation: (False, "Ask Ana first."), name="ana")
    found = gates(store, evaluated(store, fit()), own, criteria=criteria, slices=("origin",))
    for gate in found.values():
        if gate.name in ("ana", "loadable"):
            assert gate.said is None
            continue
        assert gate.said is not None and str(gate.said) == gate.reason
        spanish = gate.said.text("es")
        assert spanish != gate.reason and "no tiene texto" not in spanish and "{" not in spanish
    assert found["better_than_baseline"].said.text("es").startswith("Mejor que responder siempre ")  # type: ignore[union-attr]
    assert "Datos insuficientes donde origin = null." in found["roc_auc >= 0.999 by origin"].said.text("es")  # type: ignore[union-attr]


def test_a_criterion_that_is_not_met_says_by_how_much(store: ArtifactStore) -> None:
    found = gates(store, evaluated(store, fit()), criteria=(parse_criterion("roc_auc >= 0.99"),))["roc_auc >= 0.99"]
    assert not found.passed and found.evidence["value"] < 0.99 and "does not meet" in found.reason


def test_a_criterion_by_slice_names_the_slices_where_it_fails_and_those_too_small(store: ArtifactStore) -> None:
    text = "roc_auc >= 0.999 by origin"
    found = gates(store, evaluated(store, fit()), criteria=(parse_criterion(text),))[text]
    assert not found.passed and "origin = JFK" in found.reason and "Insufficient data where origin = null." in found.reason
    unsliced = gates(store, evaluated(store, fit(), ()), criteria=(parse_criterion(text),))[text]
    assert not unsliced.passed and "not sliced by origin" in unsliced.reason
    assert slices_needed([parse_criterion(text)], ["hour"]) == ("hour", "origin")


def test_a_metric_that_does_not_exist_is_named_with_those_that_do(store: ArtifactStore) -> None:
    found = gates(store, evaluated(store, fit()), criteria=(parse_criterion("auc >= 0.5"),))["auc >= 0.5"]
    assert not found.passed and "roc_auc" in found.reason


def test_a_better_model_beats_production_and_the_same_or_a_worse_one_does_not(store: ArtifactStore) -> None:
    weak, strong = evaluated(store, fit(2, 300)), evaluated(store, fit())
    for candidate, champion, passed in ((strong, weak, True), (weak, strong, False), (strong, strong, False)):
        found = gates(store, candidate, champion=Champion("delay@3", champion))["better_than_production"]
        assert found.passed is passed and "delay@3" in found.reason
        assert (found.evidence["gain_low"] > 0) is passed


def test_the_verdict_is_the_same_whenever_it_is_asked(store: ArtifactStore) -> None:
    champion = Champion("delay@3", evaluated(store, fit(2, 300)))
    candidate = evaluated(store, fit(20))
    assert gates(store, candidate, champion=champion, seed=3) == gates(store, candidate, champion=champion, seed=3)


def test_what_cannot_be_compared_is_not_better(store: ArtifactStore) -> None:
    candidate = evaluated(store, fit())
    for champion, said in (
        (Champion("delay@3", None, "the rows lack gust"), "the rows lack gust"),
        (Champion("delay@3", replace_rows(store)), "other rows"),
    ):
        found = gates(store, candidate, champion=champion)["better_than_production"]
        assert not found.passed and said in found.reason


def replace_rows(store: ArtifactStore) -> Evaluation:
    return evaluate_model(fit(), flights(2000, 3), trained_on=PAST, store=store)


def test_a_model_that_learned_nothing_is_not_better_than_the_baseline(store: ArtifactStore) -> None:
    found = gates(store, evaluated(store, DummyClassifier().fit(PAST.X, PAST.y)))["better_than_baseline"]
    assert not found.passed and found.evidence["gain"] == 0 and "the losses are the same" in found.reason


def test_a_slice_that_is_worse_than_the_baseline_fails(store: ArtifactStore) -> None:
    turned = pl.when(pl.col("origin") == "JFK").then(~pl.col("late")).otherwise(pl.col("late"))
    frame = replace(RECENT, table=RECENT.table.with_columns(late=turned))
    evaluation = evaluate_model(fit(), frame, ["origin"], trained_on=PAST, store=store)
    found = gates(store, evaluation, slices=("origin",))["slices"]
    assert not found.passed and found.reason.startswith("Worse than the trivial baseline where origin = JFK.")
    assert not gates(store, evaluation, slices=("hour",))["slices"].passed


def test_many_slices_do_not_fail_by_chance_and_one_that_is_worse_still_does(store: ArtifactStore) -> None:
    evaluation = evaluate_model(fit(), RECENT, ["origin"], trained_on=PAST, store=store)
    first, *others = evaluation.slices_by("origin")
    for joint, passed in ((0.001, True), (-0.001, False)):
        judged = msgspec.structs.replace(first, enough=True, gain=-0.02, gain_low=-0.04, gain_high=-0.005, joint_high=joint)
        found = gates(store, msgspec.structs.replace(evaluation, slices=(judged, *others)), slices=("origin",))["slices"]
        assert found.passed is passed


def test_a_model_that_does_not_load_fails(store: ArtifactStore) -> None:
    package = package_model(store, fit(), PAST.columns, "late", example=RECENT.X)
    good = check_loadable(store, package)
    assert good.loadable and good.rows == 5 and good.largest_difference == 0
    bad = check_loadable(store, broken(store, package))
    assert not bad.loadable and not gates(store, evaluated(store, fit()), load=bad)["loadable"].passed


def broken(store: ArtifactStore, package: object) -> object:
    return msgspec.structs.replace(package, model=store.put_bytes(b"no model"))


def test_a_model_that_answers_otherwise_elsewhere_is_not_loadable(store: ArtifactStore) -> None:
    package = package_model(store, fit(), PAST.columns, "late", example=RECENT.X)
    shifted = msgspec.structs.replace(
        package,
        example=msgspec.structs.replace(package.example, answers=tuple((a[0] + 0.01,) for a in package.example.answers)),
    )
    found = check_loadable(store, shifted)
    assert not found.loadable and found.largest_difference == pytest.approx(0.01)


def test_a_projects_own_gates_are_asked_for_its_models(store: ArtifactStore) -> None:
    evaluation = evaluated(store, fit())
    own = [
        Gate("brier <= 0.001", name="sharp"),
        Gate(lambda found: found.metrics["recall"] > 0.1, name="recalls"),
        Gate(lambda found: (False, "Too few flights."), name="enough"),
        Gate(lambda found: np.bool_(True), name="numpy"),
        Gate(lambda found: False, name="elsewhere", model="other"),
    ]
    found = gates(store, evaluation, *own)
    assert [found[name].passed for name in ("sharp", "recalls", "enough", "numpy")] == [False, True, False, True]
    assert found["enough"].reason == "Too few flights." and "elsewhere" not in found
    assert all(found[name].kind == "custom" for name in ("sharp", "recalls"))


def test_a_gate_that_cannot_judge_says_where_it_stands(store: ArtifactStore) -> None:
    with pytest.raises(BadGate) as error:
        gates(store, evaluated(store, fit()), Gate(lambda found: "yes", name="vague"))  # type: ignore[arg-type, return-value]
    assert error.value.where is not None and error.value.where.split(":")[0].endswith("test_gates.py")
    with pytest.raises(ZeroDivisionError):
        gates(store, evaluated(store, fit()), Gate(lambda found: bool(1 / 0), name="broken"))
    with pytest.raises(BadCriterion):
        Gate("brier is small")
    with pytest.raises(BadGate):
        Gate(3)  # type: ignore[arg-type]


def test_two_gates_of_one_name_are_refused_before_a_version_is_registered(store: ArtifactStore) -> None:
    with pytest.raises(BadGate, match="built-in"):
        Gate("brier <= 0.2", name="loadable").spec()
    evaluation, twice = evaluated(store, fit()), parse_criterion("brier <= 0.9")
    with pytest.raises(BadGate, match="another gate"):
        gates(store, evaluation, Gate("brier <= 0.2", name="sharp"), Gate("brier <= 0.1", name="sharp"))
    found = run_gates(JudgeOrder("delay", evaluation, LOADS, (twice, parse_criterion("brier <= 0.90"))), store)
    assert [each.name for each in found].count("brier <= 0.9") == 1


def test_answers_in_the_millions_may_differ_in_their_last_digit(store: ArtifactStore) -> None:
    past = flights(500, 1, task="regression")
    model = DummyRegressor().fit(past.X, past.y + 3e6)
    package = package_model(store, model, past.columns, "late", "regression", example=past.X)
    for off, loadable in ((1e-8, True), (1.0, False)):
        answers = tuple((each[0] + off,) for each in package.example.answers)
        moved = msgspec.structs.replace(package, example=msgspec.structs.replace(package.example, answers=answers))
        assert moved.example.answers != package.example.answers
        assert check_loadable(store, moved).loadable is loadable


def test_a_gate_is_described_without_running_it() -> None:
    gate = Gate("brier <= 0.2", model="delay")
    gate.bind("sharp")
    assert (gate.spec().name, gate.spec().model, gate.spec().criterion) == ("sharp", "delay", "brier <= 0.2")
