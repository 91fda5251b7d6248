"""All detectors of hidden debt over one environment."""

from bucle.audit.consumers import audit_consumers
from bucle.audit.debts import Debt
from bucle.audit.dependencies import audit_dependencies
from bucle.audit.feedback import audit_feedback
from bucle.audit.live import read_live
from bucle.ledger import Home, Scope, from_us
from bucle.runtimes import RunnerPool


def audit_debt(home: Home, runners: RunnerPool, scope: Scope) -> Debt:
    """Ask each detector about an environment; what is in memory must be in the ledger before (`Services.flush`)."""
    with home.ledger.read() as reader:
        live = read_live(home.ledger, reader, scope)
    rows = (audit_consumers(home.ledger, live), audit_dependencies(home.ledger, live), audit_feedback(home, runners, live))
    return Debt(scope.project, scope.environment, from_us(live.now_us), rows)
