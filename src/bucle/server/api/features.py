"""Routes of features: what there is, joined offline, made readable online, read online; and the tick that keeps them fresh."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from starlette.responses import Response

from bucle.data import Snapshot, take_snapshot
from bucle.errors import BucleError
from bucle.features import (
    Due,
    FrameAnswer,
    FrameRequest,
    JoinAnswer,
    JoinRequest,
    MaterializedView,
    TrainingSetSpec,
    UnknownFeature,
    ViewSpec,
    keep_views,
    kept_views,
    list_materialized,
    materialize,
    materialize_due,
    read_online_rows,
    record_read,
    require_up_to_date,
)
from bucle.ledger import Ledger, Scope, StoredEvent, Subscription, from_us, parse_instant, within
from bucle.project import DEV, suggest
from bucle.runtimes import Code
from bucle.server.codes import Codes
from bucle.server.house import House
from bucle.server.routing import Body, Call, Route, act_again
from bucle.serving import active_deployments

_FEATURES = "/api/v1/projects/{project}/features"
_SECONDS = 3600.0
_PARQUET = "application/vnd.apache.parquet"
_LARGEST_ROWS = 1 << 30
_log = logging.getLogger(__name__)


def compose(house: House) -> None:
    """Keep features readable online: at each tick, after the data are in, and when a release or a model begins to serve."""

    def due(event: StoredEvent) -> None:
        materialize_due(house.home, house.runners, _due(house, house.part(Codes)))

    kinds = ("ledger.ticked", "project.environment_pointed", "serving.deployed", "serving.challenger_deployed")
    house.subscribe(Subscription("features.materialize_due", kinds, due))


def _due(house: House, codes: Codes) -> list[Due]:
    """Return the code of each environment with the views that are read online there, by the digests of their rules.

    These are the views of the models that answer or stand by there, and those that somebody asked for. A model may have been
    trained with older rules than the environment's code has now: then its own code is due too.
    """
    active = codes.active()
    with house.ledger.read() as reader:
        deployed = active_deployments(reader)
        kept = {scope: kept_views(reader, scope) for _, scope in active}
    taken: dict[Scope, dict[str, str]] = {}
    for each in deployed:
        taken.setdefault(each.scope, {}).update((view.digest, each.candidate.commit) for view in each.candidate.contract.views)
    due = []
    for code, scope in active:
        older = taken.get(scope, {})
        specs = code.description.specs("view", ViewSpec)
        due.append(Due(code, scope, {spec.name for spec in specs if spec.digest in older or spec.name in kept[scope]}))
        for spec in specs:
            older.pop(spec.digest, None)
    return due + [each for scope, older in taken.items() for each in _older(codes, scope, older)]


def _older(codes: Codes, scope: Scope, commits: dict[str, str]) -> Iterator[Due]:
    """Give the code of the commits (by the digest of a view) whose views the environment's code has no more."""
    for commit in sorted(set(commits.values()) - {""}):
        try:
            code = codes.at(scope.project, commit)
        except BucleError as error:
            _log.warning("the code of the model that serves in %s cannot be loaded: %s", scope, error)
            continue
        yield Due(code, scope, {spec.name for spec in code.description.specs("view", ViewSpec) if spec.digest in commits})


@dataclass(frozen=True, slots=True)
class FeatureView:
    """A view for its readers: what it is about, what it gives, who trains on it, up to when it is readable online."""

    name: str
    entity: str
    keys: tuple[str, ...]
    source: str
    kind: str
    features: tuple[str, ...]
    ttl_us: int | None
    window_us: int | None
    training_sets: list[str]
    until: datetime | None
    definition: str
    where: str
    doc: str


class MaterializeBody(Body, frozen=True):
    """Up to which instant, else now by the home's clock; one view, else all."""

    until: str | None = None
    view: str | None = None


class OnlineBody(Body, frozen=True):
    """Entities as rows (key column to value), the views to read (else all), the moment (else now)."""

    rows: list[dict[str, str | int | float | bool | None]]
    views: list[str] = []
    as_of: str | None = None


class FrameBody(Body, frozen=True):
    """A training set and a time: rows with start <= time < end whose label is final as of `as_of`, else of now."""

    training_set: str
    start: str | None = None
    end: str | None = None
    as_of: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class OnlineAnswer:
    """The features of each row, in their order."""

    as_of: datetime
    rows: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class MaterializeAnswer:
    """What became readable online: rows that were news, and how many of them changed what is held."""

    view: str
    until: datetime
    rows: int
    written: int


def show_views(call: Call) -> list[FeatureView]:
    """Return the views that an environment's code declares."""
    code, scope = _code(call)
    sets = code.description.specs("training_set", TrainingSetSpec)
    with call.house.ledger.read() as reader:
        held = {(each.view, each.digest): each for each in list_materialized(reader, scope)}
    return [
        _shown(spec, record.where, held.get((spec.name, spec.digest)), sets)
        for record in code.description.of("view")
        for spec in [msgspec.convert(record.spec, ViewSpec)]
    ]


