"""Audit: what the ledger shows of Kreuzberger's workflow, Google's levels and hidden debt. It reads, and never writes."""

from bucle.audit.components import ArrowState, ComponentState, arrow_states, component_states
from bucle.audit.debt import audit_debt
from bucle.audit.debts import Debt, DebtFinding, DebtRow, DebtState
from bucle.audit.evidence import Evidence, Finding
from bucle.audit.maturity import CriterionRow, Maturity, audit_maturity
from bucle.audit.workflow import STEPS, WorkflowRow, audit_workflow

__all__ = [
    "STEPS",
    "ArrowState",
    "ComponentState",
    "CriterionRow",
    "Debt",
    "DebtFinding",
    "DebtRow",
    "DebtState",
    "Evidence",
    "Finding",
    "Maturity",
    "WorkflowRow",
    "arrow_states",
    "audit_debt",
    "audit_maturity",
    "audit_workflow",
    "component_states",
]
