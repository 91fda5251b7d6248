"""`bucle init DIR --data FILE --label COLUMN`, all the way: checked, trained, deployed, asked, judged, watched."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.live import bucle, up

ROWS = 1500
pytestmark = pytest.mark.slow


def churn() -> pl.DataFrame:
    """A label of two texts, categories with nulls, a key and a moment."""
    chance, began = random.Random(1), datetime(2024, 1, 1, tzinfo=UTC)
    rows: list[dict[str, Any]] = []
    for number in range(ROWS):
        calls, plan = chance.randrange(20), chance.choice(["basic", "plus", "pro"])
        leaves = (calls > 10) + (plan == "basic") + (chance.random() < 0.3) >= 2
        rows.append(
            {
                "customer": f"c{number}",
                "seen_at": began + timedelta(minutes=97 * number),
                "plan": plan,
                "region": chance.choice(["north", "south", None]),
                "calls": calls,
                "months": chance.random() * 40,
                "churned": "yes" if leaves else "no",
            }
        )
    return pl.DataFrame(rows)


def houses() -> pl.DataFrame:
    """A number to predict, without key and without moment."""
    table = churn()
    price = pl.col("calls") * 3 + pl.col("months") * 2 + pl.when(pl.col("plan") == "pro").then(30.0).otherwise(1.0)
    return table.select("plan", "region", "calls", "months", price=price)


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
        assert {each["outcome"] for each in checked["results"]} == {"passed"}, checked
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
