"""Flights of two airports, and the bucle.toml of the small project about them that tests of several rooms make."""

import datetime as dt
import random

import polars as pl

START = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
TOML = """
[project]
name = "air"
definitions = "air"
[charter]
problem = "p"
task = "classification"
success = ["roc_auc >= 0.6"]
owner = "o"
data = ["flights: rows"]
[environments.test]
deploy = "automatic"
"""


def flights_table(days: int = 20, seed: int = 0) -> pl.DataFrame:
    """Flights of two airports, one or two an hour; each fifteenth is cancelled and never departs."""
    chance = random.Random(seed)
    rows = []
    for number in range(days * 36):
        scheduled = START + dt.timedelta(minutes=40 * number)
        delay = round(chance.gauss(12, 25))
        cancelled = number % 15 == 7
        departed = scheduled + dt.timedelta(minutes=delay)
        rows.append(
            {
                "flight_id": f"f{number}",
                "scheduled_at": scheduled,
                "departed_at": None if cancelled else departed,
                "arrived_at": None if cancelled else departed + dt.timedelta(hours=3),
                "origin": chance.choice(["JFK", "LGA"]),
                "carrier": chance.choice(["AA", "B6", None]),
                "distance": chance.randrange(100, 3000),
                "dep_delay": None if cancelled else delay,
                "arr_delay": None if cancelled else delay + chance.randrange(-10, 11),
            }
        )
    moments = {name: pl.Datetime("us", "UTC") for name in ("scheduled_at", "departed_at", "arrived_at")}
    return pl.DataFrame(rows, schema_overrides=moments)
