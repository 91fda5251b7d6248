"""What a run says of itself: parameters, metrics, tags, artifacts, notes, settings read; spooled as a `RunLog`."""

import json
import math
import time
from typing import Any, Literal

import msgspec

from bucle.tracking.errors import BadMetric, BadName, ParameterChanged, TooMuch

LONGEST_NAME = 250
LONGEST_VALUE = 16_000
MOST_ENTRIES = 10_000
"""Parameters, tags and notes of one run, each."""

Special = Literal["NaN", "Infinity", "-Infinity"]


class MetricPoint(msgspec.Struct, frozen=True):
    """One value of a metric at a step; `at_us` is database time. JSON has no NaN or infinity, so these travel as texts."""

    name: str
    value: float | Special
    step: int = 0
    at_us: int = 0

    @property
    def number(self) -> float:
        """The value as a float, NaN and infinities included."""
        return float(self.value)


class ArtifactLog(msgspec.Struct, frozen=True):
    """A file that a run kept under a name; `id` is its content id, `size` in bytes."""

    name: str
    id: str
    size: int = 0


class Note(msgspec.Struct, frozen=True):
    """A fact that a room noted about the run, for instance a frame that was read or a split that was made."""

    kind: str
    data: dict[str, Any]


class SettingRead(msgspec.Struct, frozen=True):
    """A setting that the code read and the value that it got, as JSON text."""

    name: str
    value: str


class RunLog(msgspec.Struct):
    """The spool of one attempt or of one batch of a script; committed with the result, lost with a killed attempt.

    `batch` numbers the batches of a script from 1, so that a batch sent twice is recorded once; 0 is not numbered.
    """

    params: dict[str, Any] = {}
    metrics: list[MetricPoint] = []
    tags: dict[str, str] = {}
    artifacts: list[ArtifactLog] = []
    notes: list[Note] = []
    settings_read: list[SettingRead] = []
    batch: int = 0

    def __bool__(self) -> bool:
        return bool(self.params or self.metrics or self.tags or self.artifacts or self.notes or self.settings_read)

    def param(self, name: str, value: object) -> None:
        """Note a parameter. Raises `tracking/param-changed` when it already has another value."""
        checked = checked_param(name, value)
        if name in self.params and self.params[name] != checked:
            raise ParameterChanged(name=name, old=self.params[name], new=checked)
        self.params[name] = checked

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """Note a value of a metric; NaN and infinities are kept."""
        self.metrics.append(metric_point(name, value, step))

    def tag(self, name: str, value: str) -> None:
        """Note a tag; the last value counts."""
        self.tags[checked_name(name)] = checked_text(name, value)

    def note(self, kind: str, **data: Any) -> None:
        """Note a fact of a kind, with JSON data."""
        self.notes.append(Note(kind, data))

    def check(self) -> None:
        """Check what came over a wire: names, sizes, numbers. Raises the coded errors of the functions below."""
        for entries in (self.params, self.tags, self.notes, self.artifacts, self.settings_read):
            if len(entries) > MOST_ENTRIES:
                raise TooMuch(what="entries", limit=MOST_ENTRIES)
        for name, value in self.params.items():
            checked_param(name, value)
        for name, text in self.tags.items():
            checked_text(checked_name(name), text)
        for name in {point.name for point in self.metrics}:
            checked_name(name)
        for point in self.metrics:
            if not -(2**63) <= point.step < 2**63:
                raise BadMetric(name=point.name, reason=f"the step {point.step!r} is not a 64-bit integer")
        for name in [each.name for each in self.artifacts] + [each.name for each in self.settings_read]:
            checked_name(name)


def metric_point(name: str, value: float, step: int = 0) -> MetricPoint:
    """Return a point stamped now. Raises `tracking/bad-metric` for what is no number or a step beyond 64 bits."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise BadMetric(name=name, reason=f"{type(value).__name__} is not a number") from None
    if isinstance(step, bool) or not isinstance(step, int) or not -(2**63) <= step < 2**63:
        raise BadMetric(name=name, reason=f"the step {step!r} is not a 64-bit integer")
    return MetricPoint(checked_name(name), number if math.isfinite(number) else special(number), step, now_us())


def special(number: float) -> Special:
    """Return the text of a number that JSON and SQL cannot hold."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def checked_param(name: str, value: object) -> Any:
    """Return the value as JSON holds it; other types become their text. Raises `tracking/too-much`, `tracking/bad-name`."""
    checked_name(name)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    try:
        text = json.dumps(value, allow_nan=False, sort_keys=True)
        plain = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        text = plain = str(value)
    if len(text) > LONGEST_VALUE:
        raise TooMuch(what=f"characters in the parameter {name!r}", limit=LONGEST_VALUE)
    return plain


def checked_name(name: str) -> str:
    """Return the name. Raises `tracking/bad-name` unless it is 1 to 250 printable characters and no path out of its folder."""
    bad_path = name.startswith("/") or ".." in name.replace("\\", "/").split("/")
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or bad_path:
        raise BadName(name=name[:60], limit=LONGEST_NAME)
    return name


def checked_text(name: str, value: object) -> str:
    """Return the text of a tag. Raises `tracking/too-much`."""
    text = str(value)
    if len(text) > LONGEST_VALUE:
        raise TooMuch(what=f"characters in the tag {name!r}", limit=LONGEST_VALUE)
    return text


def now_us() -> int:
    """Return database time: microseconds since 1970 UTC by this machine's clock."""
    return time.time_ns() // 1000
