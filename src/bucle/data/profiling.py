"""Profiles of Polars frames. Runs in children only."""

from collections.abc import Sequence

import polars as pl
from polars import selectors as cs

from bucle.data.profiles import BINS, ColumnProfile, Profile

_SAMPLE = 200_000
"""Rows that fix the quantiles of a reference; least and largest are of all rows."""


def profile_frame(
    frame: pl.DataFrame | pl.LazyFrame, reference: Profile | None = None, columns: Sequence[str] | None = None
) -> Profile:
    """Return the profile of a frame, on the bins of `reference` or on bins by its own quantiles.

    With a reference its columns are counted, one that the frame lacks as all null; without one all of the frame's
    (or `columns`) but lists, structs and binary, which have no distribution.
    """
    table = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    if reference is not None:
        missing = [name for name in reference.columns if name not in table.columns]
        table = table.with_columns(pl.lit(None).alias(name) for name in missing)
        profiled = {name: _count(table[name], like) for name, like in reference.columns.items()}
        return Profile(table.height, profiled)
    chosen = table.select(list(columns) if columns is not None else cs.all())
    chosen = chosen.select(~(cs.list() | cs.array() | cs.struct() | cs.binary() | cs.object()))
    return Profile(table.height, {name: _count(chosen[name], _bins(chosen[name])) for name in chosen.columns})


def _bins(column: pl.Series) -> ColumnProfile:
    """The bins that a column's own values give."""
    numbers = as_numbers(column)
    if numbers is None:
        frequent = as_categories(column).drop_nulls().value_counts(sort=True).head(BINS)
        return ColumnProfile("category", counts=(0,) * frequent.height, categories=tuple(frequent.to_series(0)))
    finite = numbers.filter(numbers.is_finite())
    if finite.is_empty():
        return ColumnProfile("number", counts=(0,))
    step = max(finite.len() // _SAMPLE, 1)
    ordered = finite.gather_every(step).sort()
    inner = ordered.gather([ordered.len() * position // BINS for position in range(1, BINS)])
    lowest, highest = _float(finite.min()), _float(finite.max())
    edges = tuple(edge for edge in inner.unique(maintain_order=True) if lowest < edge)
    return ColumnProfile("number", counts=(0,) * (len(edges) + 1), edges=edges, lowest=lowest, highest=highest)


def _count(column: pl.Series, like: ColumnProfile) -> ColumnProfile:
    numbers = as_numbers(column) if like.kind == "number" else None
    if numbers is not None:
        return _count_numbers(numbers, like)
    if like.kind == "number":  # a text where numbers were: nothing of it is a number
        return ColumnProfile("number", (0,) * len(like.counts), column.len(), 0, like.edges, (), like.lowest, like.highest)
    texts = as_categories(column)
    found = dict(texts.drop_nulls().value_counts().rows())
    counts = tuple(found.pop(category, 0) for category in like.categories)
    return ColumnProfile("category", counts, texts.null_count(), sum(found.values()), categories=like.categories)


def _count_numbers(numbers: pl.Series, like: ColumnProfile) -> ColumnProfile:
    finite = numbers.filter(numbers.is_finite())
    inside = finite.filter(finite.is_between(like.lowest, like.highest))
    edges = pl.Series(like.edges, dtype=pl.Float64)
    counts = [0] * len(like.counts)
    positions = edges.search_sorted(inside, side="right") if inside.len() else pl.Series([], dtype=pl.UInt32)
    for position, count in positions.value_counts().rows():
        counts[position] = count
    return ColumnProfile(
        kind="number",
        counts=tuple(counts),
        nulls=numbers.len() - finite.len(),
        unseen=finite.len() - inside.len(),
        edges=like.edges,
        lowest=like.lowest,
        highest=like.highest,
        total=_float(finite.sum()),
        squares=_float((finite * finite).sum()),
        least=_float(finite.min()) if finite.len() else None,
        most=_float(finite.max()) if finite.len() else None,
    )


def as_numbers(column: pl.Series) -> pl.Series | None:
    """Return the column as floats (moments in microseconds since 1970), None if it is one of categories."""
    kind = column.dtype
    if kind.is_numeric():
        return column.cast(pl.Float64)
    if isinstance(kind, pl.Datetime) or kind == pl.Date:
        return column.cast(pl.Datetime("us")).to_physical().cast(pl.Float64)
    if isinstance(kind, pl.Duration) or kind == pl.Time:
        return column.to_physical().cast(pl.Float64)
    return None


def as_categories(column: pl.Series) -> pl.Series:
    """Return the column as texts."""
    return column.cast(pl.String)


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
