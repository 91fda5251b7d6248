"""A service: what answers predictions with a model's deployed version."""

from typing import ClassVar

import msgspec

from bucle.project import Definition


class ServiceSpec(msgspec.Struct, frozen=True):
    """What a service's definition says: its model, the key that joins labels, the threshold of its decisions."""

    name: str
    model: str
    key: str | None = None
    threshold: float = 0.5


class Service(Definition):
    """A name under which predictions of a model are asked for: `bucle.Service("delay", model="delay", key="flight_id")`.

    `key` is the request field by which labels come back; without one, labels name prediction ids. `threshold` is the
    probability from which the decision is yes. The inputs and features are those of the deployed model version.
    """

    kind: ClassVar[str] = "service"

    def __init__(self, name: str | None = None, *, model: str, key: str | None = None, threshold: float = 0.5) -> None:
        if name:
            self.bind(name)
        self.model, self.key, self.threshold = model, key, threshold

    def spec(self) -> ServiceSpec:
        """Return what the server needs to know of this definition."""
        return ServiceSpec(self.required_name(), self.model, self.key, self.threshold)