def make_readable(call: Call) -> list[MaterializeAnswer]:
    """Materialize views up to a moment; from then on each tick keeps them readable."""
    code, scope = _code(call)
    body: MaterializeBody = call.body
    if body.view is not None:
        _require_views(code, [body.view])
    until = parse_instant(body.until) if body.until else call.house.ledger.clock.now()
    until = min(until, call.house.ledger.clock.now())
    done = materialize(call.house.home, call.house.runners, code, scope, until, only=body.view)
    keep_views(call.house.ledger, scope, [body.view] if body.view else [each.view for each in done])
    return [MaterializeAnswer(each.view, each.until, each.rows, each.written) for each in done]


def read_features(call: Call) -> OnlineAnswer:
    """Read features online, for many entities at once."""
    code, scope = _code(call)
    body: OnlineBody = call.body
    specs = {spec.name: spec for spec in code.description.specs("view", ViewSpec)}
    _require_views(code, body.views)
    as_of = parse_instant(body.as_of) if body.as_of else call.house.ledger.clock.now()
    views = [specs[name] for name in body.views or specs]
    require_up_to_date(call.house.ledger, scope, views, as_of)
    return OnlineAnswer(as_of, read_online_rows(call.house.ledger, scope, views, body.rows, as_of))


def join_rows(call: Call) -> Response:
    """Join views to the rows of a Parquet file, each as of its own moment; answers with Parquet."""
    code, scope = _code(call)
    names = [name for name in call.query.get("views", "").split(",") if name]
    views = _require_views(code, names) or [record.name for record in code.description.of("view")]
    rows: Path = call.body
    snapshot = _snapshot(call, code, scope, call.query.get("as_of"))
    request = JoinRequest(snapshot, tuple(views), call.house.artifacts.put_file(rows), call.query.get("timestamp", "timestamp"))
    with call.house.runners.lend(code.runtime, code.checkout) as runner:
        answer = runner.call("bucle.features.offline:join_in_child", request, JoinAnswer, timeout=_SECONDS)
    _note_read(call.house.ledger, scope, "join", answer.rows, snapshot)
    return Response(call.house.artifacts.get_bytes(answer.artifact), media_type=_PARQUET)


def make_frame(call: Call) -> Response:
    """Make a training frame; answers with its packed bytes (`TrainingFrame.unpack`)."""
    code, scope = _code(call)
    body: FrameBody = call.body
    snapshot = _snapshot(call, code, scope, body.as_of)
    request = FrameRequest(snapshot, body.training_set, body.start, body.end, body.seed)
    with call.house.runners.lend(code.runtime, code.checkout) as runner:
        answer = runner.call("bucle.features.building:frame_in_child", request, FrameAnswer, timeout=_SECONDS)
    _note_read(call.house.ledger, scope, body.training_set, answer.rows, snapshot)
    return Response(call.house.artifacts.get_bytes(answer.artifact), media_type="application/octet-stream")


def _code(call: Call) -> tuple[Code, Scope]:
    scope = Scope(call.scope.project, call.scope.environment or DEV)
    return call.house.part(Codes).of(scope), scope


def _snapshot(call: Call, code: Code, scope: Scope, as_of: str | None) -> Snapshot:
    """A snapshot is never later than the home's clock: what a replay has not reached yet is not there."""
    now = call.house.ledger.clock.now()
    return take_snapshot(call.house.home, code, scope, min(parse_instant(as_of), now) if as_of else now)


def _note_read(ledger: Ledger, scope: Scope, what: str, rows: int, snapshot: Snapshot) -> None:
    with ledger.write() as transaction, within(scope):
        record_read(transaction, what, rows, from_us(snapshot.as_of_us), snapshot.ids())


def _require_views(code: Code, names: list[str]) -> list[str]:
    known = [record.name for record in code.description.of("view")]
    for name in names:
        if name not in known:
            raise UnknownFeature(what="view", name=name, hint=suggest(name, known), where="views")
    return names


def _shown(spec: ViewSpec, where: str, held: MaterializedView | None, sets: list[TrainingSetSpec]) -> FeatureView:
    names = tuple(each.name for each in spec.aggregates) or (held.features if held else ())
    return FeatureView(
        name=spec.name,
        entity=spec.entity,
        keys=spec.keys,
        source=spec.source,
        kind="aggregates" if spec.window_us else "function",
        features=names,
        ttl_us=spec.ttl_us,
        window_us=spec.window_us,
        training_sets=[each.name for each in sets if any(view.name == spec.name for view in each.views)],
        until=from_us(held.until_us) if held else None,
        definition=spec.digest,
        where=where,
        doc=spec.doc,
    )


ROUTES = [
    Route("GET", _FEATURES, show_views, "features.read", "List feature views"),
    Route(
        "POST",
        f"{_FEATURES}/materialize",
        make_readable,
        "features.write",
        "Make features readable online",
        MaterializeBody,
        recall=act_again,
    ),
    Route("POST", f"{_FEATURES}/online", read_features, "features.read", "Read features online", OnlineBody, recall=act_again),
    Route(
        "POST",
        f"{_FEATURES}/join",
        join_rows,
        "features.read",
        "Join features to the rows of a Parquet file, as of each row",
        Path,
        query=("views", "timestamp", "as_of"),
        recall=act_again,
        limit=_LARGEST_ROWS,
    ),
    Route("POST", f"{_FEATURES}/frames", make_frame, "features.read", "Make a training frame", FrameBody, recall=act_again),
]
