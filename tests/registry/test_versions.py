"""Versions are numbered per project and model, rest on evidence, and keep what was said about them."""

import os
import subprocess
import sys

import msgspec
import pytest
from sklearn.linear_model import LogisticRegression
from tests.registry.conftest import flights

from bucle.artifacts import ArtifactStore, collect_garbage
from bucle.ledger import EventFilter, Home, Ledger, Scope, acting, within
from bucle.registry import (
    Evaluation,
    GateResult,
    ModelVersion,
    Package,
    VersionDraft,
    alias_history,
    evaluate_model,
    find_version,
    get_version,
    keep_evaluation,
    list_models,
    list_versions,
    package_model,
    production_version,
    register_version,
    remove_alias,
    retire_version,
    set_alias,
    set_stage,
    version_of_id,
    waive_gate,
)
from bucle.registry.errors import (
    BadAlias,
    BadReference,
    BadWaiver,
    RetiredVersion,
    UnknownGate,
    UnknownModel,
    UnknownVersion,
)
from bucle.tracking import RunStart, begin_run

PASSED = GateResult("roc_auc >= 0.5", "criterion", True, {"value": 0.8}, "It does.")
FAILED = GateResult("better_than_production", "production", False, {"gain": -0.1}, "It is worse.")


@pytest.fixture
def package(store: ArtifactStore) -> Package:
    frame = flights(200)
    model = LogisticRegression().fit(frame.X[:, 1:], frame.y)
    return package_model(store, model, frame.columns[1:], "late", example=frame.X[:, 1:])


@pytest.fixture
def evaluation(store: ArtifactStore) -> Evaluation:
    frame = flights(200)
    model = LogisticRegression().fit(frame.X[:, 1:], frame.y)
    return keep_evaluation(store, evaluate_model(model, frame, columns=frame.columns[1:], store=store))


@pytest.fixture
def draft(package: Package, evaluation: Evaluation) -> VersionDraft:
    return VersionDraft("delay", package, evaluation=evaluation, gates=(PASSED,), commit="c0ffee", lock="blake3:10c4")


def register(ledger: Ledger, draft: VersionDraft, **changes: object) -> ModelVersion:
    with ledger.write() as tx:
        return register_version(tx, msgspec.structs.replace(draft, **changes))


def seqs(ledger: Ledger, kind: str) -> list[int]:
    return [event.seq for event in ledger.events(EventFilter(kinds=(kind,)))]


def test_a_version_rests_on_its_gates(ledger: Ledger, draft: VersionDraft) -> None:
    with ledger.write() as tx:
        run = begin_run(tx, RunStart("train", kind="pipeline"))
    version = register(ledger, draft, gates=(PASSED, FAILED), run=run)
    registered = ledger.event(version.event)
    assert list(registered.caused_by) == seqs(ledger, "registry.gate_judged") and len(registered.caused_by) == 2
    assert (registered.data["passed"], registered.data["failed"]) == (False, ["better_than_production"])
    assert not version.passed and [gate.name for gate in version.failed] == ["better_than_production"]
    assert version.gates[0].evidence == {"value": 0.8} and version.evidence == (version.event, *registered.caused_by)
    assert {event.data["run"] for event in ledger.events(EventFilter(kinds=("registry.gate_judged",)))} == {run}


def test_versions_count_up_for_each_model_and_project_apart(ledger: Ledger, draft: VersionDraft) -> None:
    assert [register(ledger, draft).version for _ in range(3)] == [1, 2, 3]
    assert register(ledger, draft, model="other").version == 1
    with within(Scope("houses", "test")):
        assert register(ledger, draft).version == 1
    with ledger.read() as reader:
        assert [each.name for each in list_versions(reader, "flights", "delay")] == ["delay@3", "delay@2", "delay@1"]
        assert [(each.name, each.versions) for each in list_models(reader, "flights")] == [("delay", 3), ("other", 1)]


def test_a_version_gives_back_what_it_was_made_of(ledger: Ledger, draft: VersionDraft) -> None:
    version = register(ledger, draft)
    assert (version.package, version.evaluation, version.commit) == (draft.package, draft.evaluation, "c0ffee")
    assert version.signature.inputs[0].view == "weather_now" and version.signature.output == "probability"
    assert (version.actor, version.stage, version.previous) == ("ana", "registered", None)


