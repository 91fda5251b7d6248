"""Labels present: which rows of a source have a label, wait for one, or never got one (K-5). Runs in children only."""

from datetime import timedelta

import polars as pl

from bucle.data.instants import INSTANT
from bucle.data.reports import LabelMonth, LabelsPresent


def labels_present(
    rows: pl.DataFrame | pl.LazyFrame, label: str, value: pl.Expr, timestamp: str, matures: timedelta, as_of_us: int
) -> LabelsPresent:
    """Return how many rows of each month have a label at `as_of_us`; a row waits until `matures` after its timestamp."""
    mature = pl.lit(as_of_us, dtype=pl.Int64).cast(INSTANT) - pl.lit(matures)
    has = value.is_not_null()
    old = pl.col(timestamp) <= mature
    counted = (
        rows.lazy()
        .filter(pl.col(timestamp).is_not_null())
        .group_by(pl.col(timestamp).dt.strftime("%Y-%m").alias("month"))
        .agg(
            pl.len().alias("rows"),
            has.sum().alias("labelled"),
            (~has & ~old).sum().alias("pending"),
            (~has & old).sum().alias("never"),
        )
        .sort("month")
        .collect()
    )
    return LabelsPresent(label, tuple(LabelMonth(*row) for row in counted.iter_rows()))
