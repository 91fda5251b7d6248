"""Drift of the inputs in a window: each against training's own days, by bets that continue from window to window."""

from collections.abc import Callable, Sequence

import msgspec

from bucle.data import ColumnProfile, Profile, psi
from bucle.messages import Phrase
from bucle.monitoring.alerts import Finding
from bucle.monitoring.betting import MONTH_US, DriftState, advance_drift, drift_threshold
from bucle.monitoring.monitors import MonitorSpec
from bucle.monitoring.reference import ColumnReference, Reference
from bucle.monitoring.scores import scores_of


class FeatureReport(msgspec.Struct, frozen=True):
    """One input in a window: its counts, its distance (stability index) and what the drift detector says.

    `score` is what differs most from training's days, by so many `deviations` of a day; `p_value` is the chance of that. None
    while there is not enough to say.
    """

    name: str
    profile: ColumnProfile
    distance: float | None
    p_value: float | None
    evidence: float | None
    threshold: float | None
    score: str | None
    deviations: float | None
    drifted: bool


def judge_inputs(
    reference: Reference | None, monitor: MonitorSpec, before: dict[str, DriftState], window: Profile | None
) -> tuple[list[FeatureReport], dict[str, DriftState]]:
    """Return what a window's profile says of each input, and how far the bets on each have come."""
    if reference is None or window is None:
        return [], before
    threshold = drift_threshold(monitor.false_pages_per_month, len(reference.columns), MONTH_US / monitor.window_us)
    reports: list[FeatureReport] = []
    drift: dict[str, DriftState] = {}
    for column in reference.columns:
        profile = window.columns[column.name]
        report, drift[column.name] = _feature(column, profile, before.get(column.name, DriftState()), threshold)
        reports.append(report)
    return reports, drift


def _feature(
    column: ColumnReference, profile: ColumnProfile, state: DriftState, threshold: float
) -> tuple[FeatureReport, DriftState]:
    distance = psi(column.profile, profile)
    step = advance_drift(state, profile, scores_of(column.profile), column.scores, threshold)
    if step is None:
        return FeatureReport(column.name, _slim(profile), distance, None, None, None, None, None, drifted=False), state
    found = (step.p_value, step.evidence, step.threshold, step.score, step.deviations)
    return FeatureReport(column.name, _slim(profile), distance, *found, drifted=step.drifted), step.state


def _slim(profile: ColumnProfile) -> ColumnProfile:
    """Return a profile without its bins, which are those of the reference: a window keeps its counts alone."""
    return msgspec.structs.replace(profile, edges=(), categories=())


def drift_findings(features: Sequence[FeatureReport], reference: Reference | None) -> list[Finding]:
    """Return what of it wants attention, in words."""
    training = {column.name: column.profile for column in reference.columns} if reference else {}
    return [
        Finding("drift", feature.name, _drift_phrase(feature, training[feature.name]), _drift_numbers(feature))
        for feature in features
        if feature.drifted
    ]


def _drift_phrase(feature: FeatureReport, training: ColumnProfile) -> Phrase:
    fields: dict[str, str | int | float] = {"name": feature.name, "deviations": feature.deviations or 0.0}
    fields |= {"evidence": feature.evidence or 0.0, "threshold": feature.threshold or 0.0}
    score = feature.score or ""
    if score not in _OF_NUMBERS:
        return Phrase("alert.drift_share", fields | {"category": score.removeprefix("share of ")})
    now, usual = _OF_NUMBERS[score](feature.profile), _OF_NUMBERS[score](training)
    return Phrase(f"alert.drift_{score}", fields | {"now": now or 0.0, "usual": usual or 0.0})


_OF_NUMBERS: dict[str, Callable[[ColumnProfile], float | None]] = {
    "location": lambda profile: profile.mean,
    "spread": lambda profile: profile.deviation,
    "skew": lambda profile: profile.mean,
}


def _drift_numbers(feature: FeatureReport) -> dict[str, float]:
    numbers = {
        "distance": feature.distance,
        "p_value": feature.p_value,
        "evidence": feature.evidence,
        "threshold": feature.threshold,
        "deviations": feature.deviations,
    }
    return {name: number for name, number in numbers.items() if number is not None}
