"""A small project with a model, for tests at the user's face."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

START = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 1500
TOML = """\
[project]
name = "shop"
definitions = "shop"

[charter]
problem = "Will a visitor buy?"
task = "classification"
success = ["roc_auc >= 0.5"]
owner = "ana"
data = ["visits: one row for each visit"]

[environments.test]
deploy = "automatic"
"""
SHOP = """\
import bucle
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier


@bucle.source("data/visits/*.parquet", key="visit", timestamp="came_at", known_at={"paid": "left_at"})
def visits(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


city = bucle.Entity("city", key="city")
busy = bucle.aggregates(city, source=visits, at="came_at", window="2h", seen=("visit", "count"))
examples = bucle.TrainingSet(spine=visits, columns=["city", "pages", "sure"], features=[],
                             label=bucle.Label("buys", pl.col("paid") > 80, matures="1h"))


@bucle.step
def fit(frame: bucle.TrainingFrame) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(max_iter=5, random_state=frame.seed).fit(frame.X, frame.y)


@bucle.pipeline(model="buys")
def train():
    past, recent = examples.split(window="20d", holdout="5d")
    return bucle.evaluate(fit(past), recent)


buys = bucle.Service("buys", model="buys", key="visit")
"""


def visits_table() -> pl.DataFrame:
    """A visit every half hour; what was paid, known when the visitor leaves, follows from the pages seen."""
    number = pl.col("n")
    came_at = (pl.lit(START) + number * pl.duration(minutes=30)).dt.cast_time_unit("us")
    return pl.DataFrame({"n": range(ROWS)}).select(
        visit="v" + number.cast(pl.String),
        came_at=came_at,
        left_at=came_at + pl.duration(minutes=20),
        city=pl.when(number % 3 == 0).then(pl.lit("Rome")).otherwise(pl.lit("Oslo")),
        pages=number * 7 % 23,
        sure=number % 2 == 0,
        paid=number * 7 % 23 * 3 + number * 7919 % 101,
    )


def write_shop(root: Path) -> None:
    """Write the project and its data."""
    (root / "data" / "visits").mkdir(parents=True)
    visits_table().write_parquet(root / "data" / "visits" / "1.parquet")
    (root / "bucle.toml").write_text(TOML)
    (root / "shop.py").write_text(SHOP)
