"""Windows: a stretch of the prediction log, judged against training, against labels, against the monitor's limits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from bucle.data import ColumnProfile, Profile, add_profiles, profile_values
from bucle.ledger import Reader
from bucle.messages import Phrase
from bucle.monitoring import store
from bucle.monitoring.alerts import Finding
from bucle.monitoring.betting import MONTH_US, DriftState
from bucle.monitoring.drifting import FeatureReport, drift_findings, judge_inputs
from bucle.monitoring.loss import LossState, loss_phrase
from bucle.monitoring.performance import Outcome, Performance, measure, measure_slices
from bucle.monitoring.quality import QualityCheck, QualityFinding, judge, judge_writing, never_written
from bucle.monitoring.reference import Reference
from bucle.monitoring.watches import Watch, WatchState
from bucle.serving import Traffic, Value, traffic_between

_QUALITY_SHARE = 0.1
"""Which part of the false pages that a monitor allows may come from the checks of data quality."""
_LEAST_SHARE = 0.01
"""A fault of fewer values than this share is left to the log: nobody is called for it."""


class ServingReport(msgspec.Struct, frozen=True):
    """What the service did in a window; latencies in seconds, upper bounds of their bucket."""

    requests: int
    predictions: int
    refused: int
    failed: int
    nonfinite: int
    unseen: int
    p50: float | None
    p90: float | None
    p99: float | None


class WindowReport(msgspec.Struct, frozen=True):
    """All that was found about a window. `performance` is of the predictions that matured in it: overall, then by slice."""

    predictions: int
    features: list[FeatureReport]
    performance: list[Performance]
    serving: ServingReport
    loss: LossState
    excess: float
    expected_loss: float | None
    retrain_cost: float | None
    model_age_us: int | None
    sentences: list[str]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A window's report with what follows from it: alerts to fire, features calm again, the state to go on with."""

    since_us: int
    until_us: int
    report: WindowReport
    findings: list[Finding]
    calm: frozenset[tuple[str, str]]
    state: WatchState
    logged: tuple[int, ...]


def evaluate_window(
    reader: Reader,
    watch: Watch,
    reference: Reference | None,
    state: WatchState,
    since_us: int,
    until_us: int,
    reached: float | None,
) -> Evaluation:
    """Judge what was predicted from `since_us` on and before `until_us`; `reached` is a loss that passed the cost just now."""
    seen = _look(reader, watch, reference, since_us, until_us)
    features, drift = judge_inputs(reference, watch.terms.monitor, state.drift, seen.profile)
    quality = _quality(watch, reference, [feature.profile for feature in features], seen.unwritten)
    serving = _serving(traffic_between(reader, watch.scope, watch.service, since_us, until_us))
    performance = _performance(reader, watch, since_us, until_us)
    age = until_us - watch.terms.trained_us if watch.terms.trained_us is not None else None
    findings = [
        *_degradation(watch, state.loss, reached),
        *drift_findings(features, reference),
        *(_quality_finding(each) for each in quality),
        *_numerical(serving),
        *_staleness(watch, age),
    ]
    report = WindowReport(
        predictions=seen.rows,
        features=features,
        performance=performance,
        serving=serving,
        loss=state.loss,
        excess=reached if reached is not None else state.loss.excess,
        expected_loss=watch.terms.expected_loss,
        retrain_cost=watch.terms.retrain_cost,
        model_age_us=age,
        sentences=[str(finding.said) for finding in findings],
    )
    after = msgspec.structs.replace(state, drift=drift)
    calm = _calm(watch, drift, findings, seen.rows)
    return Evaluation(since_us, until_us, report, findings, calm, after, seen.logged)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a window holds: its predictions, their inputs counted on the reference's bins, the seqs of their log entries.

    `unwritten` counts, by input, the values that lie among those of training but were never written there.
    """

    rows: int
    profile: Profile | None
    logged: tuple[int, ...]
    unwritten: dict[str, Counter[float]]


def _look(reader: Reader, watch: Watch, reference: Reference | None, since_us: int, until_us: int) -> _Seen:
    """Count a window page by page: a busy service's day does not fit into memory."""
    rows, profile, logged, unwritten = 0, None, set[int](), dict[str, Counter[float]]()
    for page in store.window_pages(reader, (*watch.place, watch.deployment), since_us, until_us):
        rows += len(page)
        entries = logged | {row["logged"] for row in page}
        logged = {min(entries), max(entries)}
        if reference is not None:
            inputs = [msgspec.json.decode(row["inputs"], type=list[Value]) for row in page]
            columns = {
                column.name: profile_values([row[position] for row in inputs], column.profile)
                for position, column in enumerate(reference.columns)
            }
            counted = Profile(len(page), columns)
            profile = counted if profile is None else add_profiles(profile, counted)
            for position, column in enumerate(reference.columns):
                if column.writing is not None:
                    new = never_written((row[position] for row in inputs), column.writing)
                    unwritten.setdefault(column.name, Counter()).update(new)
    return _Seen(rows, profile, tuple(sorted(logged)), unwritten)


