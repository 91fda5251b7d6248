"""Runs in a child: the reference of a model version from the training frame that it was fitted on."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.data import MOST_VALUES, ColumnProfile, Profile, Writing, writing_of
from bucle.monitoring.betting import MONTH_US, drift_threshold, highest_evidence
from bucle.monitoring.reference import ColumnReference, Reference, ScoreReference, measure_days
from bucle.monitoring.scores import LEAST_ROWS, scores_of, value_of

if TYPE_CHECKING:
    import polars as pl

    from bucle.artifacts import ArtifactStore
    from bucle.features import TrainingFrame
    from bucle.runtimes import Child


class FrameFiles(msgspec.Struct, frozen=True):
    """The artifacts of a stored training frame, by file name."""

    files: dict[str, str]


class ReferenceOrder(msgspec.Struct, frozen=True):
    """Profile the inputs `columns` of what a model was fitted on, in windows of this length.

    `frames` are those of its run; the rows that it was judged by begin at `judged_from_us`, what it learned from lies before.
    """

    frames: tuple[FrameFiles, ...]
    columns: tuple[str, ...]
    judged_from_us: int | None
    window_us: int
    false_pages_per_month: float


class ReferenceMade(msgspec.Struct, frozen=True):
    """The artifact id of the reference, None when no frame fits."""

    reference: str | None


def make_reference(order: ReferenceOrder, child: "Child") -> ReferenceMade:
    """Profile a training frame and keep the result as an artifact."""
    import polars as pl

    from bucle.artifacts import ArtifactStore

    store = ArtifactStore(child.artifacts)
    frames = [_load(store, each) for each in order.frames]
    fitting = [frame for frame in frames if _was_learned_from(frame, order)]
    if not fitting:
        return ReferenceMade(None)
    frame = max(fitting, key=len)
    moments = frame.times.cast(pl.Datetime("us")).to_physical()
    reference = profile_training(frame.to_polars().select(order.columns), moments, order.window_us, order.false_pages_per_month)
    return ReferenceMade(store.put_json(reference))


def _load(store: "ArtifactStore", stored: FrameFiles) -> "TrainingFrame":
    from bucle.features import TrainingFrame

    with tempfile.TemporaryDirectory() as folder:
        for name, artifact in stored.files.items():
            (Path(folder) / name).symlink_to(store.path(artifact))
        return TrainingFrame.load(Path(folder))


def _was_learned_from(frame: "TrainingFrame", order: ReferenceOrder) -> bool:
    if not set(order.columns) <= {column.name for column in frame.columns} or not len(frame):
        return False
    last: Any = frame.times.dt.epoch("us").max()
    return order.judged_from_us is None or bool(last < order.judged_from_us)


def profile_training(
    table: "pl.DataFrame", moments: "pl.Series", window_us: int, false_pages_per_month: float = 1.0
) -> Reference:
    """Return the reference of a table whose rows happened at `moments`, microseconds since 1970."""
    import polars as pl

    from bucle.data import profile_frame

    whole = profile_frame(table)
    windows = (moments // window_us).alias("window of training")
    parts = table.with_columns(windows).sort(windows.name).partition_by(windows.name, include_key=False)
    days = [profile_frame(part, whole) for part in parts]
    threshold = drift_threshold(false_pages_per_month, table.width, MONTH_US / window_us)
    columns = tuple(_column(name, whole.columns[name], days, threshold) for name in table.columns)
    dated = table.with_columns(moments.cast(pl.Datetime("us")).alias(windows.name))
    columns = tuple(msgspec.structs.replace(each, writing=_writing(dated, each, windows.name)) for each in columns)
    return Reference(whole.rows, len(days), window_us, columns)


def _column(name: str, whole: ColumnProfile, days: Sequence[Profile], threshold: float) -> ColumnReference:
    profiles = [day.columns[name] for day in days]
    large = [profile.null_share for profile in profiles if profile.rows >= LEAST_ROWS]
    found: list[ScoreReference] = []
    for score in scores_of(whole):
        values = [value for day in profiles if (value := value_of(score, day)) is not None]
        measured = measure_days(score.name, values)
        if measured is not None:
            found.append(msgspec.structs.replace(measured, highest=highest_evidence(measured, score.stake, values, threshold)))
        if score.name == "location" and not (measured and measured.steady):
            break
    null_share = max(large, default=whole.null_share)
    return ColumnReference(name, whole, null_share, tuple(found))


def _writing(table: "pl.DataFrame", column: ColumnReference, moment: str) -> Writing | None:
    if column.profile.kind != "number" or not table.schema[column.name].is_numeric():
        return None
    from bucle.data import values_by_day  # brings Polars, which the server has no need of

    if table[column.name].n_unique() > MOST_VALUES:
        return None
    return writing_of(counts for _, counts in values_by_day(table, column.name, moment))
