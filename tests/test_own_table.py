"""`bucle init DIR --data FILE --label COLUMN`, all the way: checked, trained, deployed, asked, judged, watched."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.live import bucle, up
from tests.tables import churn, houses

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["classification from CSV", "regression from Parquet"])
def test_a_table_of_ones_own_goes_all_the_way(tmp_path: Path, kind: str) -> None:
    regression = kind.startswith("regression")
    table, file = (houses(), tmp_path / "houses.parquet") if regression else (churn(), tmp_path / "churn.csv")
    table.write_parquet(file) if regression else table.write_csv(file)
    label, root = ("price", tmp_path / "houses") if regression else ("churned", tmp_path / "churn")
    more = [] if regression else ["--time", "seen_at", "--key", "customer"]
    made = bucle("init", root, "--data", file, "--label", label, *more, "--json")
    assert made.returncode == 0, made.stderr

    def command(*words: object) -> Any:
        done = bucle(*words, "--json", cwd=root)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with up(root / ".bucle"):
        checked = command("check")
        unlike = [(each["name"], each["outcome"]) for each in checked["results"] if each["outcome"] != "passed"]
        assert unlike == [("replay", "skipped")], checked  # no prediction is recorded yet
        assert command("run", "train")["status"] == "done"
        (model,) = command("models")
        assert (model["name"], model["newest"]) == (label, 1)
        assert command("promote", f"{label}@1", "dev")["state"] == "done"
        asked = table.head(40).with_row_index("row_id") if regression else table.head(40)
        asked.write_csv(tmp_path / "rows.csv")
        answer = command("predict", label, "--rows", tmp_path / "rows.csv")
        assert len(answer["predictions"]) == 40 and answer["kind"] == ("value" if regression else "probability")
        value = pl.col("price") if regression else pl.col("churned") == "yes"
        labels = asked.select(key=pl.col("row_id" if regression else "customer"), value=value)
        labels.write_csv(tmp_path / "labels.csv")
        assert command("labels", "send", tmp_path / "labels.csv")["recorded"] == 40
        guessed = pl.Series([each["prediction"] for each in answer["predictions"]])
        truth = labels["value"].cast(pl.Float64)
        assert (guessed - truth).pow(2).mean() < 0.7 * (truth - truth.mean()).pow(2).mean()  # type: ignore[operator]
        watched = command("monitor", label)
        assert watched["model"] == label and watched["verdict"] in ("ok", "insufficient data"), watched
        if command("clock")["kind"] == "replay":
            command("clock", "advance", "25h")
            assert command("monitor", label)["loss"]["labelled"] == 40
