"""What differs between two versions of a source, as data."""

import msgspec


class ColumnDiff(msgspec.Struct, frozen=True):
    """A column whose type or distribution differs; `psi` is None where only one version has it or it has no distribution."""

    name: str
    before: str | None
    after: str | None
    psi: float | None
    null_share_before: float | None
    null_share_after: float | None


class VersionDiff(msgspec.Struct, frozen=True):
    """All that differs. Rows are matched by the source's key; without one (or with repeated keys) as whole rows.

    `changed` are rows of one key with other values. `files_*` name raw files; `rules_changed` says whether the code differs.
    """

    before: str
    after: str
    rows_before: int
    rows_after: int
    added: int
    removed: int
    changed: int
    columns: tuple[ColumnDiff, ...]
    files_added: tuple[str, ...]
    files_removed: tuple[str, ...]
    files_changed: tuple[str, ...]
    rules_changed: bool
