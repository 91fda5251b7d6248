"""The page of models side by side: what differs between versions, and whether one is better by more than chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from bucle.features import FrameColumn
from bucle.ledger import Reader
from bucle.registry import GateRecord, ModelVersion, SliceResult, Stage, find_version, list_versions
from bucle.server.errors import BadParameter
from bucle.server.pages.page import Page
from bucle.server.pages.spans import Span, Spans, lay_out
from bucle.server.routing import Call
from bucle.tracking import RunRecord, UnknownRun, get_run

T = TypeVar("T")

_MOST = 6


@dataclass(frozen=True, slots=True)
class Column:
    """A version as the head of a column. `size` is in bytes; `rows` are those of its hold-out, which `rows_id` names."""

    id: str
    name: str
    model: str
    version: int
    stage: Stage
    environment: str
    passed: bool
    made: datetime
    run: str | None
    rows: int | None
    rows_id: str
    event: int


@dataclass(frozen=True, slots=True)
class Line:
    """One thing of each version, in the order of the columns; None where a version does not have it."""

    name: str
    values: list[str | None]

    @property
    def differs(self) -> bool:
        """Whether not all versions have the same."""
        return len(set(self.values)) > 1


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much less a model loses on a row than the trivial baseline, with one-sided bounds at 95 % each."""

    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, slots=True)
class MetricLine:
    """A metric of each version on its hold-out."""

    name: str
    values: list[float | None]


@dataclass(frozen=True, slots=True)
class SliceLine:
    """A slice of each version: its gain over the baseline; None where it was not evaluated or has too few rows."""

    name: str
    gains: list[Gain | None]


@dataclass(frozen=True, slots=True)
class GateLine:
    """A gate of each version."""

    name: str
    gates: list[GateRecord | None]


@dataclass(frozen=True, slots=True)
class Pair:
    """By how much less a version lost on a row than the one in production then, on the same rows; `event` is its gate's."""

    version: str
    champion: str
    gain: Gain
    event: int


@dataclass(frozen=True, slots=True)
class CompareDocument:
    """Versions side by side. Of settings, code and libraries only what differs is listed; `same` counts what does not.

    `same_rows` says that all were evaluated on the same rows, so that their metrics may be compared at all.
    """

    choices: list[str]
    columns: list[Column]
    same_rows: bool
    parameters: list[Line]
    same_parameters: int
    data: list[Line]
    code: list[Line]
    metrics: list[MetricLine]
    gains: list[Gain | None]
    gain_chart: Spans | None
    pairs: list[Pair]
    pair_chart: Spans | None
    slices: list[SliceLine]
    slice_chart: Spans | None
    gates: list[GateLine]
    signature: list[Line]
    same_inputs: int


def compare_document(call: Call) -> CompareDocument:
    """Return the versions that are asked for, without any the newest two of one model. Raises `registry/unknown-version`."""
    project = call.path["project"]
    with call.house.ledger.read() as reader:
        known = list_versions(reader, project)
        wanted = list(dict.fromkeys(call.request.query_params.getlist("version")))
        if len(wanted) > _MOST:
            raise BadParameter(
                name="version", value=str(len(wanted)), expected=f"at most {_MOST} versions", where="query.version"
            )
        found = {each.id: each for each in (find_version(reader, project, name) for name in wanted)}
        versions = list(found.values()) if wanted else _newest(known)
        runs = [_run(reader, version, project) for version in versions]
    versions = [each.told(call.language) for each in versions]
    return _compared(versions, runs, [each.name for each in known])


def _newest(known: Sequence[ModelVersion]) -> list[ModelVersion]:
    """The newest version of a model beside the one before it."""
    of_one = [each for each in known if each.model == known[0].model] if known else []
    return list(reversed(of_one[:2]))


def _run(reader: Reader, version: ModelVersion, project: str) -> RunRecord | None:
    try:
        return get_run(reader, version.run, project) if version.run else None
    except UnknownRun:
        return None


def _compared(versions: list[ModelVersion], runs: list[RunRecord | None], choices: list[str]) -> CompareDocument:
    parameters = _lines([_texts(run.params if run else {}) for run in runs])
    inputs = _lines([{column.name: _column(column) for column in each.signature.inputs} for each in versions])
    differing = [line for line in inputs if line.differs]
    gains = [_gain(each) for each in versions]
    slices = _slices(versions)
    pairs = [pair for each in versions if (pair := _pair(each))]
    return CompareDocument(
        choices=choices,
        columns=[_head(each) for each in versions],
        same_rows=len({each.evaluation.rows_id if each.evaluation else "" for each in versions}) == 1,
        parameters=[line for line in parameters if line.differs],
        same_parameters=sum(not line.differs for line in parameters),
        data=_lines([{use.source: use.version for use in run.data} if run else {} for run in runs]),
        code=[line for line in _lines([_code(each) for each in versions]) if line.differs],
        metrics=_metrics(versions),
        gains=gains,
        gain_chart=lay_out([("", _spans(versions, gains))]),
        pairs=pairs,
        pair_chart=lay_out([("", [_span(f"{each.version} / {each.champion}", each.gain) for each in pairs])]),
        slices=slices,
        slice_chart=lay_out([(line.name, _spans(versions, line.gains)) for line in slices]),
        gates=[GateLine(name, values) for name, values in _by_name([{g.name: g for g in each.gates} for each in versions])],
        signature=[*differing, *(line for line in _lines([_answer(each) for each in versions]) if line.differs)],
        same_inputs=len(inputs) - len(differing),
    )


