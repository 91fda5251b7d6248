"""Chapter 5: for three days the weather feed writes wind in another unit. The demo writes other source files, nothing else."""

from pathlib import Path

from bucle.ledger import parse_instant

FAULTY_DAYS = (parse_instant("2013-04-08T00:00:00Z"), parse_instant("2013-04-11T00:00:00Z"))
"""From 8 April until before 11 April, UTC."""

KILOMETRES_OF_A_MILE = 1.609344


def spoil_weather(data: Path) -> int:
    """Write the wind of the faulty days in km/h, where miles an hour are meant; return how many rows that were."""
    import polars as pl

    file = data / "weather" / f"{FAULTY_DAYS[0]:%Y-%m}.parquet"
    rows = pl.read_parquet(file)
    faulty = pl.col("observed_at").is_between(*FAULTY_DAYS, closed="left")
    wind = pl.when(faulty).then(pl.col("wind_speed") * KILOMETRES_OF_A_MILE).otherwise(pl.col("wind_speed"))
    rows.with_columns(wind.alias("wind_speed")).write_parquet(file)
    return int(rows.select(faulty.sum()).item())
