"""Leaks: columns that know what cannot be known yet, under any name. Runs in children only.

Three ways to find one: what the declaration says (`declared_leaks`), what changes in the cleaned rows when a late raw column is
shuffled (`provenance_leaks`), and what tells the label too well to be honest (`telling_leaks`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import polars as pl

from bucle.data.errors import CleaningFailed
from bucle.data.ranks import rankable, spearman, telling
from bucle.data.reports import Finding
from bucle.data.sources import SourceSpec

TOO_TELLING = 0.995
"""An area under the curve that no honest column reaches alone."""
TOO_ALIKE = 0.999
"""A rank correlation that no honest column has with a number that is to be predicted."""

ROW = "__bucle_row"
_ROUNDS = 2
_TOO_EARLY_SHARE = 0.01
Rules = Callable[[pl.LazyFrame], pl.DataFrame]


def declared_leaks(spec: SourceSpec, columns: Iterable[str], user: str, where: str | None) -> list[Finding]:
    """Return a finding for each of a spine's columns that becomes known only after the row's own moment.

    `user` and `where` say which definition asks for the columns, and its file and line.
    """
    return [
        Finding(
            "leak",
            name,
            "schema",
            f"{user} uses {name!r} of {spec.name}, which is known only at {spec.moments[name]!r}, later than the row itself.",
            where=where,
        )
        for name in columns
        if name in spec.moments and spec.moments[name] != spec.timestamp
    ]


def provenance_leaks(spec: SourceSpec, raw: pl.DataFrame, rules: Rules, *, numbered: bool = True) -> list[Finding]:
    """Shuffle each late raw column, clean again, and name the cleaned columns that change without being declared late.

    A raw column is late if it equals a declared late column or moment, or has the same order up to sign: copies, shifts and
    negations under other names are late too. `rules` cleans raw rows and makes moments instants; with `numbered` they see one
    more column, by which rows are found again. Raises what `rules` raises for the rows as they are.
    """
    raw = raw.with_row_index(ROW) if numbered else raw
    cleaned = rules(raw.lazy())
    late = _late_columns(spec, raw, cleaned)
    findings: dict[str, Finding] = {}
    for name, (origin, moment) in late.items():
        for changed in _changed(spec, raw, cleaned, name, rules):
            if changed == "":
                message = f"Which rows of {spec.name} exist depends on {name!r}, known only at {moment!r}: future rows lack it."
                findings.setdefault("", Finding("selection", name, "value", message, where=spec.where))
            elif _undeclared(spec, cleaned, changed, origin):
                findings.setdefault(changed, _provenance(spec, changed, name, moment))
    return list(findings.values())


def telling_leaks(
    frame: pl.DataFrame, columns: Sequence[str], outcome: pl.Series, label: str, where: Mapping[str, str] | str | None
) -> list[Finding]:
    """Return a finding for each column that alone predicts the outcome almost perfectly, or equals it.

    For a yes or no: an area under the curve of at least 0.995, also by categories, bins or missing values. For a number: a
    rank correlation of at least 0.999. Rows without an outcome do not count.
    """
    known = outcome.is_not_null()
    outcome, frame = outcome.filter(known), frame.filter(known)
    findings = []
    for name in columns:
        strength = _strength(frame[name], outcome)
        if strength is not None:
            place = where if isinstance(where, str) or where is None else where.get(name)
            message = f"The column {name!r} tells the label {label!r} too well to be known before it ({strength})."
            findings.append(Finding("leak", name, "schema", message, frame.height, place))
    return findings


def _strength(column: pl.Series, outcome: pl.Series) -> str | None:
    distinct = outcome.n_unique()
    if distinct < 2:
        return None
    if distinct == 2 and rankable(outcome) is not None:
        strength = telling(column, outcome.cast(pl.Float64) > float(outcome.cast(pl.Float64).mean()))  # type: ignore[arg-type]
        return f"area under the curve {strength:.4f}" if strength >= TOO_TELLING else None
    numbers, target = rankable(column), rankable(outcome)
    if numbers is not None and target is not None:
        strength = abs(spearman(numbers, target))
        return f"rank correlation {strength:.4f}" if strength >= TOO_ALIKE else None
    if column.dtype == outcome.dtype and bool((column == outcome).all()):
        return "it equals it"
    return None


def _late_columns(spec: SourceSpec, raw: pl.DataFrame, cleaned: pl.DataFrame) -> dict[str, tuple[str, str]]:
    """Late raw columns: which declared late column each stands for, and the moment from which that is known."""
    aligned = _pair(spec, raw, cleaned)
    late: dict[str, tuple[str, str]] = {}
    for column, moment in _really_late(spec, cleaned).items():
        for name in raw.columns:
            if name != ROW and name not in late and _same_information(aligned, name, column, f"clean:{spec.timestamp}"):
                late[name] = (column, moment)
    return late


def _really_late(spec: SourceSpec, cleaned: pl.DataFrame) -> dict[str, str]:
    """Declared late columns and their moments, without moments that were planned: a constant distance after the row's own."""
    late = {name: moment for name, moment in spec.moments.items() if moment != spec.timestamp and name in cleaned.columns}
    for moment in set(spec.known_at.values()):
        if late.get(moment) == moment and cleaned[moment].null_count() == 0:
            distance = cleaned[moment] - cleaned[spec.timestamp]
            if distance.n_unique() <= 1:
                del late[moment]
    return late


