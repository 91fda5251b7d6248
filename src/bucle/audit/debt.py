"""All detectors of hidden debt over one environment."""

from collections.abc import Callable

from bucle.audit.consumers import audit_consumers
from bucle.audit.debts import Debt, DebtRow
from bucle.audit.dependencies import audit_dependencies
from bucle.audit.live import Live, read_live
from bucle.ledger import Ledger, Scope, from_us

Detector = Callable[[Ledger, Live], DebtRow]
DETECTORS: tuple[Detector, ...] = (audit_consumers, audit_dependencies)


def audit_debt(ledger: Ledger, scope: Scope) -> Debt:
    """Ask each detector about an environment; what is in memory must be in the ledger before (`Services.flush`)."""
    with ledger.read() as reader:
        live = read_live(ledger, reader, scope)
    rows = tuple(detect(ledger, live) for detect in DETECTORS)
    return Debt(scope.project, scope.environment, from_us(live.now_us), rows)