def _quality(
    watch: Watch,
    reference: Reference | None,
    profiles: Sequence[ColumnProfile],
    unwritten: Mapping[str, Counter[float]],
) -> list[QualityFinding]:
    if reference is None or not profiles:
        return []
    monitor = watch.terms.monitor
    per_window = monitor.false_pages_per_month * monitor.window_us / MONTH_US
    level = per_window * _QUALITY_SHARE / (3 * max(1, len(profiles)))
    found: list[QualityFinding] = []
    for column, profile in zip(reference.columns, profiles, strict=True):
        seldom = 1 / max(1, reference.rows)
        strange: QualityCheck = "out_of_range_share" if column.profile.kind == "number" else "unseen_share"
        checks = [
            judge(column.name, "null_share", profile.nulls, profile.rows, max(column.null_share, seldom), level),
            judge(column.name, strange, profile.unseen, profile.rows, 2 * seldom, level),
        ]
        rewritten = judge_writing(column, unwritten.get(column.name, Counter()), profile.known, seldom, level)
        found += [rewritten] if rewritten is not None else []
        found += [check for check in checks if check is not None and check.count >= _LEAST_SHARE * check.rows]
    return found


def _quality_finding(finding: QualityFinding) -> Finding:
    numbers = {
        "count": float(finding.count),
        "rows": float(finding.rows),
        "expected": finding.expected,
        "chance": finding.chance,
    }
    return Finding("data_quality", finding.column, finding.said(), numbers)


def _numerical(serving: ServingReport) -> list[Finding]:
    if not serving.nonfinite:
        return []
    said = Phrase("alert.nonfinite", {"count": serving.nonfinite})
    return [Finding("data_quality", "", said, {"nonfinite": float(serving.nonfinite)})]


def _degradation(watch: Watch, loss: LossState, reached: float | None) -> list[Finding]:
    cost, expected = watch.terms.retrain_cost, watch.terms.expected_loss
    if reached is None or cost is None or expected is None:
        return []
    mean = loss.total / loss.counted
    numbers = {
        "excess": reached,
        "retrain_cost": cost,
        "expected_loss": expected,
        "mean_loss": mean,
        "labelled": float(loss.counted),
    }
    return [Finding("degradation", "", loss_phrase(watch.service, reached, expected, mean, loss.counted, cost), numbers)]


def _staleness(watch: Watch, age_us: int | None) -> list[Finding]:
    limit = watch.terms.monitor.max_age_us
    if age_us is None or age_us <= limit:
        return []
    days, allowed = age_us / 86_400_000_000, limit / 86_400_000_000
    said = Phrase("alert.staleness", {"service": watch.service, "days": days, "allowed": allowed})
    return [Finding("staleness", "", said, {"age_days": days, "limit_days": allowed})]


def _serving(traffic: Traffic) -> ServingReport:
    return ServingReport(
        requests=traffic.requests,
        predictions=traffic.predictions,
        refused=traffic.refused,
        failed=traffic.failed,
        nonfinite=traffic.nonfinite,
        unseen=traffic.unseen,
        p50=traffic.quantile(0.5),
        p90=traffic.quantile(0.9),
        p99=traffic.quantile(0.99),
    )


def _performance(reader: Reader, watch: Watch, since_us: int, until_us: int) -> list[Performance]:
    matures = watch.terms.matures_us
    rows = reader.rows(store.MATURE_OUTCOMES, (*watch.place, watch.deployment, since_us - matures, until_us - matures))
    positions = [watch.terms.inputs.index(name) for name in watch.terms.slices]
    outcomes: list[Outcome] = []
    for row in rows:
        values = msgspec.json.decode(row["inputs"], type=list[Value]) if positions else []
        outcomes.append(Outcome(row["output"], row["value"], tuple(str(values[position]) for position in positions)))
    overall = measure(outcomes, watch.terms.kind)
    return [overall, *measure_slices(outcomes, watch.terms.slices, watch.terms.kind)]


def _calm(watch: Watch, drift: dict[str, DriftState], findings: Sequence[Finding], rows: int) -> frozenset[tuple[str, str]]:
    """Return kind and feature of the alerts whose reason is gone: quality that is good again, drift that has calmed."""
    bad = {(finding.kind, finding.feature) for finding in findings}
    names = ("", *watch.terms.inputs) if rows else ()
    good = {("data_quality", name) for name in names} - bad
    calmed = {("drift", name) for name, state in drift.items() if state.is_calm}
    fresh = set() if any(finding.kind == "staleness" for finding in findings) else {("staleness", "")}
    return frozenset(good | calmed | fresh)
