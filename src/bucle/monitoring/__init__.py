"""Monitoring: windows of the prediction log, judged; alerts, few and true; the rule that asks for a retraining."""

from bucle.monitoring.alerts import Alert, AlertState, Finding, acknowledge, fire, get_alert, list_alerts, open_alerts, resolve
from bucle.monitoring.drifting import FeatureReport
from bucle.monitoring.errors import AlertResolved, BadMonitor, NotWatched, UnknownAlert
from bucle.monitoring.inspecting import Inspector
from bucle.monitoring.loss import LossState, advance_loss, row_loss
from bucle.monitoring.monitors import Monitor, MonitorSpec
from bucle.monitoring.performance import Measure, Performance
from bucle.monitoring.reference import Reference
from bucle.monitoring.summaries import (
    LossLedger,
    ServiceSummary,
    StoredWindow,
    count_alerts,
    list_windows,
    loss_gauges,
    summarize,
)
from bucle.monitoring.terms import terms_of
from bucle.monitoring.watches import Terms, Watch
from bucle.monitoring.watching import Watched, Watching
from bucle.monitoring.windows import WindowReport

__all__ = [
    "Alert",
    "AlertResolved",
    "AlertState",
    "BadMonitor",
    "FeatureReport",
    "Finding",
    "Inspector",
    "LossLedger",
    "LossState",
    "Measure",
    "Monitor",
    "MonitorSpec",
    "NotWatched",
    "Performance",
    "Reference",
    "ServiceSummary",
    "StoredWindow",
    "Terms",
    "UnknownAlert",
    "Watch",
    "Watched",
    "Watching",
    "WindowReport",
    "acknowledge",
    "advance_loss",
    "count_alerts",
    "fire",
    "get_alert",
    "list_alerts",
    "list_windows",
    "loss_gauges",
    "open_alerts",
    "resolve",
    "row_loss",
    "summarize",
    "terms_of",
]
