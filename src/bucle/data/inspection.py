"""The child's look at a version: profile, labels present, validation against the schema, leaks. Children only."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import cast

import msgspec
import polars as pl

from bucle.data.cleaning import apply_rules, settle_moments
from bucle.data.errors import CleaningFailed
from bucle.data.labels import labels_present
from bucle.data.leaks import declared_leaks, provenance_leaks, telling_leaks
from bucle.data.orders import SpineDefinition
from bucle.data.profiling import profile_frame
from bucle.data.reading import scan_files
from bucle.data.reports import Finding, LabelsPresent, SourceProfile, ValidationReport, combine, judge
from bucle.data.schemas import Schema
from bucle.data.sources import Source, SourceSpec
from bucle.data.validation import PARTITION, validate_frame, with_partitions
from bucle.project import Definitions

_SAMPLE = 20_000


def profile_source(rows: pl.DataFrame, spec: SourceSpec, spines: list[SpineDefinition], as_of_us: int) -> SourceProfile:
    """Return the profile of the rows that a moment sees, whole and by month, with the labels present (K-5)."""
    whole = profile_frame(rows)
    parts = with_partitions(rows, spec.timestamp).partition_by(PARTITION, as_dict=True, include_key=False)
    months = {str(month): profile_frame(part, whole) for (month,), part in sorted(parts.items())}
    labels = [
        labels_present(rows, spine.label.name, spine.label.expression, spec.timestamp, spine.label.delay, as_of_us)
        for spine in spines
    ]
    return SourceProfile(as_of_us, whole, months, tuple(labels or _late_columns(rows, spec, as_of_us)))


def inspect(
    rows: pl.DataFrame, spec: SourceSpec, schema: Schema | None, leaks: Iterable[Finding], as_of_us: int
) -> ValidationReport:
    """Return the report of the rows that a moment sees: against the schema, if there is one, and with the leaks found."""
    found = judge(leaks, rows=rows.height, checks=3)
    if schema is None:
        return found
    checked = validate_frame(rows, schema, timestamp=spec.timestamp, late=spec.moments, as_of_us=as_of_us)
    return combine(checked, found)


def spines_of(definitions: Definitions, source: str) -> list[SpineDefinition]:
    """Return the training sets whose rows are those of a source."""
    sets = [cast(SpineDefinition, each) for each in definitions.of("training_set")]
    return [each for each in sets if each.spine_name == source]


def find_leaks(
    source: Source, spec: SourceSpec, paths: list[str], rows: pl.DataFrame, spines: list[SpineDefinition], root: Path
) -> list[Finding]:
    """Return the leaks of a source under any column name: by declaration, by provenance, by what tells the label."""
    found: list[Finding] = []
    for spine in spines:
        user = f"The training set {spine.name!r}"
        found += declared_leaks(spec, spine.columns, user, _place(spine, root))
    if spec.known_at:
        found += _provenance(source, spec, paths, root)
    sample = rows.gather_every(max(rows.height // (5 * _SAMPLE), 1))
    honest = [name for name in rows.columns if name not in {*spec.key, spec.timestamp, *spec.moments, spec.created}]
    named = {finding.column for finding in found}
    for spine in spines:
        own = set(spine.label.expression.meta.root_names()) - set(spec.moments)
        columns = [name for name in honest if name not in named | own]
        outcome = sample.select(spine.label.expression.alias("outcome")).to_series()
        telling = telling_leaks(sample, columns, outcome, spine.label.name, spec.where)
        found += [_reviewed(finding, spec) for finding in telling]
        found += _own_columns(spec, spine, own, root)
    return found


def _reviewed(finding: Finding, spec: SourceSpec) -> Finding:
    """That a column tells the label is a suspicion, which a person may have looked into; where it comes from is a proof."""
    reason = spec.accepted.get(finding.column)
    if reason is None:
        return finding
    return msgspec.structs.replace(finding, kind="accepted", message=f"{finding.message} Accepted: {reason}")


def _own_columns(spec: SourceSpec, spine: SpineDefinition, own: set[str], root: Path) -> list[Finding]:
    """A label made of what is known from the start: whoever sees the row sees the label, so using its columns leaks it."""
    return [
        Finding(
            "leak",
            name,
            "schema",
            f"The training set {spine.name!r} uses {name!r}, which its label {spine.label.name!r} is made of.",
            where=_place(spine, root),
        )
        for name in sorted(own & set(spine.columns))
    ]


def _provenance(source: Source, spec: SourceSpec, paths: list[str], root: Path) -> list[Finding]:
    raw = scan_files(paths, spec.nulls)
    count = int(raw.select(pl.len()).collect().item())
    sample = raw.gather_every(max(count // _SAMPLE, 1)).collect()

    def rules(rows: pl.LazyFrame) -> pl.DataFrame:
        return settle_moments(apply_rules(source, spec, rows, root), spec)[0]

    try:
        return provenance_leaks(spec, sample, rules)
    except CleaningFailed:  # rules may choke on the hidden row number, a column that they did not expect
        return provenance_leaks(spec, sample, rules, numbered=False)


def _late_columns(rows: pl.DataFrame, spec: SourceSpec, as_of_us: int) -> list[LabelsPresent]:
    """Without a training set the late columns are what may become labels; all that has not come counts as pending."""
    forever = timedelta(days=36_500)
    return [labels_present(rows, name, pl.col(name), spec.timestamp, forever, as_of_us) for name in spec.known_at]


def _place(spine: SpineDefinition, root: Path) -> str:
    file = Path(spine.file)
    return f"{file.relative_to(root) if file.is_relative_to(root) else file}:{spine.line}"
