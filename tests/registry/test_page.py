"""What docs/registry.md and docs/tracking.md show runs as it is written, and the child's entry point in a real child."""

import re
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from tests.registry.conftest import flights

import bucle
from bucle.artifacts import ArtifactStore
from bucle.project import working_tree
from bucle.registry import LoadOrder, LoadReport, package_model
from bucle.runtimes import RunnerPool, current_runtime

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def run(source: str, **names: object) -> None:
    exec(compile(source, "docs", "exec"), names)  # noqa: S102 (our own page)


def test_the_registrys_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    package, gates = blocks("registry.md")
    run(package)
    printed = capsys.readouterr().out
    assert "probability" in printed and "[1]" in printed and "It loads" in printed
    run(gates, bucle=bucle)


def test_trackings_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCLE_HOME", str(tmp_path / "home"))
    (tmp_path / "bucle.toml").write_text('[project]\nname = "flights"\ndefinitions = "flights"\n', "utf-8")
    (tmp_path / "flights.py").write_text('"""Flights."""\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    run(blocks("tracking.md")[1])
    with bucle.connect() as client:
        runs = client.get(client.path("runs"))
    assert {(row["run"]["name"], row["run"]["status"]) for row in runs} == {("try", "succeeded"), ("inner", "succeeded")}


def test_a_package_is_loaded_in_a_child_of_its_own(tmp_path: Path, store: ArtifactStore) -> None:
    (tmp_path / "bucle.toml").write_text('[project]\nname = "flights"\ndefinitions = "flights"\n', "utf-8")
    (tmp_path / "flights.py").write_text('"""Flights."""\n', "utf-8")
    frame = flights(200)
    model = LogisticRegression().fit(frame.X[:, 1:], frame.y)
    package = package_model(store, model, frame.columns[1:], "late", example=frame.X[:, 1:])
    pool = RunnerPool(1, artifacts=store.root, logs=tmp_path)
    try:
        with pool.lend(current_runtime(), working_tree(tmp_path)) as runner:
            report = runner.call("bucle.registry.bundles:check_loadable_in_child", LoadOrder(package.id), LoadReport)
    finally:
        pool.close()
    assert report.loadable and report.rows == 5
