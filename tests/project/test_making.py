"""A new project appears whole or not at all, and says what its table is."""

import ast
import os
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import polars as pl
import pytest

from bucle.errors import BucleError
from bucle.project import TableRequest, create_from_table, create_project, load_project_file, template_names
from bucle.project.errors import (
    BadName,
    DirectoryTaken,
    TemplateNeeds,
    UnfitColumn,
    UnknownColumn,
    UnknownTemplate,
    UnreadableTable,
)


def lock(root: Path) -> None:
    (root / "requirements.lock").write_text("# a lock\n")


def committed(root: Path) -> set[str]:
    listed = subprocess.run(
        ["git", "-C", root, "ls-tree", "-r", "--name-only", "HEAD"], capture_output=True, text=True, check=True, timeout=120
    )
    return set(listed.stdout.split())


def test_the_templates_are_known() -> None:
    assert template_names() == ["blank", "flights"]


def test_a_blank_project_is_whole_and_committed(tmp_path: Path) -> None:
    made = create_project(tmp_path / "My Project", "blank", lock=lock)
    root = made.file.root
    assert (made.file.name, made.file.definitions) == ("my-project", "my_project")
    assert committed(root) >= {
        ".gitignore", "bucle.toml", "requirements.in", "requirements.lock", "my_project/__init__.py",
        "tests/test_definitions.py", "docs/decisions/0001-architecture.md", "schemas/README.md",
    }  # fmt: skip
    status = subprocess.run(
        ["git", "-C", root, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=120
    )
    assert status.stdout == ""
    unfilled = re.compile(r"(?<!\$)\{\{")  # `${{` is the CI's
    assert not [name for name in committed(root) if unfilled.search((root / name).read_text("utf-8"))]
    assert [path.name for path in tmp_path.iterdir()] == ["My Project"]


def test_a_commit_is_made_also_where_git_knows_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, os.devnull if name == "GIT_CONFIG_GLOBAL" else str(tmp_path))
    assert len(create_project(tmp_path / "new", "blank", lock=lock).commit) == 40


@pytest.mark.parametrize("name", ["", "9lives", "UPPER", "a/b", "..", "a" * 64])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadName):
        create_project(tmp_path / "new", "blank", lock=lock, name=name)


def test_what_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(root: Path) -> None:
        raise OSError("no index")

    with pytest.raises(OSError, match="no index"):
        create_project(tmp_path / "new", "blank", lock=fail)
    with pytest.raises(UnknownTemplate, match="flihgts") as caught:
        create_project(tmp_path / "new", "flihgts", lock=lock)
    assert "flights" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for taken in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        with pytest.raises(DirectoryTaken):
            create_project(taken, "blank", lock=lock, name="x")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    create_project(tmp_path / "empty", "blank", lock=lock)


def test_a_template_whose_data_is_not_installed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("bucle.project.flights_data.distribution", absent)
    with pytest.raises(TemplateNeeds) as caught:
        create_project(tmp_path / "new", "flights", lock=lock)
    assert "bucle[demo]" in caught.value.next_step
    assert list(tmp_path.iterdir()) == []


def test_a_git_that_refuses_is_told(tmp_path: Path) -> None:
    def spoil(root: Path) -> None:
        (root / ".git").write_text("gitdir: /nowhere\n")

    with pytest.raises(BucleError) as caught:
        create_project(tmp_path / "new", "blank", lock=spoil)
    assert caught.value.code in ("project/git-failed", "project/not-a-repository")
    assert list(tmp_path.iterdir()) == []


def table(rows: int = 200) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "order_id": [f"o{number}" for number in range(rows)],
            "ordered_at": pl.datetime_range(datetime(2024, 1, 1), datetime(2024, 4, 1), eager=True, closed="left").head(0)
            if rows == 0
            else pl.Series([datetime(2024, 1, 1 + number % 28, number % 24) for number in range(rows)]),
            "amount": [float(number % 17) for number in range(rows)],
            "country": [("ES", "FR", "IT")[number % 3] for number in range(rows)],
            "remark": [f"text {number}" if number else None for number in range(rows)],
            "unknown": [None] * rows,
            "late": [number % 5 == 0 for number in range(rows)],
        }
    )


def made_from(tmp_path: Path, frame: pl.DataFrame, label: str, name: str = "orders.parquet", **given: str) -> tuple[str, Path]:
    file = tmp_path / name
    frame.write_parquet(file) if file.suffix == ".parquet" else frame.write_csv(file)
    made = create_from_table(tmp_path / "project", TableRequest(file, label, **given), lock=lock)
    return (made.file.root / made.file.definitions / "__init__.py").read_text(), made.file.root


def declared(code: str, call: str) -> ast.Call:
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and ast.unparse(node.func) == call]
    return calls[0]


def keyword(call: ast.Call, name: str) -> str:
    return ast.unparse(next(each.value for each in call.keywords if each.arg == name))


