"""The text exposition format of Prometheus: families of samples with their help and type."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Family:
    """A metric: its name, what it means, its type, and its samples."""

    name: str
    help: str
    type: Literal["counter", "gauge", "histogram"]
    lines: list[str] = field(default_factory=list)

    def add(self, value: float, **labels: object) -> None:
        """Add a sample."""
        self.lines.append(f"{self.name}{_labels(labels)} {_number(value)}")

    def add_histogram(self, bounds: Sequence[float], counts: Sequence[int], seconds: float, **labels: object) -> None:
        """Add a histogram: `counts` has one more entry than `bounds`, for what lies beyond the last."""
        running = 0
        for bound, count in zip((*bounds, math.inf), counts, strict=True):
            running += count
            self.lines.append(f"{self.name}_bucket{_labels(labels | {'le': _number(bound)})} {running}")
        self.lines.append(f"{self.name}_sum{_labels(labels)} {_number(seconds)}")
        self.lines.append(f"{self.name}_count{_labels(labels)} {running}")

    def text(self) -> str:
        """Return the family in the exposition format."""
        head = f"# HELP {self.name} {self.help}\n# TYPE {self.name} {self.type}\n"
        return head + "".join(f"{line}\n" for line in self.lines)


def _labels(labels: Mapping[str, object]) -> str:
    parts = ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())
    return f"{{{parts}}}" if parts else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
