"""Comparing the rows of two versions of a source. Runs in children only."""

import polars as pl

from bucle.data.differences import ColumnDiff, VersionDiff
from bucle.data.distances import psi
from bucle.data.manifests import Manifest
from bucle.data.profiling import profile_frame


def diff_frames(
    ids: tuple[str, str], manifests: tuple[Manifest, Manifest], frames: tuple[pl.DataFrame, pl.DataFrame]
) -> VersionDiff:
    """Return what differs between two versions' rows."""
    before, after = frames
    added, removed, changed = _rows(manifests[1].spec.key, before, after)
    digests = [{file.path: file.digest for file in manifest.files} for manifest in manifests]
    return VersionDiff(
        before=ids[0],
        after=ids[1],
        rows_before=before.height,
        rows_after=after.height,
        added=added,
        removed=removed,
        changed=changed,
        columns=_columns(before, after),
        files_added=tuple(sorted(digests[1].keys() - digests[0].keys())),
        files_removed=tuple(sorted(digests[0].keys() - digests[1].keys())),
        files_changed=tuple(
            sorted(path for path in digests[0].keys() & digests[1].keys() if digests[0][path] != digests[1][path])
        ),
        rules_changed=manifests[0].spec.rules != manifests[1].spec.rules,
    )


def _rows(key: tuple[str, ...], before: pl.DataFrame, after: pl.DataFrame) -> tuple[int, int, int]:
    shared = [name for name in before.columns if name in after.columns and before.schema[name] == after.schema[name]]
    plain = [name for name in shared if not before.schema[name].is_nested()]
    by = list(key)
    keyed = bool(by) and all(name in plain for name in by)
    if not keyed or not (before.select(by).is_unique().all() and after.select(by).is_unique().all()):
        counts = [frame.select(plain).group_by(plain).len() for frame in (before, after)]
        both = counts[0].join(counts[1], on=plain, how="inner", nulls_equal=True, suffix=":after")
        same = int(both.select(pl.min_horizontal("len", "len:after")).to_series().sum())
        return after.height - same, before.height - same, 0
    common = before.select(plain).join(after.select(plain), on=by, how="inner", nulls_equal=True, suffix=":after")
    others = [name for name in plain if name not in by]
    equal = [common[name].eq_missing(common[f"{name}:after"]) for name in others]
    same = int(common.select(pl.all_horizontal(*equal)).to_series().sum()) if equal else common.height
    return after.height - common.height, before.height - common.height, common.height - same


def _columns(before: pl.DataFrame, after: pl.DataFrame) -> tuple[ColumnDiff, ...]:
    one = profile_frame(before)
    two = profile_frame(after, one)
    found = []
    for name in dict.fromkeys([*before.columns, *after.columns]):
        types = tuple(str(frame.schema[name]) if name in frame.columns else None for frame in (before, after))
        distance = None
        if name in one.columns and None not in types:
            distance = round(psi(one.columns[name], two.columns[name]), 6)
        shares = [
            frame[name].null_count() / (frame.height or 1) if name in frame.columns else None for frame in (before, after)
        ]
        if types[0] != types[1] or distance or shares[0] != shares[1]:
            found.append(ColumnDiff(name, types[0], types[1], distance, shares[0], shares[1]))
    return tuple(found)
