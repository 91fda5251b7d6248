"""The rows of a view: what its function or its window makes of a source, with keys, moments and what was known when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from bucle.errors import BucleError
from bucle.features.errors import BadDefinition, LostKeys, NotAFrame, UnknownColumn, ViewFailed
from bucle.features.instants import Unit, to_integers
from bucle.features.join import JoinView
from bucle.features.views import AggregateSpec, AggregateView, FeatureView, ViewSpec
from bucle.features.windows import LARGEST, Contributions
from bucle.project import suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT, CREATED, VISIBLE, ORDER = "__bucle_event", "__bucle_created", "__bucle_visible", "__bucle_order"
_KEY = "__bucle_key_"


class SourceFacts(Protocol):
    """What a view must know of its source; `data.SourceSpec` has it."""

    @property
    def name(self) -> str: ...
    @property
    def timestamp(self) -> str: ...
    @property
    def created(self) -> str | None: ...
    @property
    def known_at(self) -> "Mapping[str, str]": ...


@dataclass(frozen=True, slots=True)
class ViewRows:
    """A view's rows ready to be joined or stored: `keys`, EVENT, CREATED (null without one), VISIBLE, ORDER, then `features`.

    A source's row with columns that become known later stands here once for each such moment, as it was known then.
    """

    frame: pl.DataFrame
    keys: tuple[str, ...]
    features: tuple[str, ...]
    created: bool


class Rows(pl.LazyFrame):
    """A source's rows as a view's function sees them: a LazyFrame whose selections carry key and moments along, hidden."""

    def select(self, *exprs: Any, **named: Any) -> "Rows":
        """Select as a LazyFrame does, and keep what the view needs to know of each row."""
        chosen = super().select(*exprs, **named)
        kept = set(chosen.collect_schema().names())
        missing = [name for name in self.collect_schema().names() if name.startswith("__bucle_") and name not in kept]
        return super().select(*exprs, *missing, **named) if missing else chosen  # type: ignore[return-value]

    select_seq = select


def view_rows(view: FeatureView, spec: ViewSpec, rows: pl.LazyFrame, source: SourceFacts) -> ViewRows:
    """Return what the view's function makes of a source's rows.

    Raises `features/lost-keys`, `features/not-a-frame`, `features/unknown-column`, `features/view-failed`.
    """
    available = rows.collect_schema().names()
    require(
        available, [source.timestamp, *([source.created] if source.created else [])], f"The source {source.name!r}", view.where
    )
    known = _states(rows, source).with_columns(
        pl.col(source.timestamp).alias(EVENT),
        (pl.col(source.created) if source.created else pl.lit(None)).alias(CREATED),
        *(pl.col(key).alias(f"{_KEY}{key}") for key in spec.keys if key in available),
    )
    carried: Any = Rows._from_pyldf(known._ldf)
    returned = _computed(view, spec, carried, available)
    return _assembled(view, spec, returned, source)


def known_from(source: SourceFacts) -> dict[str, str]:
    """Return for each late column the one with the moment from which it is known; a moment is itself known when it has come."""
    return {moment: moment for moment in source.known_at.values()} | dict(source.known_at)


def view_key(key: str) -> str:
    """Return the column of `ViewRows.frame` that holds a key."""
    return f"{_KEY}{key}"


def join_view(spec: ViewSpec, rows: ViewRows) -> JoinView:
    """Return the view's rows as the join takes them, features renamed for the view's role."""
    names = {feature: f"{spec.prefix}{feature}" for feature in rows.features}
    return JoinView(
        name="_".join([*spec.on.values(), spec.name]),
        rows=rows.frame.rename(names) if spec.prefix else rows.frame,
        keys=tuple(f"{_KEY}{key}" for key in rows.keys),
        features=tuple(names.values()),
        timestamp=EVENT,
        created=CREATED if rows.created else None,
        ttl=timedelta(microseconds=spec.ttl_us) if spec.ttl_us else None,
        on={f"{_KEY}{key}": spec.on.get(key, key) for key in rows.keys},
        visible=VISIBLE,
    )


def contributions(
    view: AggregateView, spec: ViewSpec, feature: AggregateSpec, rows: pl.DataFrame, source: SourceFacts, unit: Unit = "us"
) -> Contributions:
    """Return when each value of the feature's column counts: once it, its moment and its key are known, while in the window.

    Raises `features/unknown-column`, `features/bad-definition`.
    """
    late = known_from(source)
    bounds = [str(spec.at), source.timestamp, *([source.created] if source.created else [])]
    bounds += [late[column] for column in (feature.column, str(spec.at), *spec.keys) if column in late]
    require(rows.columns, [feature.column, *spec.keys, *bounds], f"The view {spec.name!r}", view.where)
    moments = [to_integers(rows[bound], unit) for bound in dict.fromkeys(bounds)]
    known = pl.select(pl.all_horizontal(*(moment.is_not_null() for moment in moments))).to_series()
    enter = pl.select(pl.when(known).then(pl.max_horizontal(*moments))).to_series()
    length = (spec.window_us or 0) * (1000 if unit == "ns" else 1)
    value = _value(rows[feature.column], feature, view)
    return Contributions(tuple(rows[key] for key in spec.keys), enter, moments[0] + length, value)


def require(available: Sequence[str], columns: Sequence[str], definition: str, where: str, source: str = "the source") -> None:
    """Raise `features/unknown-column` for the first column that is not there."""
    for column in columns:
        if column not in available:
            raise UnknownColumn(
                definition=definition, column=column, source=source, hint=suggest(column, available), where=where
            )


def _value(column: pl.Series, feature: AggregateSpec, view: AggregateView) -> pl.Series:
    if feature.how == "count":
        return pl.select(pl.when(column.is_not_null()).then(pl.lit(1.0))).to_series()
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        reason = f"{feature.name} is the {feature.how} of {column.name!r}, which has type {column.dtype}"
        raise BadDefinition(definition=f"The view {view.name!r}", reason=reason, where=view.where)
    number = column.cast(pl.Float64)
    return pl.select(pl.when(number.is_finite() & (number.abs() <= LARGEST)).then(number)).to_series()


def _states(rows: pl.LazyFrame, source: SourceFacts) -> pl.LazyFrame:
    """Return each row as it was known at its own moment, and again for each later moment that made a column known (R3)."""
    rows = rows.with_row_index(ORDER).with_columns(pl.col(source.timestamp).alias(VISIBLE))
    available = rows.collect_schema().names()
    moments = {column: moment for column, moment in known_from(source).items() if {column, moment} <= set(available)}
    if not moments:
        return rows
    later = [
        rows.filter(pl.col(moment) > pl.col(VISIBLE)).with_columns(
            pl.col(moment).cast(rows.collect_schema()[VISIBLE]).alias(VISIBLE)
        )
        for moment in dict.fromkeys(moments.values())
    ]
    states = pl.concat([rows, *later]).unique(subset=[ORDER, VISIBLE], keep="first").sort(ORDER, VISIBLE)
    return states.with_columns(
        pl.when(pl.col(moment) <= pl.col(VISIBLE)).then(pl.col(column)).alias(column) for column, moment in moments.items()
    )


def _computed(view: FeatureView, spec: ViewSpec, rows: Rows, available: Sequence[str]) -> pl.DataFrame:
    try:
        returned = view.compute(rows)
        if not isinstance(returned, pl.LazyFrame | pl.DataFrame):
            raise NotAFrame(view=spec.name, kind=type(returned).__name__, where=view.where)
        return returned.lazy().collect()
    except pl.exceptions.ColumnNotFoundError as error:
        column = str(error).split("\n")[0].split('"')[1] if '"' in str(error).split("\n")[0] else str(error).split("\n")[0]
        missing = UnknownColumn(
            definition=f"The view {spec.name!r}",
            column=column,
            source=f"the source {spec.source!r}",
            hint=suggest(column, available),
            where=view.where,
        )
        raise missing from error
    except pl.exceptions.PolarsError as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise ViewFailed(definition=f"The view {spec.name!r}", reason=reason, where=view.where) from error
    except BucleError as error:
        error.where = error.where or view.where
        raise


def _assembled(view: FeatureView, spec: ViewSpec, returned: pl.DataFrame, source: SourceFacts) -> ViewRows:
    """Take keys and timestamp from what was returned, else from what was carried along."""
    columns = returned.columns
    keys = {key: key if key in columns else f"{_KEY}{key}" for key in spec.keys}
    event = source.timestamp if source.timestamp in columns else EVENT
    lost = [key for key, column in keys.items() if column not in columns] + ([source.timestamp] if event not in columns else [])
    if VISIBLE not in columns and source.known_at:
        lost += [moment for moment in dict.fromkeys(source.known_at.values()) if moment not in lost]
    if lost:
        raise LostKeys(view=spec.name, columns=", ".join(lost), where=view.where)
    own = {*spec.keys, source.timestamp, source.created}
    features = tuple(name for name in columns if name not in own and not name.startswith("__bucle_"))
    if ORDER in columns:
        returned = returned.sort(ORDER, VISIBLE, maintain_order=True)
    created = CREATED if CREATED in columns else source.created if source.created in columns else None
    frame = returned.select(
        *(pl.col(column).alias(f"{_KEY}{key}") for key, column in keys.items()),
        pl.col(event).alias(EVENT),
        (pl.col(created) if created else pl.lit(None, pl.Datetime("us", "UTC"))).alias(CREATED),
        pl.col(VISIBLE if VISIBLE in columns else event).alias(VISIBLE),
        pl.col(ORDER) if ORDER in columns else pl.int_range(pl.len()).alias(ORDER),
        *features,
    )
    return ViewRows(frame, spec.keys, features, created is not None and source.created is not None)
