"""Materialization: what became known of each view since the last time goes to the online store, with its event, at once."""

import threading
from bisect import bisect_right
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from bucle.data import Snapshot, SnapshotVersion, commit_reason, get_version, take_snapshot
from bucle.errors import BucleError, RemoteError
from bucle.features.events import FeaturesMaterialized, MaterializationFailed, ViewKept
from bucle.features.exchange import Extract, ExtractedRow, ExtractedValue, ExtractRequest, WantedView
from bucle.features.online import OnlineRow, SQLiteOnlineStore, WindowState, merge_window
from bucle.features.online.reading import stored_name, view_id
from bucle.features.online.windows import Value, window_margin
from bucle.features.rules import record_rules
from bucle.features.store import (
    DELETE_MATERIALIZED,
    INSERT_KEPT,
    MaterializedView,
    kept_views,
    list_materialized,
    save_materialized,
)
from bucle.features.views import ViewSpec
from bucle.ledger import EventFilter, Home, Ledger, Scope, Transaction, because, from_us, to_us, within

if TYPE_CHECKING:
    from bucle.runtimes import Code, RunnerPool

ENTRY = "bucle.features.extraction:extract_in_child"
_SECONDS = 3600.0
_AHEAD_US = timedelta(days=1) // timedelta(microseconds=1)
_FORGOTTEN_US = timedelta(days=30) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Materialized:
    """What one materialization did for a view: how many rows were news, how many changed the online store."""

    view: str
    until: datetime
    rows: int
    written: int


@dataclass(frozen=True, slots=True)
class Due:
    """The code of an environment and those of its views that somebody reads online there."""

    code: "Code"
    scope: Scope
    views: Container[str]


@dataclass(slots=True)
class _News:
    """What a child returned for a view and is not readable yet, in the order of becoming known.

    Covers what became known after `since_us` (None: everything, to replace what is held) up to `ahead_us`.
    """

    version: str
    since_us: int | None
    ahead_us: int
    features: tuple[str, ...]
    rows: list[ExtractedRow]
    values: list[ExtractedValue]


@dataclass(slots=True)
class _Desk:
    """News by scope and view, of one ledger; one materialization at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    news: dict[tuple[Scope, str], _News] = field(default_factory=dict)


_desks: WeakKeyDictionary[Ledger, _Desk] = WeakKeyDictionary()


def materialize(
    home: Home, runners: "RunnerPool", code: "Code", scope: Scope, until: datetime, only: str | None = None
) -> list[Materialized]:
    """Make readable online what is known by `until` of every view that `code` declares (or `only` one); nothing later.

    Rows and the event of it are one transaction for each view. A view whose definition or data version changed is built from
    scratch. On a replay clock the child works a day ahead and its rows wait here until their time has come. Views of sources
    without data are left out. Raises what the views' functions raise; then nothing of that view is written.
    """
    views = [view for view in code.description.specs("view", ViewSpec) if only in (None, view.name)]
    if not views:
        return []
    desk = _desks.setdefault(home.ledger, _Desk())
    ahead_us = to_us(until) + (_AHEAD_US if home.ledger.clock.kind == "replay" else 0)
    with desk.lock, within(scope):
        snapshot = take_snapshot(home, code, scope, as_of=from_us(ahead_us))
        with home.ledger.read() as reader:
            held = {(each.view, each.digest): each for each in list_materialized(reader, scope)}
        works = [
            _Work(view, snapshot.versions[view.source], held.get((view.name, view.digest)), to_us(until))
            for view in views
            if view.source in snapshot.versions
        ]
        _fetch(desk, runners, code, scope, snapshot, works)
        return [_write(home.ledger, desk, scope, work) for work in works]


def keep_views(ledger: Ledger, scope: Scope, views: Iterable[str]) -> None:
    """Have each tick keep views readable in an environment from now on, also while no model there takes them."""
    with ledger.read() as reader:
        new = sorted(set(views) - kept_views(reader, scope))
    if new:
        with within(scope), ledger.write() as transaction:
            for view in new:
                seq = transaction.emit(ViewKept(view), view)
                transaction.execute(INSERT_KEPT, (scope.project, scope.environment, view, seq))


def materialize_due(home: Home, runners: "RunnerPool", due: Iterable[Due]) -> list[Materialized]:
    """For each project and environment: record new rules, make readable what is known now of the views that are due.

    For a tick of the clock, after `data.ingest_due`. What fails is an event, `features.materialization_failed`, once for each
    definition and data version, and keeps no other project from being materialized.
    """
    done: list[Materialized] = []
    for each in due:
        code, scope = each.code, each.scope
        record_rules_of(home, code, scope)
        for view in code.description.of("view"):
            if view.name not in each.views:
                continue
            try:
                done += materialize(home, runners, code, scope, home.ledger.clock.now(), only=view.name)
            except (BucleError, RemoteError) as error:
                _note_failure(home, code, scope, view.name, error)
    return done


def record_rules_of(home: Home, code: "Code", scope: Scope) -> None:
    """Record the rules of all views and training sets that changed, with the run that the commit names (K-7, K-F1)."""
    checkout = code.checkout
    with home.ledger.write() as transaction, within(scope):
        record_rules(transaction, code.description, checkout.commit, lambda: commit_reason(checkout, home.path))


def _note_failure(home: Home, code: "Code", scope: Scope, view: str, error: "BucleError | RemoteError") -> None:
    """Say once that a view cannot be materialized by this code for this reason, not at each hour anew."""
    failed = MaterializationFailed(view, code.description.digest, error.code, error.text, error.where)
    with within(scope):
        found = home.ledger.events(
            EventFilter(
                kinds=(failed.kind,),
                subject=view,
                project=scope.project,
                environment=scope.environment,
                newest_first=True,
                limit=1,
            )
        )
        if found and found[0].decode(MaterializationFailed) == failed:
            return
        with home.ledger.write() as transaction:
            transaction.emit(failed, view)


@dataclass(frozen=True, slots=True)
class _Work:
    """One view's turn: what is held of it, from which version of its source, and up to when it is to be readable."""

    view: ViewSpec
    version: SnapshotVersion
    held: MaterializedView | None
    until_us: int

    @property
    def since_us(self) -> int | None:
        """Up to when what is held is right; None when it has to be built from scratch."""
        return self.held.until_us if self.held and self.held.version == self.version.id else None

    @property
    def is_done(self) -> bool:
        """Whether what is held reaches far enough."""
        return self.since_us is not None and self.since_us >= self.until_us


