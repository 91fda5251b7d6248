"""What pipelines do about events: a tick, rows that arrived, an alert start a run of the environment's code, once each."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import msgspec

from bucle.errors import BucleError
from bucle.ledger import EventFilter, Ledger, Scope, StoredEvent, Subscription, within
from bucle.pipelines import store
from bucle.pipelines.declared import PipelineSpec
from bucle.pipelines.events import TriggerCoalesced
from bucle.pipelines.launching import Firing
from bucle.pipelines.supervisor import Runs
from bucle.pipelines.triggers import OnDegradation, OnDrift, OnNewData, OnSchedule, fires
from bucle.project import DEV
from bucle.runtimes import Code

_log = logging.getLogger(__name__)
_HOUR = timedelta(hours=1)


class Arrival(msgspec.Struct):
    """What is read of `data.arrived`."""

    source: str
    rows: int


class Alert(msgspec.Struct):
    """What is read of `monitoring.alert_fired`."""

    alert_kind: str
    model: str


class Tick(msgspec.Struct):
    """What is read of `ledger.ticked`."""

    hour: datetime


class Triggers:
    """Starts runs for events. `code_of` gives the code of a scope, `active` that of all environments that act on their own."""

    def __init__(
        self,
        ledger: Ledger,
        runs: Runs,
        code_of: Callable[[Scope], Code],
        active: Callable[[], Iterable[tuple[Code, Scope]]],
    ) -> None:
        self._ledger, self._runs, self._code_of, self._active = ledger, runs, code_of, active

    def subscriptions(self) -> list[Subscription]:
        """Return what is to be called for which events."""
        return [
            Subscription("pipelines.schedules", ("ledger.ticked",), self.ticked),
            Subscription("pipelines.new_data", ("data.arrived",), self.arrived),
            Subscription("pipelines.alerts", ("monitoring.alert_fired",), self.alerted),
        ]

    def ticked(self, event: StoredEvent) -> None:
        """Start the pipelines whose schedule has a time since the tick before; several of them are one run."""
        hour = event.decode(Tick).hour
        before = self._ledger.events(EventFilter(kinds=("ledger.ticked",), before=event.seq, newest_first=True, limit=1))
        since = before[0].decode(Tick).hour if before else hour - _HOUR
        for code, scope in self._active():
            if scope.environment == DEV:
                continue
            for spec in _specs(code):
                crons = [each.cron for each in spec.triggers if isinstance(each, OnSchedule)]
                if any(fires(cron, since, hour) for cron in crons):
                    self._fire(code, scope, spec, "schedule", event)

    def arrived(self, event: StoredEvent) -> None:
        """Count rows; start the pipelines that waited for so many."""
        scope, arrival = Scope(event.project, event.environment), event.decode(Arrival)
        values = (scope.project, scope.environment, arrival.source, event.seq, arrival.rows)
        with self._ledger.write() as tx:
            tx.execute(store.INSERT_NEW_ROWS, values)
        if scope.environment in ("", DEV):
            return
        code = self._code_of(scope)
        for spec in _specs(code):
            for trigger in spec.triggers:
                if isinstance(trigger, OnNewData) and trigger.source == arrival.source and self._enough(scope, spec, trigger):
                    self._fire(code, scope, spec, "new_data", event)

    def alerted(self, event: StoredEvent) -> None:
        """Start the pipelines that make the model that the alert is about and declare the trigger for its kind."""
        alert, scope = event.decode(Alert), Scope(event.project, event.environment)
        kind: type[OnDegradation] | type[OnDrift] | None
        kind = {"degradation": OnDegradation, "drift": OnDrift}.get(alert.alert_kind)  # type: ignore[assignment]
        if kind is None or not scope.environment:
            return
        code, model = self._code_of(scope), alert.model.partition("@")[0]
        for spec in _specs(code):
            if spec.model == model and any(isinstance(each, kind) for each in spec.triggers):
                self._fire(code, scope, spec, alert.alert_kind, event)

    def _enough(self, scope: Scope, spec: PipelineSpec, trigger: OnNewData) -> bool:
        with self._ledger.read() as reader:
            last = store.number(reader, store.LAST_OF, scope.project, scope.environment, spec.name)
            return store.rows_since(reader, scope, trigger.source, last) >= trigger.rows

    def _fire(self, code: Code, scope: Scope, spec: PipelineSpec, kind: str, event: StoredEvent) -> None:
        """Start a run because of the event, unless that has been done; join the active run if there is one."""
        with self._ledger.read() as reader:
            active = store.running(reader, scope, spec.name)
            known = reader.row(store.SELECT_FIRING, (event.seq, scope.project, scope.environment, spec.name, kind))
        if known is not None:
            return
        if active is not None:
            values = (event.seq, scope.project, scope.environment, spec.name, kind, active)
            with within(scope), self._ledger.write() as tx:
                if tx.execute(store.INSERT_FIRING, values):
                    tx.emit(TriggerCoalesced(spec.name, kind, active), active)
            return
        try:
            with within(scope):
                self._runs.start(code, scope, spec.name, firing=Firing(kind, event.seq))
        except BucleError as error:
            _log.warning("the pipeline %s was not started by %s: %s", spec.name, kind, error)
            raise


def _specs(code: Code) -> list[PipelineSpec]:
    return code.description.specs("pipeline", PipelineSpec)
