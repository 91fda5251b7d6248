"""Reading features for serving: all views of a model in one call, as of a moment. Pure Python, no frame anywhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, cast

import msgspec

from bucle.features import store
from bucle.features.errors import BadKey, BadKeyValue, BehindTheClock, NotMaterialized, TooFarBack
from bucle.features.keys import encode_key
from bucle.features.online.protocol import OnlineRow
from bucle.features.online.sqlite import SQLiteOnlineStore
from bucle.features.online.windows import WindowState, window_margin
from bucle.features.views import ViewSpec
from bucle.ledger import Ledger, Reader, Scope, format_instant, from_us, to_us


class HeldRow(msgspec.Struct, frozen=True, array_like=True):
    """The content of a row of a view by function: since when it is known, and its values by name."""

    known_us: int
    values: dict[str, object]


class Readable(NamedTuple):
    """What a view gives online, and up to when it was made readable."""

    names: list[str]
    until_us: int


_TWO_HOURS_US = 7_200_000_000
_held = msgspec.msgpack.Decoder(HeldRow)


def read_online(
    ledger: Ledger, scope: Scope, views: Sequence[ViewSpec], entity_values: Mapping[str, object], as_of: datetime
) -> dict[str, object]:
    """Return every feature of the views for one entity row (column to value), as of a moment.

    Equal to the offline join at that moment, if the views are materialized up to it: an expired or absent row gives null, a
    window without values count 0. Raises `features/not-materialized`, `features/too-far-back`, and `features/bad-key` or
    `features/bad-key-value` with the field.
    """
    return read_online_rows(ledger, scope, views, [entity_values], as_of)[0]


def read_online_rows(
    ledger: Ledger, scope: Scope, views: Sequence[ViewSpec], rows: Sequence[Mapping[str, object]], as_of: datetime
) -> list[dict[str, object]]:
    """Return the features of many rows, in their order; see `read_online`. One query for each view and 500 entities."""
    at_us = to_us(as_of)
    results: list[dict[str, object]] = [{} for _ in rows]
    with ledger.read() as reader:
        held = _materialized(reader, scope)
        online = SQLiteOnlineStore(reader, scope)
        for view in views:
            readable = held.get((view.name, view.digest))
            if readable is None:
                raise NotMaterialized(view=view.name, definition=view.digest[:12], environment=scope.environment)
            _read_view(online, view, readable, rows, at_us, results)
    return results


def require_up_to_date(ledger: Ledger, scope: Scope, views: Sequence[ViewSpec], as_of: datetime) -> None:
    """Refuse to read views that no tick keeps up any more, where what is held may be old news.

    The latest tick may still be at work, so what reaches the hour before it passes. Raises `features/behind`.
    """
    with ledger.read() as reader:
        until = {(held.view, held.digest): held.until_us for held in store.list_materialized(reader, scope)}
    for view in views:
        reached = until.get((view.name, view.digest))
        if reached is not None and reached < to_us(as_of) - _TWO_HOURS_US:
            moments = {"until": format_instant(from_us(reached)), "as_of": format_instant(as_of)}
            raise BehindTheClock(view=view.name, environment=scope.environment, **moments)


def view_id(view: ViewSpec) -> str:
    """Return the name under which a view is stored online: another definition of the same view is another one."""
    return stored_name(view.name, view.digest)


def stored_name(view: str, digest: str) -> str:
    """See `view_id`."""
    return f"{view}@{digest[:16]}"


def _materialized(reader: Reader, scope: Scope) -> dict[tuple[str, str], Readable]:
    rows = reader.rows(store.SELECT_READABLE, (scope.project, scope.environment))
    return {(row[0], row[1]): Readable(row[2].split("\n"), row[3]) for row in rows}


def _read_view(
    online: SQLiteOnlineStore,
    view: ViewSpec,
    readable: Readable,
    rows: Sequence[Mapping[str, object]],
    at_us: int,
    results: list[dict[str, object]],
) -> None:
    keys = [_key(view.spine_keys, number, row) for number, row in enumerate(rows)]
    distinct = [key for key in dict.fromkeys(keys) if key is not None]
    held = dict(zip(distinct, online.read(view_id(view), distinct), strict=True)) if distinct else {}
    answers: dict[str | None, dict[str, object]] = {}
    for key in dict.fromkeys(keys):
        row = held.get(key) if key is not None else None
        if view.window_us is None:
            values = _values(view, row, readable.names, at_us)
        elif key is None:
            values = {each.name: None for each in view.aggregates}
        else:
            values = _windows(view, row, readable.until_us - window_margin(view.window_us), at_us)
        answers[key] = {f"{view.prefix}{name}": value for name, value in values.items()} if view.prefix else values
    for result, key in zip(results, keys, strict=True):
        result.update(answers[key])


def _key(columns: Sequence[str], number: int, row: Mapping[str, object]) -> str | None:
    try:
        return encode_key([row.get(column) for column in columns])
    except (BadKey, BadKeyValue) as error:
        place = cast(int, error.fields["part"])
        raise type(error)(where=f"rows[{number}].{columns[place]}", **error.fields) from None


def _values(view: ViewSpec, held: OnlineRow | None, names: Sequence[str], at_us: int) -> dict[str, object]:
    if held is None or (view.ttl_us and held.event_us < at_us - view.ttl_us):
        return dict.fromkeys(names)
    content = _held.decode(held.content)
    if content.known_us > at_us:
        raise _too_far_back(view, content.known_us, at_us)
    return content.values


def _windows(view: ViewSpec, held: OnlineRow | None, horizon_us: int, at_us: int) -> dict[str, object]:
    """An entity without a row may have had values that left before the view's horizon: nothing is held to tell."""
    state = WindowState.unpack(held.content) if held else WindowState(horizon_us)
    if at_us < state.horizon_us:
        raise _too_far_back(view, state.horizon_us, at_us)
    return {each.name: state.value(each, at_us) for each in view.aggregates}


def _too_far_back(view: ViewSpec, horizon_us: int, at_us: int) -> TooFarBack:
    return TooFarBack(view=view.name, horizon=format_instant(from_us(horizon_us)), as_of=format_instant(from_us(at_us)))
