"""The page of the audit: the workflow's table and the maturity's criteria."""

from dataclasses import dataclass

from bucle.audit import Evidence, Maturity, WorkflowRow, audit_maturity, audit_workflow
from bucle.server.pages.page import Page
from bucle.server.routing import Call


@dataclass(frozen=True, slots=True)
class AuditDocument:
    """What the evidence proves of a project."""

    workflow: list[WorkflowRow]
    maturity: Maturity


def audit_document(call: Call) -> AuditDocument:
    """Return the audit of a project."""
    evidence = Evidence(call.house.ledger, call.path["project"])
    return AuditDocument(audit_workflow(evidence), audit_maturity(evidence))


PAGES = (Page("/projects/{project}/audit", "audit.html.j2", audit_document, "audit.read", "Audit."),)