def _head(version: ModelVersion) -> Column:
    found = version.evaluation
    return Column(
        id=version.id,
        name=version.name,
        model=version.model,
        version=version.version,
        stage=version.stage,
        environment=version.environment,
        passed=version.passed,
        made=version.as_of or version.created,
        run=version.run,
        rows=found.rows if found else None,
        rows_id=found.rows_id if found else "",
        event=version.event,
    )


def _by_name(columns: Sequence[dict[str, T]]) -> list[tuple[str, list[T | None]]]:
    """Return each name with what every column has under it, names in the order in which they first appear."""
    names = dict.fromkeys(name for column in columns for name in column)
    return [(name, [column.get(name) for column in columns]) for name in names]


def _lines(columns: Sequence[dict[str, str]]) -> list[Line]:
    return [Line(name, values) for name, values in _by_name(columns)]


def _texts(parameters: dict[str, Any]) -> dict[str, str]:
    return {name: each if isinstance(each, str) else msgspec.json.encode(each).decode() for name, each in parameters.items()}


def _column(column: FrameColumn) -> str:
    """An input as one text: type, view, how many categories, and whether it may be missing."""
    categories = f"[{len(column.categories)}: {', '.join(column.categories)[:60]}]" if column.categories else ""
    return " ".join(filter(None, (column.dtype, column.view or "", categories, "null" if column.nullable else "")))


def _answer(version: ModelVersion) -> dict[str, str]:
    said = version.signature
    return {"label": said.label, "task": said.task, "output": said.output, "classes": ", ".join(map(str, said.classes))}


def _code(version: ModelVersion) -> dict[str, str]:
    """What the version was made with: code, lock, estimator, libraries."""
    package = version.package
    own = {"commit": version.commit or "", "lock": version.lock or "", "estimator": package.estimator}
    own |= {"format": f"{package.format} {package.protocol}", "bytes": f"{package.size:,}", "python": package.python}
    return own | {library.name: library.version for library in package.libraries}


def _metrics(versions: Iterable[ModelVersion]) -> list[MetricLine]:
    found = [each.evaluation for each in versions]
    tables = [{"mean_loss": one.mean_loss, **one.metrics} if one else {} for one in found]
    return [MetricLine(name, values) for name, values in _by_name(tables)]


def _gain(version: ModelVersion) -> Gain | None:
    found = version.evaluation
    return Gain(found.baseline.gain, found.baseline.gain_low, found.baseline.gain_high, found.rows) if found else None


def _slices(versions: Iterable[ModelVersion]) -> list[SliceLine]:
    tables: list[dict[str, Gain]] = [
        {f"{each.column} = {each.value}": _slice_gain(each) for each in version.evaluation.slices if each.enough}
        if version.evaluation
        else {}
        for version in versions
    ]
    return [SliceLine(name, gains) for name, gains in _by_name(tables)]


def _slice_gain(found: SliceResult) -> Gain:
    return Gain(found.gain, found.gain_low, found.gain_high, found.rows)


def _spans(versions: Sequence[ModelVersion], gains: Sequence[Gain | None]) -> list[Span]:
    return [_span(version.name, gain) for version, gain in zip(versions, gains, strict=True) if gain]


def _span(name: str, gain: Gain) -> Span:
    return Span(name, gain.value, gain.low, gain.high)


def _pair(version: ModelVersion) -> Pair | None:
    """The production gate's comparison; None when nothing was in production, or it had seen other rows."""
    gate = next((each for each in version.gates if each.kind == "production"), None)
    if gate is None or "gain" not in gate.evidence:
        return None
    found = msgspec.convert(gate.evidence, _Compared)
    return Pair(version.name, found.champion, Gain(found.gain, found.gain_low, found.gain_high, found.rows), gate.event)


class _Compared(msgspec.Struct):
    """What of the gate's evidence is shown."""

    champion: str
    gain: float
    gain_low: float
    gain_high: float
    rows: int


PAGES = (
    Page(
        "/projects/{project}/compare",
        "compare.html.j2",
        compare_document,
        "registry.read",
        "Models side by side.",
        live=("registry.",),
        query=("version",),
    ),
)
