"""Tables of one's own, for `bucle init --data`."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

ROWS = 1500


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
