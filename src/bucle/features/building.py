"""Building frames: the spine's rows of a time, the label where it is final, the features as of each row. Runs in a child."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data import Snapshot, read_snapshot
from bucle.features.columns import FrameColumn
from bucle.features.errors import DuplicateFeature, NoRows, UnknownFeature, ViewFailed
from bucle.features.exchange import FrameAnswer, FrameRequest
from bucle.features.frames import KEY, TIME, FrameFacts, TrainingFrame, frame_columns
from bucle.features.instants import to_integers
from bucle.features.offline import offline_features, source_in
from bucle.features.rows import SourceFacts, known_from, require
from bucle.features.training import TrainingSet
from bucle.features.views import RoleView, View
from bucle.ledger import format_instant, from_us, parse_duration, parse_instant, to_us
from bucle.project import Definitions, suggest

if TYPE_CHECKING:
    from bucle.data import SourceSpec
    from bucle.runtimes import Child

Recorder = Callable[[str, Mapping[str, Any]], None]

noted: ContextVar[Recorder | None] = ContextVar("bucle_frame_recorder", default=None)
"""Set where a run's log is kept: gets `features.frame_read` and `features.split_made` with their facts (K-13, K-14, K-18)."""

_ROW = "__bucle_row"


def frame_in_child(payload: FrameRequest, child: "Child") -> FrameAnswer:
    """Entry point of a child: build a frame and put it into the artifact store. Raises what `build_frame` raises."""
    store = ArtifactStore(child.artifacts)
    start, end = (parse_instant(text) if text else None for text in (payload.start, payload.end))
    frame = build_frame(store, child.definitions(), payload.snapshot, payload.training_set, start, end, seed=payload.seed)
    return FrameAnswer(store.put_bytes(frame.pack()), len(frame))


def build_frame(
    store: ArtifactStore,
    definitions: Definitions,
    snapshot: Snapshot,
    training_set: str,
    start: datetime | None = None,
    end: datetime | None = None,
    *,
    categories: Sequence[FrameColumn] | None = None,
    seed: int = 0,
) -> TrainingFrame:
    """Return the rows with start <= time < end whose label is final as of the snapshot, in order of time.

    `categories` are the columns of an earlier frame whose encoding is to be kept. Raises `features/unknown`,
    `features/unknown-column`, `features/duplicate-name`, `features/no-rows` and what the views' functions raise.
    """
    declared = _declared(definitions, training_set)
    building = _Building(store, definitions, snapshot, declared)
    frame = building.frame(building.rows(start, end), start, end, categories, seed)
    _note_frame(frame)
    return frame


