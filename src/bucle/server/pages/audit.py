"""The page of the audit: hidden debt, the maturity's criteria and the workflow's table."""

from dataclasses import dataclass

from bucle.audit import Evidence, Maturity, WorkflowRow, audit_maturity, audit_workflow
from bucle.ledger import Scope
from bucle.server.debts import PRODUCTION, DebtReport, report_debt
from bucle.server.pages.page import Page
from bucle.server.routing import Call


@dataclass(frozen=True, slots=True)
class AuditDocument:
    """What the evidence proves of a project; `debt` is that of production, None for a reader who may not see it."""

    workflow: list[WorkflowRow]
    maturity: Maturity
    debt: DebtReport | None


def audit_document(call: Call) -> AuditDocument:
    """Return the audit of a project."""
    evidence, production = Evidence(call.house.ledger, call.path["project"]), Scope(call.path["project"], PRODUCTION)
    debt = report_debt(call.house, production, call.language) if call.may("audit.read", production) else None
    return AuditDocument(audit_workflow(evidence), audit_maturity(evidence).told(call.language), debt)


PAGES = (Page("/projects/{project}/audit", "audit.html.j2", audit_document, "audit.read", "Audit."),)
