"""Runs in a child: which rows a model version learned from, as keys and moments."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bucle.artifacts import ArtifactStore
    from bucle.features import TrainingFrame
    from bucle.runtimes import Child


class LearnedOrder(msgspec.Struct, frozen=True):
    """Read the frames of a run, each given as artifact ids by file name; rows are told by the column `key`.

    What the version was judged by begins at `judged_from_us`; what it learned from lies before.
    """

    frames: tuple[dict[str, str], ...]
    key: str
    judged_from_us: int | None


class LearnedRows(msgspec.Struct, frozen=True):
    """Rows in order of time, moments in microseconds UTC; `key` is the frame's own; no `keys` if it lacks the wanted one."""

    rows: int
    key: str
    keys: list[str]
    times_us: list[int]
    as_of_us: int


def rows_in_child(order: LearnedOrder, child: "Child") -> LearnedRows:
    """Entry point of a child: read the largest frame that was learned from."""
    import polars as pl

    from bucle.artifacts import ArtifactStore
    from bucle.features import FRAME_TIME

    store = ArtifactStore(child.artifacts)
    frames = [frame for each in order.frames if _was_learned_from(frame := _load(store, each), order.judged_from_us)]
    if not frames:
        return LearnedRows(0, "", [], [], 0)
    frame = max(frames, key=len)
    times = frame.table[FRAME_TIME].cast(pl.Datetime("us")).to_physical().to_list()
    if order.key == frame.key:
        keys = frame.keys.cast(pl.String).to_list()
    elif order.key in frame.table.columns:
        keys = frame.table[order.key].cast(pl.String).to_list()
    else:
        keys = []
    return LearnedRows(len(frame), frame.key, [key or "" for key in keys], times, frame.facts.as_of_us)


def _load(store: "ArtifactStore", files: dict[str, str]) -> "TrainingFrame":
    from bucle.features import TrainingFrame

    with tempfile.TemporaryDirectory() as folder:
        for name, artifact in files.items():
            (Path(folder) / name).symlink_to(store.path(artifact))
        return TrainingFrame.load(Path(folder))


def _was_learned_from(frame: "TrainingFrame", judged_from_us: int | None) -> bool:
    if not len(frame):
        return False
    start = frame.facts.start_us
    return judged_from_us is None or start is None or start < judged_from_us
