"""The weeks after the deployment: hour by hour the clock moves, departing flights are predicted, landed flights send labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bucle.client import Client
from bucle.ledger import format_instant

if TYPE_CHECKING:
    import polars as pl

HOUR = timedelta(hours=1)
BATCH = 500


@dataclass(frozen=True, slots=True)
class Hour:
    """What the world does in an hour: the flights that will depart in it, and those that have landed since the hour before."""

    begins: datetime
    departing: list[dict[str, Any]]
    landed: list[dict[str, Any]]


def hours(data: Path, since: datetime, until: datetime) -> Iterator[Hour]:
    """Yield each hour from `since` to `until`. Only flights of that span are followed; a cancelled one never lands."""
    import polars as pl

    flights = pl.scan_parquet(data / "flights" / "*.parquet")
    span = flights.filter(pl.col("scheduled_at") >= since, pl.col("scheduled_at") < until).collect()
    departing = _by_hour(span, "scheduled_at", ["flight_id", "carrier", "origin", "distance", "hour"])
    lands = pl.max_horizontal(pl.col("arrived_at"), pl.col("scheduled_at"))
    landing = span.filter(pl.col("arr_delay").is_not_null()).with_columns(lands_at=lands)
    landed = _by_hour(landing, "lands_at", ["flight_id", "arr_delay", "lands_at"])
    begins = since
    while begins < until:
        yield Hour(begins, departing.get(begins, []), landed.get(begins - HOUR, []))
        begins += HOUR


def predict(client: Client, hour: Hour) -> int:
    """Ask the service for the flights that depart in this hour, in batches; return how many were asked for."""
    for start in range(0, len(hour.departing), BATCH):
        rows = hour.departing[start : start + BATCH]
        key = f"demo-predict-{format_instant(hour.begins)}-{start}"
        client.predict("delay", rows, environment="production", key=key)
    return len(hour.departing)


def send_labels(client: Client, hour: Hour) -> int:
    """Send the labels of the flights that landed in the hour before; return how many."""
    for start in range(0, len(hour.landed), BATCH):
        labels = [
            {"key": row["flight_id"], "value": row["arr_delay"] > 15, "observed_at": format_instant(row["lands_at"])}
            for row in hour.landed[start : start + BATCH]
        ]
        key = f"demo-labels-{format_instant(hour.begins)}-{start}"
        client.send_labels("delay", labels, environment="production", key=key)
    return len(hour.landed)


def _by_hour(frame: "pl.DataFrame", moment: str, columns: list[str]) -> dict[datetime, list[dict[str, Any]]]:
    import polars as pl

    grouped = frame.sort(moment).group_by(pl.col(moment).dt.truncate("1h"), maintain_order=True)
    return {hour: rows.select(columns).to_dicts() for (hour,), rows in grouped}
