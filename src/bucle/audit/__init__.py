"""Audit: what the evidence in the ledger shows of Kreuzberger's workflow and Google's levels. It reads, and never writes."""

from bucle.audit.components import ArrowState, ComponentState, arrow_states, component_states
from bucle.audit.evidence import Evidence, Finding
from bucle.audit.maturity import CriterionRow, Maturity, audit_maturity
from bucle.audit.workflow import STEPS, WorkflowRow, audit_workflow

__all__ = [
    "STEPS",
    "ArrowState",
    "ComponentState",
    "CriterionRow",
    "Evidence",
    "Finding",
    "Maturity",
    "WorkflowRow",
    "arrow_states",
    "audit_maturity",
    "audit_workflow",
    "component_states",
]
