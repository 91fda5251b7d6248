"""What starts a run by itself: a schedule, new data, a degraded model, drift. On demand needs no declaration."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from bucle.pipelines.errors import BadTrigger
from bucle.project import Definition, declared_here


class OnSchedule(msgspec.Struct, frozen=True, tag_field="kind", tag="schedule"):
    """Runs at the times of a cron expression, UTC, on the home's clock."""

    cron: str


class OnNewData(msgspec.Struct, frozen=True, tag_field="kind", tag="new_data"):
    """Runs when at least `rows` rows of a source have arrived since the pipeline last began."""

    source: str
    rows: int


class OnDegradation(msgspec.Struct, frozen=True, tag_field="kind", tag="degradation"):
    """Runs when the excess loss on mature labels has passed the cost of a retraining, in units of the loss."""

    retrain_cost: float


class OnDrift(msgspec.Struct, frozen=True, tag_field="kind", tag="drift"):
    """Runs when the distribution of an input has changed (Google's level 1)."""


Trigger = OnSchedule | OnNewData | OnDegradation | OnDrift


def on_schedule(cron: str) -> OnSchedule:
    """Run the pipeline at the times of a cron expression ("0 3 * * *" is daily at 03:00 UTC).

    Times are those of the home's clock; firings that were missed are made up for by one run. Raises `pipelines/bad-trigger`.
    """
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(cron, datetime(2013, 1, 1)))
    except (CronSimError, StopIteration) as error:
        reason = str(error) or "it never fires"
        raise BadTrigger(trigger="on_schedule", value=cron, reason=reason, hint=_CRON, where=_here()) from None
    return OnSchedule(cron)


def on_new_data(source: Any, rows: int = 1) -> OnNewData:
    """Run the pipeline when at least `rows` rows of `source` (a source or its name) have arrived since it last began."""
    if rows < 1:
        raise BadTrigger(trigger="on_new_data", value=rows, reason="it would never wait", hint="Give 1 or more.", where=_here())
    name = source.name if isinstance(source, Definition) else str(source)
    return OnNewData(name, rows)


def on_degradation(retrain_cost: float) -> OnDegradation:
    """Run the pipeline when the cumulative excess loss on mature labels passes `retrain_cost`.

    In units of the loss: 300 is the loss of 300 wholly wrong predictions. Monitoring decides; the pipeline is the one that
    makes the degraded service's model. Raises `pipelines/bad-trigger`.
    """
    if not retrain_cost > 0:
        hint = "Say what a retraining costs, in units of the loss."
        raise BadTrigger(trigger="on_degradation", value=retrain_cost, reason="a cost is above 0", hint=hint, where=_here())
    return OnDegradation(float(retrain_cost))


def on_drift() -> OnDrift:
    """Run the pipeline when monitoring finds that the distribution of its model's inputs has changed."""
    return OnDrift()


def fires(cron: str, after: datetime, until: datetime) -> bool:
    """Whether a cron expression has a time in (after, until]."""
    from cronsim import CronSim

    following = next(CronSim(cron, after), None)
    return following is not None and following <= until


HOUR = timedelta(hours=1)
_CRON = 'Five fields: minute hour day month weekday, for instance "0 3 * * 1".'


def _here() -> str:
    file, line = declared_here()
    return f"{file}:{line}"
