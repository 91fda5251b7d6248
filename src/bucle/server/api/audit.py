"""Routes of the audit: the workflow, the maturity and the hidden debt of a project, as the evidence shows them."""

from dataclasses import dataclass

from bucle.audit import Evidence, Maturity, WorkflowRow, audit_maturity, audit_workflow
from bucle.server.debts import PRODUCTION, DebtReport, report_debt
from bucle.server.routing import Call, Route


@dataclass(frozen=True, slots=True)
class Workflow:
    """Each step of Figure 4 with its event; `shown` of `total` have one."""

    project: str
    shown: int
    total: int
    steps: list[WorkflowRow]


def workflow(call: Call) -> Workflow:
    """Return each step of Kreuzberger's workflow with the event that proves it."""
    project = call.path["project"]
    rows = audit_workflow(Evidence(call.house.ledger, project))
    return Workflow(project, sum(row.event is not None for row in rows), len(rows), rows)


def maturity(call: Call) -> Maturity:
    """Return Google's level of the project with each criterion's evidence."""
    return audit_maturity(Evidence(call.house.ledger, call.path["project"])).told(call.language)


def debt(call: Call) -> DebtReport:
    """Return what the detectors of hidden debt say of an environment, production unless the query names another."""
    scope = call.own("audit.read", call.query.get("environment", PRODUCTION))
    return report_debt(call.house, scope, call.language)


ROUTES = [
    Route("GET", "/api/v1/projects/{project}/audit/workflow", workflow, "audit.read", "Kreuzberger's workflow."),
    Route("GET", "/api/v1/projects/{project}/audit/maturity", maturity, "audit.read", "Google's maturity level."),
    Route("GET", "/api/v1/projects/{project}/audit/debt", debt, "audit.read", "Hidden debt, detected."),
]