def split(
    store: ArtifactStore,
    definitions: Definitions,
    snapshot: Snapshot,
    training_set: str,
    *,
    window: str | timedelta,
    holdout: str | timedelta,
    seed: int = 0,
) -> tuple[TrainingFrame, TrainingFrame]:
    """Return the past and the recent frame: the mature rows of the last `holdout`, and of the `window` before it (K-14).

    The recent frame is encoded with the past one's categories. Raises what `build_frame` raises.
    """
    declared = _declared(definitions, training_set)
    building = _Building(store, definitions, snapshot, declared)
    end = building.last_mature()
    cut = end - parse_duration(holdout)
    start = cut - parse_duration(window)
    rows = building.rows(start, end)
    past = building.frame(rows, start, cut, None, seed)
    recent = building.frame(rows, cut, end, past.columns, seed)
    for frame in (past, recent):
        _note_frame(frame)
    _note_split(past, recent)
    return past, recent


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows with their features and label, the view that each column comes from, and the moments of the rows left out."""

    table: pl.DataFrame
    origins: Mapping[str, str | None]
    immature: pl.Series
    unlabelled: pl.Series


@dataclass(frozen=True)
class _Building:
    """One snapshot of one training set."""

    store: ArtifactStore
    definitions: Definitions
    snapshot: Snapshot
    declared: TrainingSet

    def last_mature(self) -> datetime:
        """Return the moment just after the last row whose label is final as of the snapshot."""
        source = self._source(self.declared.spine_name)
        rows = self._rows(self.declared.spine_name).select(source.timestamp).collect()
        moments = to_integers(rows[source.timestamp])
        last = moments.filter(moments <= self._bound()).max()
        if last is None:
            raise self._no_rows(None, None, FrameFacts(immature=len(moments)))
        return from_us(int(last) + 1)  # type: ignore[arg-type]

    def rows(self, start: datetime | None, end: datetime | None) -> _Rows:
        """Return the mature and labelled rows of a time with their features, in order of time."""
        spine, immature, unlabelled = self._labelled(start, end)
        origins: dict[str, str | None] = dict.fromkeys(self.declared.columns)
        table = spine
        for view in self.declared.features if len(spine) else ():
            columns = offline_features(self.store, self.snapshot, view, spine)
            for column in columns:
                self._refuse_duplicate(column.name, origins, view)
                origins[column.name] = view.spec().name
            table = table.hstack(columns)
        table = table.select(KEY, TIME, *origins, self.declared.label.name).sort(TIME, KEY, maintain_order=True)
        return _Rows(table, origins, immature, unlabelled)

    def frame(
        self,
        rows: _Rows,
        start: datetime | None,
        end: datetime | None,
        categories: Sequence[FrameColumn] | None,
        seed: int,
    ) -> TrainingFrame:
        """Return the frame of a part of the rows, encoded by `categories` or its own. Raises `features/no-rows`."""
        table = rows.table.filter(_within(to_integers(rows.table[TIME]), start, end))
        facts = self._facts(rows, start, end)
        if table.is_empty():
            raise self._no_rows(start, end, facts)
        columns = frame_columns(table, rows.origins, categories, self.declared.where)
        source = self._source(self.declared.spine_name)
        return TrainingFrame(table, columns, self.declared.label.name, _key_name(source), source.timestamp, seed, facts)

    def _labelled(self, start: datetime | None, end: datetime | None) -> tuple[pl.DataFrame, pl.Series, pl.Series]:
        """Return the mature, labelled rows as each was known at its own moment; the moments of immature and unlabelled ones."""
        source, label = self._source(self.declared.spine_name), self.declared.label
        rows = self._rows(self.declared.spine_name)
        available = rows.collect_schema().names()
        roots = label.expression.meta.root_names()
        needed = [*self.declared.columns, *roots, *(key for view in self.declared.features for key in view.spec().spine_keys)]
        self._require(available, [source.timestamp, *needed])
        late = known_from(source)
        moments = [late[column] for column in needed if column in late]
        keys = _key_columns(source)
        chosen = rows.select(list(dict.fromkeys([source.timestamp, *keys, *needed, *moments]))).collect()
        at = to_integers(chosen[source.timestamp])
        wanted = _within(at, start, end)
        mature = wanted & (at <= self._bound())
        immature = at.filter(wanted & ~mature)
        spine, at = chosen.filter(mature), at.filter(mature)
        target = self._label(spine, source)
        masked = [_known(spine, column, late[column], at) for column in dict.fromkeys(needed) if column in late]
        key = pl.struct(keys) if len(keys) > 1 else pl.col(keys[0]) if keys else pl.int_range(pl.len())
        spine = spine.with_columns(masked).with_columns(key.alias(KEY), _utc(at).alias(TIME), target)
        return spine.filter(target.is_not_null()), immature, at.filter(target.is_null())

    def _label(self, spine: pl.DataFrame, source: SourceFacts) -> pl.Series:
        """Return the label of each row, null where it was not known yet as of the snapshot."""
        label = self.declared.label
        as_of = pl.Series([self.snapshot.as_of_us] * len(spine), dtype=pl.Int64)
        roots = [column for column in label.expression.meta.root_names() if column in source.known_at]
        known = spine.with_columns(_known(spine, column, source.known_at[column], as_of) for column in dict.fromkeys(roots))
        try:
            return known.select(label.expression.alias(label.name)).to_series()
        except pl.exceptions.PolarsError as error:
            reason = " ".join(str(error).split("\n")[0].split())
            raise ViewFailed(definition=f"The label {label.name!r}", reason=reason, where=self.declared.where) from error

    def _rows(self, name: str) -> pl.LazyFrame:
        return read_snapshot(self.store, self.snapshot, name, trainable=True)

    def _source(self, name: str) -> "SourceSpec":
        return source_in(self.snapshot, name, self.declared.where)

    def _bound(self) -> int:
        return self.snapshot.as_of_us - self.declared.label.spec().matures_us

    def _facts(self, rows: _Rows, start: datetime | None, end: datetime | None) -> FrameFacts:
        spec = self.declared.spec()
        names = dict.fromkeys([spec.spine, *(view.source for view in spec.views)])
        return FrameFacts(
            training_set=spec.name,
            definition=spec.digest,
            as_of_us=self.snapshot.as_of_us,
            versions={name: self.snapshot.versions[name].id for name in names},
            views={view.name: view.digest for view in spec.views},
            start_us=to_us(start) if start else None,
            end_us=to_us(end) if end else None,
            immature=int(_within(rows.immature, start, end).sum()),
            unlabelled=int(_within(rows.unlabelled, start, end).sum()),
        )

    def _require(self, available: Sequence[str], columns: Sequence[str]) -> None:
        definition, source = f"The training set {self.declared.name!r}", f"the source {self.declared.spine_name!r}"
        require(available, columns, definition, self.declared.where, source)

    def _refuse_duplicate(self, name: str, origins: Mapping[str, str | None], view: View | RoleView) -> None:
        if name in origins or name == self.declared.label.name:
            owner = origins.get(name)
            first = f"the view {owner!r}" if owner else "the spine or the label"
            raise DuplicateFeature(name=name, first=first, second=f"the view {view.name!r}", where=self.declared.where)

    def _no_rows(self, start: datetime | None, end: datetime | None, facts: FrameFacts) -> NoRows:
        return NoRows(
            name=self.declared.name,
            start=format_instant(start) if start else "the beginning",
            end=format_instant(end) if end else "the end",
            counts=f"{facts.immature} rows not mature yet, {facts.unlabelled} without a label",
            where=self.declared.where,
        )


def _declared(definitions: Definitions, name: str) -> TrainingSet:
    known = definitions.of(TrainingSet)
    for each in known:
        if each.name == name:
            return each
    raise UnknownFeature(what="training set", name=name, hint=suggest(name, (each.name for each in known)))


def _known(rows: pl.DataFrame, column: str, moment: str, at: pl.Series) -> pl.Series:
    return pl.select(pl.when(to_integers(rows[moment]) <= at).then(rows[column])).to_series().alias(column)


def _within(at: pl.Series, start: datetime | None, end: datetime | None) -> pl.Series:
    """Which moments have start <= t < end; null ones have not."""
    inside = at.is_not_null()
    if start is not None:
        inside &= at.fill_null(0) >= to_us(start)
    return inside & (at.fill_null(0) < to_us(end)) if end is not None else inside


def _utc(microseconds: pl.Series) -> pl.Series:
    return microseconds.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _key_columns(source: "SourceSpec") -> list[str]:
    key: Any = source.key
    return [] if not key else [key] if isinstance(key, str) else list(key)


def _key_name(source: "SourceSpec") -> str:
    return "_".join(_key_columns(source)) or "row"


def _note_frame(frame: TrainingFrame) -> None:
    record = noted.get()
    if record is not None:
        record("features.frame_read", {"rows": len(frame), "store": "offline", **msgspec.to_builtins(frame.facts)})


def _note_split(past: TrainingFrame, recent: TrainingFrame) -> None:
    """K-14: the ids of both parts, and that they share no row."""
    record = noted.get()
    if record is None:
        return
    shared = len(past.table.select(KEY, TIME).join(recent.table.select(KEY, TIME), on=[KEY, TIME], nulls_equal=True))
    parts = {
        name: {"id": frame.id, "rows": len(frame), "start_us": frame.facts.start_us, "end_us": frame.facts.end_us}
        for name, frame in (("past", past), ("recent", recent))
    }
    record("features.split_made", {"training_set": past.facts.training_set, "disjoint": shared == 0, "shared": shared, **parts})