def _fetch(desk: _Desk, runners: "RunnerPool", code: "Code", scope: Scope, snapshot: Snapshot, works: Sequence[_Work]) -> None:
    """Ask a child for the news of the views whose news at hand do not reach far enough."""
    lacking = [work for work in works if not work.is_done and not _reaches(desk.news.get((scope, view_id(work.view))), work)]
    if not lacking:
        return
    wanted = tuple(WantedView(work.view.name, work.since_us, work.until_us) for work in lacking)
    with runners.lend(code.runtime, code.checkout) as runner:
        extract = runner.call(ENTRY, ExtractRequest(snapshot, wanted), Extract, timeout=_SECONDS)
    for work, found in zip(lacking, extract.views, strict=True):
        news = _News(work.version.id, work.since_us, snapshot.as_of_us, found.features, list(found.rows), list(found.values))
        desk.news[(scope, view_id(work.view))] = news


def _reaches(news: _News | None, work: _Work) -> bool:
    return (
        news is not None
        and news.version == work.version.id
        and news.since_us == work.since_us
        and news.since_us is not None
        and work.until_us <= news.ahead_us
    )


def _write(ledger: Ledger, desk: _Desk, scope: Scope, work: _Work) -> Materialized:
    until = from_us(work.until_us)
    if work.is_done:
        return Materialized(work.view.name, until, 0, 0)
    news = desk.news[(scope, view_id(work.view))]
    rows = news.rows[: bisect_right(news.rows, work.until_us, key=lambda row: row.known_us)]
    values = news.values[: bisect_right(news.values, work.until_us, key=lambda value: value.enter_us)]
    with ledger.read() as reader:
        cause = get_version(reader, work.version.id).event
    with because(cause), ledger.write() as transaction:
        online = SQLiteOnlineStore(transaction, scope)
        written = _write_windows(online, work, values) if work.view.window_us else _write_rows(online, work, rows)
        done = Materialized(work.view.name, until, len(rows) + len(values), written)
        seq = _record(transaction, work, done) if done.rows or work.since_us is None else None
        state = MaterializedView(
            work.view.name, work.view.digest, work.view.source, work.version.id, news.features, work.until_us, seq
        )
        save_materialized(transaction, scope, state)
        _forget(transaction, scope, work)
    del news.rows[: len(rows)], news.values[: len(values)]
    news.since_us = work.until_us
    return done


def _write_rows(online: SQLiteOnlineStore, work: _Work, rows: Sequence[ExtractedRow]) -> int:
    stored = [OnlineRow(row.key, row.event_us, row.content, row.created_us, row.tie) for row in rows]
    write = online.replace if work.since_us is None else online.write
    return write(view_id(work.view), stored)


def _write_windows(online: SQLiteOnlineStore, work: _Work, values: Sequence[ExtractedValue]) -> int:
    """Add the values to what is held of their entities, and drop what no longer counts."""
    arrived: dict[str, dict[str, list[Value]]] = {}
    for each in values:
        columns = arrived.setdefault(each.key, {})
        columns.setdefault(each.column, []).append((each.enter_us, each.leave_us, each.value))
    horizon = work.until_us - window_margin(work.view.window_us or 0)
    before: list[OnlineRow | None] = [None] * len(arrived)
    if work.since_us is not None:
        before = online.read(view_id(work.view), list(arrived))
    rows = []
    for (key, columns), held in zip(arrived.items(), before, strict=True):
        state = merge_window(WindowState.unpack(held.content) if held else None, columns, horizon)
        rows.append(OnlineRow(key, work.until_us, state.pack()))
    write = online.replace if work.since_us is None else online.write
    return write(view_id(work.view), rows)


def _record(transaction: Transaction, work: _Work, done: Materialized) -> int:
    view, since = work.view, work.since_us
    event = FeaturesMaterialized(
        view=view.name,
        definition=view.digest,
        source=view.source,
        data=work.version.id,
        since=None if since is None else from_us(since),
        until=done.until,
        rows=done.rows,
        written=done.written,
        store="sqlite",
    )
    seq = transaction.emit(event, view_id(view))
    transaction.node(view_id(view), "artifact", "feature_view", view.name, seq)
    transaction.edge(work.version.id, view_id(view), "materialized", seq)
    return seq


def _forget(transaction: Transaction, scope: Scope, work: _Work) -> None:
    """Drop what is held by older definitions of the view that nobody has kept up for a month."""
    for other in list_materialized(transaction, scope):
        outdated = other.view == work.view.name and other.until_us < work.until_us - _FORGOTTEN_US
        if outdated and other.digest != work.view.digest:
            SQLiteOnlineStore(transaction, scope).replace(stored_name(other.view, other.digest), [])
            transaction.execute(DELETE_MATERIALIZED, (scope.project, scope.environment, other.view, other.digest))