def _pair(spec: SourceSpec, raw: pl.DataFrame, cleaned: pl.DataFrame) -> pl.DataFrame:
    """Raw columns beside the cleaned columns of the same row; empty when nothing says which row is which."""
    renamed = cleaned.rename({name: f"clean:{name}" for name in cleaned.columns})
    if ROW in cleaned.columns:
        return raw.join(renamed, left_on=ROW, right_on=f"clean:{ROW}", how="inner")
    if spec.key and all(name in raw.columns for name in spec.key) and raw.select(spec.key).is_unique().all():
        keys = [f"clean:{name}" for name in spec.key]
        if all(raw.schema[name] == cleaned.schema[name] for name in spec.key):
            return raw.join(renamed, left_on=list(spec.key), right_on=keys, how="inner")
    return pl.concat([raw, renamed], how="horizontal") if raw.height == cleaned.height else raw.head(0)


def _same_information(aligned: pl.DataFrame, name: str, column: str, own: str) -> bool:
    other = f"clean:{column}"
    if other not in aligned.columns or aligned.is_empty() or aligned[name].n_unique() < 3:
        return False
    one, two = aligned[name], aligned[other]
    if one.dtype.is_temporal() and two.dtype.is_temporal():  # over a year any two moments of a row are in the same order
        one, two = _distance(one, aligned[own]), _distance(two, aligned[own])
        if one.n_unique() < 3 or two.n_unique() < 3:
            return bool(one.eq_missing(two).all())
    numbers, others = rankable(one), rankable(two)
    if numbers is not None and others is not None:
        nulls_agree = bool((numbers.is_null() == others.is_null()).mean() >= 0.99)  # type: ignore[operator]
        return nulls_agree and abs(spearman(numbers, others)) >= TOO_ALIKE
    texts = one.cast(pl.String, strict=False), two.cast(pl.String, strict=False)
    if one.dtype == pl.String and two.dtype.is_temporal():
        return one.null_count() == two.null_count() and one.n_unique() == two.n_unique() and _same_order(one, two)
    return bool(texts[0].eq_missing(texts[1]).all())


def _distance(moments: pl.Series, own: pl.Series) -> pl.Series:
    """How long after the row's own moment, in microseconds."""
    instant = pl.Datetime("us")
    return moments.cast(instant).to_physical() - own.cast(instant).to_physical()


def _same_order(texts: pl.Series, moments: pl.Series) -> bool:
    """Whether ISO texts sort as the moments do."""
    return abs(spearman(texts.rank("dense").cast(pl.Float64), moments.to_physical().cast(pl.Float64))) >= TOO_ALIKE


def _changed(spec: SourceSpec, raw: pl.DataFrame, cleaned: pl.DataFrame, name: str, rules: Rules) -> Iterator[str]:
    """Yield the cleaned columns that differ once the raw column is shuffled; "" when there are other rows."""
    found: set[str] = set()
    for seed in range(_ROUNDS):
        shuffled = raw.with_columns(raw[name].sample(fraction=1, shuffle=True, seed=seed).alias(name))
        try:
            again = rules(shuffled.lazy())
        except CleaningFailed:  # they check what they are given: nothing to be learnt from values in disorder
            continue
        before, after = _aligned(spec, cleaned, again)
        if before.height < max(cleaned.height, again.height):
            found.add("")
        found |= {
            column
            for column in before.columns
            if column in after.columns and column != ROW and _differs(before[column], after[column])
        }
    yield from sorted(found)


def _aligned(spec: SourceSpec, before: pl.DataFrame, after: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows that both have, in one order: by hidden number, else by key, else by place when there are as many."""
    by: list[str] = []
    if ROW in before.columns and ROW in after.columns:
        by = [ROW]
    elif spec.key and before.select(spec.key).is_unique().all() and after.select(spec.key).is_unique().all():
        by = list(spec.key)
    if by:
        shared = before.select(by).join(after.select(by), on=by, how="inner").unique().sort(by)
        return shared.join(before, on=by, how="left", maintain_order="left"), shared.join(
            after, on=by, how="left", maintain_order="left"
        )
    return (before, after) if before.height == after.height else (before.head(0), after.head(0))


def _differs(one: pl.Series, two: pl.Series) -> bool:
    if one.dtype != two.dtype:
        return True
    if one.dtype.is_nested():
        return one.to_list() != two.to_list()
    return not bool(one.eq_missing(two).all())


def _undeclared(spec: SourceSpec, cleaned: pl.DataFrame, column: str, origin: str) -> bool:
    """Whether a column that depends on a late one is not said to be late, or is said to be known before it."""
    moment = spec.moments.get(column)
    if moment is None:
        return True
    known_from = spec.moments[origin]
    if moment == known_from:
        return False
    early = (cleaned[moment] < cleaned[known_from]).mean()
    return isinstance(early, float) and early > _TOO_EARLY_SHARE and column != origin


def _provenance(spec: SourceSpec, column: str, raw: str, moment: str) -> Finding:
    declared = spec.moments.get(column)
    rest = f"it is declared to be known at {declared!r}" if declared else "it is not declared in known_at"
    message = f"The column {column!r} of {spec.name} comes from {raw!r}, which is known only at {moment!r}, but {rest}."
    return Finding("leak", column, "schema", message, where=spec.where)