def test_a_version_is_found_by_number_alias_stage_id_or_as_the_latest(ledger: Ledger, draft: VersionDraft) -> None:
    first, second = register(ledger, draft), register(ledger, draft)
    with ledger.write() as tx:
        set_alias(tx, first.id, "champion")
        set_stage(tx, first.id, "staging")
    with ledger.read() as reader:
        for text in ("delay@1", "delay@champion", "delay@staging", first.id):
            assert find_version(reader, "flights", text).id == first.id
        for text in ("delay", "delay@latest", "delay@2"):
            assert find_version(reader, "flights", text).id == second.id
        assert get_version(reader, "flights", "delay", 1).aliases == ("champion",)
        for text, error in (
            ("delay@9", UnknownVersion),
            ("delay@nobody", UnknownVersion),
            ("dely@1", UnknownModel),
            ("mv_unknown", UnknownVersion),
            ("delay@", BadReference),
            ("../etc", BadReference),
            ("delay@" + "9" * 30, UnknownVersion),
        ):
            with pytest.raises(error):
                find_version(reader, "flights", text)
        with pytest.raises(UnknownVersion):
            find_version(reader, "houses", first.id)


def test_a_version_names_the_one_that_it_may_follow(ledger: Ledger, draft: VersionDraft) -> None:
    first, second = register(ledger, draft), register(ledger, draft)
    assert second.previous == first.id
    with ledger.write() as tx:
        set_stage(tx, first.id, "production")
    assert register(ledger, draft).previous == first.id


def test_without_an_evaluation_a_version_does_not_pass(ledger: Ledger, draft: VersionDraft) -> None:
    version = register(ledger, draft, evaluation=None, gates=())
    assert [gate.name for gate in version.failed] == ["evaluated"]
    assert not register(ledger, draft, gates=()).passed


def test_lineage_leads_from_a_version_to_run_package_and_code(ledger: Ledger, draft: VersionDraft) -> None:
    with ledger.write() as tx:
        run = begin_run(tx, RunStart("train", commit="c0ffee"))
    version = register(ledger, draft, run=run)
    sources = {edge.source for edge in ledger.lineage(version.id)}
    assert {run, draft.package.model, draft.evaluation.id, "commit:c0ffee", "lock:blake3:10c4"} <= sources  # type: ignore[union-attr]


def test_the_garbage_collector_keeps_what_a_version_is_made_of(
    home: Home, ledger: Ledger, store: ArtifactStore, draft: VersionDraft
) -> None:
    version = register(ledger, draft)
    collect_garbage(home, grace=0)
    assert all(store.exists(id) for id in (version.package.id, version.package.model, draft.evaluation.losses))  # type: ignore[union-attr]


def test_a_waiver_is_a_persons_event_and_the_verdict_stays(ledger: Ledger, draft: VersionDraft) -> None:
    version = register(ledger, draft, gates=(PASSED, FAILED))
    with ledger.write() as tx:
        waived = waive_gate(tx, version.id, FAILED.name, "The metric is known to be wrong in May.")
    gate = waived.gates[1]
    assert waived.passed and not gate.passed and gate.waiver is not None
    assert (gate.waiver.actor, gate.waiver.role) == ("ana", "ml_engineer")
    event = ledger.event(gate.waiver.event)
    assert event.caused_by == (gate.event, version.event) or set(event.caused_by) == {gate.event, version.event}
    assert gate.waiver.event in waived.evidence


@pytest.mark.parametrize(
    ("actor", "role", "gate", "reason", "error"),
    [
        ("ana", "ml_engineer", "no_such_gate", "a good enough reason", UnknownGate),
        ("ana", "ml_engineer", PASSED.name, "a good enough reason", BadWaiver),
        ("ana", "ml_engineer", FAILED.name, "  short   ", BadWaiver),
        ("system", "system", FAILED.name, "a good enough reason", BadWaiver),
        ("subscription:triggers", "owner", FAILED.name, "a good enough reason", BadWaiver),
    ],
)
def test_a_waiver_needs_a_failed_gate_a_person_and_a_reason(
    ledger: Ledger, draft: VersionDraft, actor: str, role: str, gate: str, reason: str, error: type[Exception]
) -> None:
    version = register(ledger, draft, gates=(PASSED, FAILED))
    with pytest.raises(error), acting(actor, role), ledger.write() as tx:
        waive_gate(tx, version.id, gate, reason)
    with ledger.read() as reader:
        assert not version_of_id(reader, version.id).passed


