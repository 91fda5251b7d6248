"""Chapters 5 and 7: the weather feed changes its ways. The demo writes other source files, nothing else."""

from pathlib import Path

from bucle.ledger import parse_instant

FAULTY_DAYS = (parse_instant("2013-04-08T00:00:00Z"), parse_instant("2013-04-11T00:00:00Z"))
"""From 8 April until before 11 April, UTC, wind comes in km/h where miles an hour are meant."""

NO_GUSTS_FROM = parse_instant("2013-05-15T12:00:00Z")
"""Until then an hour without a gust repeats the wind's speed; from then on the gust is left out, as the stations do."""

KILOMETRES_OF_A_MILE = 1.609344


def spoil_weather(data: Path) -> int:
    """Write the weather as that feed does; return how many rows have their wind in another unit."""
    import polars as pl

    spoiled = 0
    observed = pl.col("observed_at")
    faulty = observed.is_between(*FAULTY_DAYS, closed="left")
    wind = pl.when(faulty).then(pl.col("wind_speed") * KILOMETRES_OF_A_MILE).otherwise(pl.col("wind_speed"))
    gust = pl.when(observed < NO_GUSTS_FROM).then(pl.coalesce("wind_gust", "wind_speed")).otherwise(pl.col("wind_gust"))
    for file in sorted((data / "weather").glob("*.parquet")):
        rows = pl.read_parquet(file)
        rows.with_columns(wind.alias("wind_speed"), gust.alias("wind_gust")).write_parquet(file)
        spoiled += int(rows.select(faulty.sum()).item())
    return spoiled