@pytest.mark.parametrize("name", ["orders.parquet", "orders.csv"])
def test_the_parts_of_columns_are_inferred(tmp_path: Path, name: str) -> None:
    code, root = made_from(tmp_path, table(), "late", name)
    source = declared(code, "bucle.source")
    assert (keyword(source, "key"), keyword(source, "timestamp")) == ("'order_id'", "'ordered_at'")
    training_set = declared(code, "bucle.TrainingSet")
    assert keyword(training_set, "columns") == "['amount', 'country']"
    assert "left out: remark, unknown" in code
    assert "HistGradientBoostingClassifier" in code
    file = load_project_file(root)
    assert (file.charter.task, str(file.charter.success[0])) == ("classification", "roc_auc >= 0.6")
    assert pl.read_parquet(root / "data/orders/*.parquet").height == 200
    assert not [path for path in committed(root) if path.startswith("data/")]


def test_a_number_is_a_regression(tmp_path: Path) -> None:
    code, root = made_from(tmp_path, table().with_columns(amount=pl.col("amount") + 0.25), "amount")
    assert "HistGradientBoostingRegressor" in code
    assert load_project_file(root).charter.task == "regression"
    assert "'late'" in keyword(declared(code, "bucle.TrainingSet"), "columns")


@pytest.mark.parametrize(
    ("values", "expression", "expected"),
    [
        (["yes", "no", "no"], "pl.col('x y') == 'yes'", [True, False, False]),
        (["b", "a", "c"], "pl.col('x y').replace_strict({'a': 0, 'b': 1, 'c': 2}, return_dtype=pl.Int64)", [1, 0, 2]),
        ([1, 0, 1], "pl.col('x y')", [1, 0, 1]),
        ([1.0, 0.0, 0.0], "pl.col('x y')", [1.0, 0.0, 0.0]),
    ],
)
def test_a_label_of_any_kind_becomes_numbers(
    tmp_path: Path, values: list[object], expression: str, expected: list[object]
) -> None:
    frame = pl.DataFrame({"x y": values * 20, "size": range(60)})
    code, root = made_from(tmp_path, frame, "x y")
    label = declared(code, "bucle.Label")
    assert ast.unparse(label.args[1]) == expression
    assert load_project_file(root).charter.task == "classification"
    found = frame.head(3).select(label=eval(ast.unparse(label.args[1]), {"pl": pl}))  # noqa: S307
    assert found["label"].to_list() == expected


def test_rows_without_a_moment_or_key_are_shuffled_numbered_and_come_one_a_minute(tmp_path: Path) -> None:
    frame = pl.DataFrame({"kind": ["a"] * 50 + ["b"] * 50, "size": [number / 3 for number in range(100)]})
    code, root = made_from(tmp_path, frame, "kind", "Petals (1).csv")
    rows = pl.read_parquet(root / "data/petals_1/petals_1.parquet")
    assert rows["row_id"].to_list() == list(range(100))
    assert rows["row_at"].diff().drop_nulls().unique().to_list() == [pl.Series([60_000_000]).cast(pl.Duration("us"))[0]]
    assert rows["row_at"].max() <= datetime.now(UTC)  # type: ignore[operator]
    assert len(set(rows["kind"].tail(20))) == 2
    assert "The table says no moments" in code
    assert declared(code, "bucle.source").args[0].value == "data/petals_1/*.parquet"  # type: ignore[attr-defined]


def test_names_that_would_break_the_code_are_changed(tmp_path: Path) -> None:
    frame = table().rename({"amount": 'quo"te', "country": "brace}"})
    code, _ = made_from(tmp_path, frame, "late", "class.parquet")
    compile(code, "made", "exec")
    assert "def class_rows(raw" in code
    assert """'quo"te', 'brace}'""" in keyword(declared(code, "bucle.TrainingSet"), "columns")


@pytest.mark.parametrize(
    ("label", "given", "kind", "said"),
    [
        ("lat", {}, UnknownColumn, "late"),
        ("late", {"time": "orderd_at"}, UnknownColumn, "ordered_at"),
        ("late", {"time": "amount"}, UnfitColumn, "not dates"),
        ("late", {"key": "country"}, UnfitColumn, "different"),
        ("unknown", {}, UnfitColumn, "fewer than two values"),
        ("remark", {}, UnfitColumn, "at most 20 classes"),
    ],
)
def test_a_column_that_cannot_play_its_part_is_refused(
    tmp_path: Path, label: str, given: dict[str, str], kind: type[BucleError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        made_from(tmp_path, table(), label, **given)
    assert said in caught.value.text + caught.value.next_step
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize(
    ("name", "content"), [("a.parquet", b"PAR1 broken"), ("a.csv", b""), ("a.csv", b"a,b\n"), ("a.csv", b"a\n1\n")]
)
def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableTable):
        create_from_table(tmp_path / "project", TableRequest(tmp_path / name, "a"), lock=lock)
    with pytest.raises(UnreadableTable):
        create_from_table(tmp_path / "project", TableRequest(tmp_path / "absent.csv", "a"), lock=lock)