def test_an_alias_remembers_what_it_pointed_to(ledger: Ledger, draft: VersionDraft) -> None:
    first, second = register(ledger, draft), register(ledger, draft)
    with ledger.write() as tx:
        set_alias(tx, first.id, "champion")
    with acting("ben", "owner"), ledger.write() as tx:
        set_alias(tx, second.id, "champion")
        set_alias(tx, second.id, "champion")
    with ledger.write() as tx:
        remove_alias(tx, "flights", "delay", "champion")
    with ledger.read() as reader:
        history = alias_history(reader, "flights", "delay", "champion")
        assert [(each.version, each.actor) for each in history] == [(None, "ana"), (second.id, "ben"), (first.id, "ana")]
        with pytest.raises(UnknownVersion):
            get_version(reader, "flights", "delay", "champion")
    with pytest.raises(UnknownVersion), ledger.write() as tx:
        remove_alias(tx, "flights", "delay", "champion")


@pytest.mark.parametrize("alias", ["latest", "production", "staging", "mv_1", "7", "Champion", "a b", "", "x" * 61, "../x"])
def test_what_cannot_be_an_alias_is_refused(ledger: Ledger, draft: VersionDraft, alias: str) -> None:
    version = register(ledger, draft)
    with pytest.raises(BadAlias), ledger.write() as tx:
        set_alias(tx, version.id, alias)


def test_one_version_is_in_production_and_the_one_before_is_archived(ledger: Ledger, draft: VersionDraft) -> None:
    first, second = register(ledger, draft), register(ledger, draft)
    with ledger.write() as tx:
        assert set_stage(tx, first.id, "production") is not None
        moved = set_stage(tx, second.id, "production")
        assert set_stage(tx, second.id, "production") is None
    with ledger.read() as reader:
        assert version_of_id(reader, first.id).stage == "archived"
        current = production_version(reader, "flights", "delay")
        assert current is not None and current.id == second.id
        assert production_version(reader, "flights", "other") is None
    archived = ledger.events(EventFilter(kinds=("registry.stage_changed",), subject=first.id))[-1]
    assert moved in archived.caused_by and (archived.data["before"], archived.data["after"]) == ("production", "archived")


def test_a_retired_version_is_kept_and_not_used(ledger: Ledger, draft: VersionDraft) -> None:
    version = register(ledger, draft)
    with ledger.write() as tx:
        retire_version(tx, version.id, "It learned from labels of the future.")
    with ledger.read() as reader:
        assert find_version(reader, "flights", "delay@1").stage == "archived"
        assert find_version(reader, "flights", "delay@1").retired == "It learned from labels of the future."
        for reference in ("delay@1", version.id):
            with pytest.raises(RetiredVersion):
                find_version(reader, "flights", reference, usable=True)
    for change in (
        lambda tx: retire_version(tx, version.id, "again"),
        lambda tx: set_alias(tx, version.id, "champion"),
        lambda tx: set_stage(tx, version.id, "production"),
    ):
        with pytest.raises(RetiredVersion), ledger.write() as tx:
            change(tx)


def test_a_signature_says_what_a_caller_would_have_to_change(package: Package) -> None:
    signature = package.signature
    assert signature.difference(signature) == []
    wind, distance = signature.inputs
    other = msgspec.structs.replace(signature, inputs=(msgspec.structs.replace(wind, dtype="int"),), label="later")
    assert signature.difference(other) == ["distance is gone", "wind was float, is int", "the answer changed"]
    assert other.difference(signature)[0] == "distance is new"
    assert distance.name == "distance"


def test_the_registry_of_a_server_needs_no_numbers() -> None:
    heavy = "numpy", "sklearn", "polars", "skops"
    program = f"import sys, bucle.registry, bucle.tracking; print([each for each in {heavy} if each in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_a_version_that_is_retired_leaves_production_by_an_event(ledger: Ledger, draft: VersionDraft) -> None:
    version = register(ledger, draft)
    with ledger.write() as tx:
        set_stage(tx, version.id, "production")
        retire_version(tx, version.id, "It learned from labels of the future.")
    moves = [
        (each.data["before"], each.data["after"]) for each in ledger.events(EventFilter(kinds=("registry.stage_changed",)))
    ]
    assert moves == [("registered", "production"), ("production", "archived")]


def test_the_id_of_another_models_version_names_none_of_this_one(ledger: Ledger, draft: VersionDraft) -> None:
    register(ledger, draft)
    other = register(ledger, draft, model="arrival")
    with ledger.read() as reader:
        assert get_version(reader, "flights", "arrival", other.id).id == other.id
        with pytest.raises(UnknownVersion):
            get_version(reader, "flights", "delay", other.id)
