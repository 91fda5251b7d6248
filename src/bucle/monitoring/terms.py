"""The terms of a watch: read from the project's definitions and the model version that was deployed."""

from collections.abc import Sequence

import msgspec

from bucle.monitoring.monitors import MonitorSpec
from bucle.monitoring.watches import Terms
from bucle.project import ProjectDescription
from bucle.serving import Deployment, ObjectiveSpec


class TriggerTerms(msgspec.Struct, frozen=True):
    """The fields of a pipeline's trigger that monitoring reads: a retraining on degradation, and what it costs."""

    kind: str = ""
    retrain_cost: float | None = None


class PipelineTerms(msgspec.Struct, frozen=True):
    """The fields of a pipeline that monitoring reads: the model that it makes and what starts it."""

    model: str | None = None
    triggers: tuple[TriggerTerms, ...] = ()


class LabelTerms(msgspec.Struct, frozen=True):
    """The fields of a label that monitoring reads."""

    name: str = ""
    matures_us: int = 0


class TrainingSetTerms(msgspec.Struct, frozen=True):
    """The fields of a training set that monitoring reads."""

    label: LabelTerms = LabelTerms()


class ServiceTerms(msgspec.Struct, frozen=True):
    """The fields of a service that monitoring reads."""

    name: str = ""
    objectives: tuple[ObjectiveSpec, ...] = ()


def terms_of(
    description: ProjectDescription,
    deployment: Deployment,
    *,
    expected_loss: float | None,
    trained_us: int | None,
    slices: Sequence[str] = (),
) -> Terms:
    """Return what a deployment is held to, by the definitions that are in force where it is deployed."""
    candidate = deployment.candidate
    contract = candidate.contract
    monitor = monitor_of(description, candidate.service)
    inputs = tuple(column.name for column in contract.inputs)
    return Terms(
        monitor=monitor,
        model=candidate.model,
        kind=contract.kind,
        inputs=inputs,
        slices=tuple(name for name in dict.fromkeys((*monitor.slices, *slices)) if name in inputs),
        matures_us=_matures(description, contract.label),
        trained_us=trained_us,
        expected_loss=None if contract.kind == "class" else expected_loss,
        retrain_cost=_retrain_cost(description, candidate.model),
        objectives=_objectives(description, candidate.service),
    )


def monitor_of(description: ProjectDescription, service: str) -> MonitorSpec:
    """Return the monitor that the project declares for a service, else one with the defaults."""
    declared = [spec for spec in description.specs("monitor", MonitorSpec) if spec.service == service]
    return declared[0] if declared else MonitorSpec(service, service)


def _objectives(description: ProjectDescription, service: str) -> tuple[ObjectiveSpec, ...]:
    declared = description.specs("service", ServiceTerms)
    return next((each.objectives for each in declared if each.name == service), ())


def _matures(description: ProjectDescription, label: str) -> int:
    sets = description.specs("training_set", TrainingSetTerms)
    return max((each.label.matures_us for each in sets if each.label.name == label), default=0)


def _retrain_cost(description: ProjectDescription, model: str) -> float | None:
    """Return the lowest cost of a retraining that any pipeline of the model declares, None when none does."""
    pipelines = [each for each in description.specs("pipeline", PipelineTerms) if each.model == model]
    costs = [trigger.retrain_cost for each in pipelines for trigger in each.triggers if trigger.retrain_cost is not None]
    return min(costs, default=None)
