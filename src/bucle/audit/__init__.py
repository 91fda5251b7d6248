"""Audit: what the evidence in the ledger shows of Kreuzberger's workflow and Google's levels. It reads, and never writes."""

from bucle.audit.evidence import Evidence, Finding
from bucle.audit.workflow import STEPS, WorkflowRow, audit_workflow

__all__ = ["STEPS", "Evidence", "Finding", "WorkflowRow", "audit_workflow"]
