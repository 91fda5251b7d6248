"""The page of alerts: what fired, with its numbers, and what followed from it."""

from dataclasses import dataclass

from bucle.ledger import EventFilter, Scope
from bucle.monitoring import Alert, list_alerts
from bucle.server.api.work import visible_items
from bucle.server.pages.environments import visible_environments
from bucle.server.pages.page import Page
from bucle.server.routing import Call
from bucle.tracking import RunFilter, list_runs
from bucle.work import WorkItem

_SHOWN = 200
_ORDER = {"firing": 0, "acknowledged": 1, "resolved": 2}


@dataclass(frozen=True, slots=True)
class Followed:
    """Something that an alert led to: a run or a work item, with its state."""

    id: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert with the runs that it started and the work that was opened for it."""

    alert: Alert
    runs: list[Followed]
    work: list[Followed]


@dataclass(frozen=True, slots=True)
class AlertsDocument:
    """The alerts of all environments: firing ones first, then newest first."""

    firing: int
    alerts: list[AlertRow]


def alerts_document(call: Call) -> AlertsDocument:
    """Return the alerts of the project with what followed."""
    with call.house.ledger.read() as reader:
        scopes = visible_environments(call, reader, "monitoring.read")
        found = [alert.told(call.language) for scope in scopes for alert in list_alerts(reader, scope, limit=_SHOWN)]
    found.sort(key=lambda alert: alert.event, reverse=True)
    found.sort(key=lambda alert: _ORDER[alert.state])
    runs, items = _runs(call, scopes), visible_items(call, "all")
    rows = [AlertRow(alert, runs.get(alert.event, []), _about(alert, items)) for alert in found]
    return AlertsDocument(sum(alert.state == "firing" for alert in found), rows)


def _runs(call: Call, scopes: list[Scope]) -> dict[int, list[Followed]]:
    """Return the newest runs by the seqs of the events because of which they began."""
    project = call.path["project"]
    wanted = EventFilter(kinds=("pipelines.run_started",), project=project, newest_first=True, limit=_SHOWN)
    began = {event.subject: event.caused_by for event in call.house.ledger.events(wanted) if event.caused_by}
    names = {scope.environment for scope in scopes}
    with call.house.ledger.read() as reader:
        listed = list_runs(reader, RunFilter(project=project, parent="", limit=_SHOWN)) if began else []
    runs: dict[int, list[Followed]] = {}
    for run in listed:
        if run.environment in names:
            for cause in began.get(run.id, ()):
                runs.setdefault(cause, []).append(Followed(run.id, run.name, run.status))
    return runs


def _about(alert: Alert, items: list[WorkItem]) -> list[Followed]:
    return [
        Followed(item.id, item.title, item.state)
        for item in items
        if any(link.kind == "alert" and link.target == alert.id for link in item.links)
    ]


PAGES = (
    Page(
        "/projects/{project}/alerts",
        "alerts.html.j2",
        alerts_document,
        "monitoring.read",
        "Alerts.",
        live=(
            "monitoring.alert_fired",
            "monitoring.alert_acknowledged",
            "monitoring.alert_resolved",
            "pipelines.run_started",
            "work.",
        ),
        reach="any",
    ),
)
