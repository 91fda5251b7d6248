"""The command line and the routes show versions, waive, label and retire, for those who may."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression
from tests.registry.conftest import flights

import bucle
from bucle.artifacts import ArtifactStore
from bucle.cli import root
from bucle.cli.session import Session
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Home, Scope, acting, within
from bucle.registry import (
    GateResult,
    VersionDraft,
    evaluate_model,
    find_version,
    keep_evaluation,
    load_model,
    package_model,
    register_version,
)

REASON = "The metric is known to be wrong in May."


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A home with delay@1, which passed, and delay@2, which failed a gate, in the environment test."""
    home = Home.open(tmp_path / "place")
    store, frame = ArtifactStore(home.folder("artifacts")), flights(200)
    inputs = frame.columns[1:]
    model = LogisticRegression().fit(frame.X[:, 1:], frame.y)
    package = package_model(store, model, inputs, "late")
    evaluation = keep_evaluation(store, evaluate_model(model, frame, columns=inputs, store=store))
    passed = GateResult("slices", "slices", True, {}, "None is worse.")
    failed = GateResult("better_than_production", "production", False, {"gain": -0.1}, "It is worse.")
    with acting("ana", "ml_engineer"), within(Scope("flights", "test")), home.ledger.write() as tx:
        for gates in ((passed,), (passed, failed)):
            register_version(tx, VersionDraft("delay", package, evaluation=evaluation, gates=gates))
    home.close()
    yield home.path


def run(place: Path, *arguments: str, code: int = 0) -> str:
    session = Session()
    done = CliRunner().invoke(root, [*arguments, "--home", str(place), "--project", "flights"], obj=session)
    session.close()
    assert (done.exit_code, isinstance(done.exception, BucleError | RemoteError)) == (code, code == 1), done.output
    return done.output


def test_models_and_versions_are_listed_and_shown(place: Path) -> None:
    assert "delay" in run(place, "models")
    assert "failed: better_than_production" in run(place, "models", "list", "delay")
    shown = run(place, "models", "show", "delay@2")
    assert "failed  better_than_production: It is worse." in shown and "LogisticRegression" in shown
    document = json.loads(run(place, "models", "show", "delay", "--json"))
    assert (document["row"]["name"], document["row"]["passed"], len(document["gates"])) == ("delay@2", False, 2)


def test_a_waiver_lets_a_version_pass_in_a_persons_name(place: Path) -> None:
    assert "waived  better_than_production" in run(
        place, "models", "waive", "delay@2", "better_than_production", "--reason", REASON
    )
    assert json.loads(run(place, "models", "show", "delay@2", "--json"))["row"]["passed"]
    run(place, "models", "waive", "delay@2", "better_than_production", "--reason", REASON, code=1)
    run(place, "models", "waive", "delay@2", "no_such_gate", "--reason", REASON, code=1)


def test_the_reason_of_a_gate_is_read_in_the_reader_s_language(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.open(place)
    with acting("ana", "ml_engineer"), within(Scope("flights", "test")), home.ledger.write() as tx:
        package = find_version(tx, "flights", "delay@1").package
        register_version(tx, VersionDraft("delay", package))
    home.close()
    assert "It was registered without an evaluation." in run(place, "models", "show", "delay@3")
    monkeypatch.setenv("BUCLE_LANG", "es")
    assert "Se registró sin evaluación." in run(place, "models", "show", "delay@3")
    assert "It is worse." in run(place, "models", "show", "delay@2"), "as it was written"


def test_an_alias_is_set_moved_removed_and_remembered(place: Path) -> None:
    run(place, "models", "alias", "delay@1", "champion")
    run(place, "models", "alias", "delay@2", "champion")
    assert json.loads(run(place, "models", "show", "delay@champion", "--json"))["row"]["version"] == 2
    run(place, "models", "alias", "delay", "champion", "--remove")
    run(place, "models", "show", "delay@champion", code=1)
    assert len(json.loads(run(place, "models", "history", "delay@champion", "--json"))) == 3


def test_a_retired_version_says_why(place: Path) -> None:
    assert "retired: Leaked labels." in run(place, "models", "retire", "delay@1", "--reason", "Leaked labels.")
    run(place, "models", "alias", "delay@1", "champion", code=1)


def test_the_package_can_be_downloaded(place: Path) -> None:
    with bucle.connect(home=place, project="flights") as client:
        data = client.get(client.path("models", "delay", "versions", "1", "package"), returns=bytes)
    assert type(load_model(data)).__name__ == "LogisticRegression"


def test_a_waiver_needs_the_permission_where_the_version_lives(place: Path) -> None:
    from bucle.identity import create_token

    home = Home.open(place)
    tokens = [
        create_token(home.ledger, name, role, "flights", environment).secret
        for name, role, environment in (
            ("sci", "data_scientist", "*"),
            ("dev", "ml_engineer", "dev"),
            ("eng", "ml_engineer", "test"),
        )
    ]
    home.close()
    body = {"gate": "better_than_production", "reason": REASON}
    for token, environment, allowed in (
        (tokens[0], "test", False),
        (tokens[1], "dev", False),
        (tokens[1], "test", False),
        (tokens[2], "test", True),
    ):
        with bucle.connect(token=token, home=place, project="flights") as client:
            path = client.path("models", "delay", "versions", "2", "waivers")
            if allowed:
                waiver = client.post(path, body, {"environment": environment})["gates"][1]["waiver"]
                assert (waiver["actor"], waiver["role"]) == ("eng", "ml_engineer")
            else:
                with pytest.raises((BucleError, RemoteError)) as error:
                    client.post(path, body, {"environment": environment})
                assert error.value.code.startswith("identity/")  # type: ignore[union-attr]


def test_another_projects_version_is_unknown(place: Path) -> None:
    with bucle.connect(home=place, project="houses") as client:
        assert client.get(client.path("models")) == []
        for path in (("models", "delay"), ("models", "delay", "versions", "1")):
            with pytest.raises((BucleError, RemoteError)) as error:
                client.get(client.path(*path))
            assert error.value.code == "registry/unknown-model"  # type: ignore[union-attr]
