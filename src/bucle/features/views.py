"""Feature views: how features come from a source, declared once for training and serving."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import msgspec

from bucle.features.entities import Entity
from bucle.features.errors import BadDefinition
from bucle.ledger import parse_duration
from bucle.project import Definition, code_closure, digest_of

if TYPE_CHECKING:
    import polars as pl

Aggregation = Literal["count", "mean", "sum", "min", "max"]
Compute = Callable[["pl.LazyFrame"], "pl.LazyFrame"]


class AggregateSpec(msgspec.Struct, frozen=True):
    """One windowed feature: its name, the column that it aggregates, and how."""

    name: str
    column: str
    how: Aggregation


class ViewSpec(msgspec.Struct, frozen=True):
    """A feature view as data: all that serving needs to read it, without the project's code.

    `on` maps a key of the view to the column of the spine, or the request, that holds it; names of features then begin with
    `prefix`. `digest` names the rules: the code of the function, the window, the ttl (K-7).
    """

    name: str
    entity: str
    keys: tuple[str, ...]
    source: str
    digest: str
    ttl_us: int | None = None
    window_us: int | None = None
    at: str | None = None
    aggregates: tuple[AggregateSpec, ...] = ()
    on: dict[str, str] = {}
    prefix: str = ""
    doc: str = ""
    file: str = ""
    line: int = 0

    @property
    def spine_keys(self) -> tuple[str, ...]:
        """The columns of the spine or the request that hold the key."""
        return tuple(self.on.get(key, key) for key in self.keys)


class View(Definition):
    """Base of both kinds of view: by a function over rows, and by aggregates over a window."""

    kind: ClassVar[str] = "view"
    entity: Entity
    source: "Definition | str"

    @property
    def source_name(self) -> str:
        """The name of the source that the view reads."""
        return self.source if isinstance(self.source, str) else self.source.required_name()

    def spec(self) -> ViewSpec:
        """Return the view as data."""
        raise TypeError(type(self).__name__)

    def on(self, **roles: str) -> "RoleView":
        """Let the view describe another column: `weather_now.on(origin="dest")` gives dest_wind_speed and so on.

        Raises `features/bad-definition` for what is no key of the view's entity.
        """
        unknown = [role for role in roles if role not in self.entity.keys]
        if unknown or not roles:
            raise BadDefinition(
                definition=f"The view {self.name!r}",
                reason=f"on() maps the keys {', '.join(self.entity.keys)} to columns, not {', '.join(unknown) or 'nothing'}",
            )
        return RoleView(self, roles)


@dataclass(frozen=True)
class RoleView:
    """A view in another role of its entity; made by `View.on`."""

    view: View
    roles: Mapping[str, str]

    @property
    def name(self) -> str:
        """The view's name in this role."""
        return "_".join([*self.roles.values(), self.view.name])

    def spec(self) -> ViewSpec:
        """Return the view as data, with its role."""
        prefix = "_".join(self.roles.values()) + "_"
        return msgspec.structs.replace(self.view.spec(), on=dict(self.roles), prefix=prefix)


@dataclass(frozen=True, eq=False)
class FeatureView(View):
    """Features by a function over a source's rows; made by `@bucle.features`. Calling it calls the function."""

    entity: Entity
    source: "Definition | str"
    compute: Compute
    ttl: timedelta | None = None
    name: str = ""

    def __call__(self, rows: "pl.LazyFrame") -> "pl.LazyFrame":
        """Return what the function makes of `rows`."""
        return self.compute(rows)

    @property
    def __wrapped__(self) -> Compute:
        return self.compute

    def spec(self) -> ViewSpec:
        """Return the view as data; its digest covers the function and all code that it reaches."""
        rules = (code_closure(self.compute).digest, self.source_name, self.entity.keys, _microseconds(self.ttl))
        return ViewSpec(
            name=self.required_name(),
            entity=self.entity.required_name(),
            keys=self.entity.keys,
            source=self.source_name,
            digest=digest_of(("view", *rules)),
            ttl_us=_microseconds(self.ttl),
            doc=(self.compute.__doc__ or "").strip(),
            file=self.file,
            line=self.line,
        )


