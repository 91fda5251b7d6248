"""Monitoring: windows of the prediction log, judged; alerts, few and true; the rule that asks for a retraining."""

from bucle.monitoring.alerts import Alert, AlertState, Finding, acknowledge, fire, get_alert, list_alerts, open_alerts, resolve
from bucle.monitoring.budgets import Budget, Burn
from bucle.monitoring.drifting import FeatureReport
from bucle.monitoring.errors import AlertResolved, BadMonitor, NotWatched, RouteFailed, UnknownAlert, UnknownRoute
from bucle.monitoring.inspecting import Inspector
from bucle.monitoring.loss import LossState, advance_loss, row_loss
from bucle.monitoring.monitors import Monitor, MonitorSpec
from bucle.monitoring.objectives import Objectives, budget_gauges
from bucle.monitoring.performance import Measure, Performance
from bucle.monitoring.reference import Reference
from bucle.monitoring.routes import (
    LAPTOP,
    Courier,
    Delivery,
    Network,
    NetworkPolicy,
    RouteState,
    count_deliveries,
    list_deliveries,
    missing_variables,
    network,
    route_states,
)
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
    "LAPTOP",
    "Alert",
    "AlertResolved",
    "AlertState",
    "BadMonitor",
    "Budget",
    "Burn",
    "Courier",
    "Delivery",
    "FeatureReport",
    "Finding",
    "Inspector",
    "LossLedger",
    "LossState",
    "Measure",
    "Monitor",
    "MonitorSpec",
    "Network",
    "NetworkPolicy",
    "NotWatched",
    "Objectives",
    "Performance",
    "Reference",
    "RouteFailed",
    "RouteState",
    "ServiceSummary",
    "StoredWindow",
    "Terms",
    "UnknownAlert",
    "UnknownRoute",
    "Watch",
    "Watched",
    "Watching",
    "WindowReport",
    "acknowledge",
    "advance_loss",
    "budget_gauges",
    "count_alerts",
    "count_deliveries",
    "fire",
    "get_alert",
    "list_alerts",
    "list_deliveries",
    "list_windows",
    "loss_gauges",
    "missing_variables",
    "network",
    "open_alerts",
    "resolve",
    "route_states",
    "row_loss",
    "summarize",
    "terms_of",
]
