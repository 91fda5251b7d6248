"""How well one column tells another: rank statistics. Runs in children only."""

import polars as pl

_BINS = 64
_LEAST_CLASS = 30


def auc(values: pl.Series, outcome: pl.Series) -> float:
    """Return the probability that a positive row's value lies above a negative one's (ties count half), by ranks.

    Rows where either is null do not count; 0.5 when a class has fewer than 30 rows.
    """
    table = pl.DataFrame({"value": values, "outcome": outcome.cast(pl.Boolean)}).drop_nulls()
    positive = int(table["outcome"].sum())
    negative = table.height - positive
    if min(positive, negative) < _LEAST_CLASS:
        return 0.5
    rank_sum = float(table["value"].rank("average").filter(table["outcome"]).sum())
    return (rank_sum - positive * (positive + 1) / 2) / (positive * negative)


def spearman(values: pl.Series, others: pl.Series) -> float:
    """Return the rank correlation of two columns over the rows that both have; 0 for fewer than 30 or a constant."""
    table = pl.DataFrame({"a": values, "b": others}).drop_nulls()
    if table.height < _LEAST_CLASS or table["a"].n_unique() < 2 or table["b"].n_unique() < 2:
        return 0.0
    found = table.select(pl.corr(pl.col("a").rank("average"), pl.col("b").rank("average"))).item()
    return float(found) if isinstance(found, float) and found == found else 0.0


def telling(values: pl.Series, outcome: pl.Series) -> float:
    """Return how well a column of any type tells a yes or no, as an AUC from 0.5 to 1.

    Numbers are taken as they are, and as the mean outcome of 64 bins of them, which sees what is not monotone; categories as
    the mean outcome of each, if there are at least twenty rows for each; nulls as a value of their own.
    """
    best = _folded(auc(values.is_null().cast(pl.Int8), outcome))
    known = values.is_not_null()
    numbers = rankable(values)
    if numbers is not None:
        best = max(best, _folded(auc(numbers, outcome)))
        groups = (numbers.rank("dense").cast(pl.Int64) * _BINS // max(numbers.n_unique(), 1)).cast(pl.String)
    else:
        groups = values.cast(pl.String, strict=False)
    groups, outcome = groups.filter(known), outcome.filter(known)
    if groups.len() and groups.n_unique() * 20 <= groups.len():
        table = pl.DataFrame({"group": groups, "outcome": outcome.cast(pl.Float64)})
        means = table.select(pl.col("outcome").mean().over("group")).to_series()
        best = max(best, _folded(auc(means, outcome)))
    return best


def rankable(column: pl.Series) -> pl.Series | None:
    """Return the column as numbers that keep its order (moments and durations too), None for what has no order."""
    kind = column.dtype
    if kind.is_numeric():
        return column.cast(pl.Float64).fill_nan(None)
    if kind == pl.Boolean:
        return column.cast(pl.Float64)
    if kind.is_temporal():
        return column.to_physical().cast(pl.Float64)
    return None


def _folded(value: float) -> float:
    return max(value, 1 - value)
