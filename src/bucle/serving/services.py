"""A service: what answers predictions with a model's deployed version."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from bucle.project import Definition
from bucle.serving.objectives import Objective, ObjectiveSpec, objective_specs


class ServiceSpec(msgspec.Struct, frozen=True):
    """What a service's definition says: its model, the key that joins labels, the threshold of its decisions, who uses it.

    `consumers` are names of principals; None says that nobody was declared, which is not the same as that nobody may.
    """

    name: str
    model: str
    key: str | None = None
    threshold: float = 0.5
    consumers: tuple[str, ...] | None = None
    objectives: tuple[ObjectiveSpec, ...] = ()


class Service(Definition):
    """A name under which predictions of a model are asked for: `bucle.Service("delay", model="delay", key="flight_id")`.

    `key` is the request field by which labels come back; without one, labels name prediction ids. `threshold` is the
    probability from which the decision is yes. `consumers` are the names, as tokens bear them, of all who ask it, send its
    labels or read its predictions: `bucle audit debt` names others (S-03). `objectives` are what it promises:
    `bucle.Objective`. The inputs and features are those of the deployed model version.
    """

    kind: ClassVar[str] = "service"

    def __init__(
        self,
        name: str | None = None,
        *,
        model: str,
        key: str | None = None,
        threshold: float = 0.5,
        consumers: Sequence[str] | None = None,
        objectives: Sequence[Objective] = (),
    ) -> None:
        if name:
            self.bind(name)
        self.model, self.key, self.threshold = model, key, threshold
        named = (consumers,) if isinstance(consumers, str) else consumers
        self.objectives = objective_specs(objectives, self.where)
        self.consumers = None if named is None else tuple(named)

    def spec(self) -> ServiceSpec:
        """Return what the server needs to know of this definition."""
        return ServiceSpec(self.required_name(), self.model, self.key, self.threshold, self.consumers, self.objectives)
