"""The watch over service objectives: each minute of the world's clock, each hour of a replayed one (L-09)."""

import logging
import threading
from dataclasses import dataclass

from bucle.ledger import Ledger, Reader, Scope, StoredEvent, Subscription, Transaction, acting, because
from bucle.messages import Phrase
from bucle.monitoring import store
from bucle.monitoring.alerts import Finding, fire, open_alerts, resolve
from bucle.monitoring.budgets import Budget, Burn, Tally, budget_of
from bucle.monitoring.watches import Watch, watch_of
from bucle.serving import Services

_SECONDS = 60.0
_STOP_SECONDS = 5.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BudgetGauge:
    """The budget of an objective of a service that is watched now."""

    scope: Scope
    service: str
    budget: Budget


class Objectives:
    """Fires an alert while an error budget burns too fast, and resolves it when that is over."""

    def __init__(self, ledger: Ledger, services: Services) -> None:
        self._ledger, self._services = ledger, services
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def subscription(self) -> Subscription:
        """Return what happens at each hour of the home's clock."""
        return Subscription("monitoring-objectives", ("ledger.ticked",), self.tick)

    def tick(self, event: StoredEvent) -> None:
        """Judge every objective."""
        self.judge()

    def start(self) -> None:
        """Judge each minute in the background; a replayed clock has its ticks."""
        if self._ledger.clock.kind == "wall":
            self._thread = threading.Thread(target=self._run, name="bucle-objectives", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=_STOP_SECONDS)

    def judge(self) -> None:
        """Roll up what was counted, and fire and resolve."""
        with self._ledger.read() as reader:
            watches = [watch for row in reader.rows(store.SELECT_ACTIVE) if (watch := watch_of(row)).terms.objectives]
        if watches:
            self._services.flush()
        for watch in watches:
            with self._ledger.write() as tx, because(watch.deployed):
                _judge(tx, watch)

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            try:
                with acting("subscription:monitoring-objectives", "system"):
                    self.judge()
            except Exception:
                _log.exception("the objectives could not be judged")


def budgets(reader: Reader, watch: Watch, now_us: int) -> list[Budget]:
    """Return the budgets of a watched service as they stand."""
    terms = watch.terms.objectives
    return [budget_of(each, Tally(reader, watch.scope, watch.service, each, now_us)) for each in terms]


def budget_gauges(reader: Reader, now_us: int) -> list[BudgetGauge]:
    """Return the budgets of all services that are watched now."""
    watches = [watch_of(row) for row in reader.rows(store.SELECT_ACTIVE)]
    return [BudgetGauge(watch.scope, watch.service, each) for watch in watches for each in budgets(reader, watch, now_us)]


def _judge(tx: Transaction, watch: Watch) -> None:
    found = []
    for objective in watch.terms.objectives:
        tally = Tally(tx, watch.scope, watch.service, objective, tx.clock.now_us())
        found.append(budget_of(objective, tally))
        tally.roll_up(tx)
    for budget in found:
        for severity in ("fast", "slow"):
            burns = [burn for burn in budget.burns if burn.severity == severity]
            burning = [burn for burn in burns if burn.burning]
            about = f"{budget.name} ({severity} burn)"
            if burning:
                fire(
                    tx,
                    watch.scope,
                    watch.service,
                    watch.deployment,
                    watch.terms.model,
                    _finding(watch, budget, burning[0], about),
                )
            elif burns and all(burn.calm for burn in burns):
                _calm(tx, watch, about)


def _finding(watch: Watch, budget: Budget, burn: Burn, about: str) -> Finding:
    rate = burn.long_rate or 0.0
    fields: dict[str, str | int | float] = {
        "service": watch.service,
        "objective": budget.name,
        "target": budget.target,
        "rate": rate,
        "limit": burn.limit,
        "hours": burn.long.total_seconds() / 3600,
        "bad": burn.bad,
    }
    numbers = {"target": budget.target, "burn_rate": rate, "limit": burn.limit, "bad": float(burn.bad)}
    if budget.remaining is not None:
        numbers["budget_remaining"] = budget.remaining
    return Finding("objective", about, Phrase("alert.objective", fields), numbers)


def _calm(tx: Transaction, watch: Watch, about: str) -> None:
    for alert in open_alerts(tx, watch.scope, watch.service):
        if (alert.kind, alert.feature) == ("objective", about):
            with because(alert.event):
                resolve(tx, watch.scope, alert.id, Phrase("resolved.budget"))