@dataclass(frozen=True, eq=False)
class AggregateView(View):
    """Features by aggregates over a window that ends at the row's moment; made by `bucle.aggregates`."""

    entity: Entity
    source: "Definition | str"
    at: str
    window: timedelta
    columns: Mapping[str, tuple[str, Aggregation]] = field(default_factory=dict)
    name: str = ""

    def spec(self) -> ViewSpec:
        """Return the view as data."""
        features = tuple(AggregateSpec(name, column, how) for name, (column, how) in self.columns.items())
        window_us = _microseconds(self.window)
        named = [(each.name, each.column, each.how) for each in features]
        return ViewSpec(
            name=self.required_name(),
            entity=self.entity.required_name(),
            keys=self.entity.keys,
            source=self.source_name,
            digest=digest_of(("aggregates", self.source_name, self.entity.keys, self.at, window_us, named)),
            window_us=window_us,
            at=self.at,
            aggregates=features,
            file=self.file,
            line=self.line,
        )


def features(
    entity: Entity, *, source: "Definition | str", ttl: str | timedelta | None = None, name: str = ""
) -> Callable[[Compute], FeatureView]:
    """Declare a feature view: the decorated function gets a source's rows (a LazyFrame) and returns columns.

    Each row that the function returns is what was known of the entity from the row's timestamp on, until a newer row; `ttl`
    ("3h") bounds its age, none or zero means for ever. Key and timestamp are carried along, the function need not return them.
    It must treat each row on its own; for windows there is `aggregates`. Source: point-in-time rules in docs/features.md.
    Raises `features/bad-definition`, `ledger/bad-duration`.
    """
    _check(entity, name)
    limit = parse_duration(ttl) if ttl is not None else None

    def declare(compute: Compute) -> FeatureView:
        view = FeatureView(entity, source, compute, limit, name or compute.__name__)
        view.declare_at(compute)
        return view

    return declare


def aggregates(
    entity: Entity,
    *,
    source: "Definition | str",
    at: str,
    window: str | timedelta,
    name: str = "",
    **columns: tuple[str, Aggregation],
) -> AggregateView:
    """Declare aggregates over the window (t - `window`, t] of the moments in column `at`: `feature=("column", "mean")`.

    Known are "count" (of values that are there), "mean", "sum", "min", "max"; a window without values gives count 0 and else
    null. What was not known yet at t does not count (`known_at`, created), nor do values that are not finite.
    Raises `features/bad-definition`, `ledger/bad-duration`.
    """
    _check(entity, name)
    length = parse_duration(window)
    problem = _aggregate_problem(columns, length)
    if problem:
        raise BadDefinition(definition=f"The aggregates over {at!r}", reason=problem)
    return AggregateView(entity, source, at, length, columns, name)


def _aggregate_problem(columns: Mapping[str, Any], window: timedelta) -> str | None:
    if window <= timedelta(0):
        return "the window must be longer than zero"
    if not columns:
        return 'give at least one feature, such as departures=("flight_id", "count")'
    for feature, definition in columns.items():
        if not (isinstance(definition, tuple) and len(definition) == 2 and all(isinstance(part, str) for part in definition)):
            return f'{feature} must be a pair such as ("dep_delay", "mean")'
        if definition[1] not in get_args(Aggregation):
            return f"{feature} asks for {definition[1]!r}; known are {', '.join(get_args(Aggregation))}"
    return None


def _check(entity: object, name: str) -> None:
    if not isinstance(entity, Entity):
        reason = f"the first argument must be a bucle.Entity, not {type(entity).__name__}"
        raise BadDefinition(definition=f"The view {name!r}" if name else "The view", reason=reason)


def _microseconds(duration: timedelta | None) -> int | None:
    return duration // timedelta(microseconds=1) if duration else None
