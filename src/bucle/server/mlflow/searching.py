"""Searches of the MLflow protocol: runs and experiments by filter, order and page."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

import msgspec

from bucle.ledger import Reader, Scope
from bucle.server.mlflow.errors import InvalidParameter
from bucle.server.mlflow.experiments import experiment_of
from bucle.server.mlflow.reading import Field, body_of, values_of
from bucle.server.mlflow.scopes import scope_of
from bucle.server.mlflow.wire import (
    ExperimentMessage,
    RunMessage,
    experiment_message,
    milliseconds,
    outer_id,
    run_message,
)
from bucle.server.routing import Call
from bucle.tracking import (
    BadFilter,
    Comparison,
    Condition,
    Experiment,
    Stage,
    get_run,
    list_experiments,
    matches,
    parse_filter,
    refusal,
    search_runs,
)

_STAGES: dict[Any, tuple[Stage, ...]] = {
    **dict.fromkeys((None, "", "ACTIVE_ONLY", 1, "1"), ("active",)),
    **dict.fromkeys(("DELETED_ONLY", 2, "2"), ("deleted",)),
    **dict.fromkeys(("ALL", 3, "3"), ("active", "deleted")),
}
_PAGE, _MOST = 1000, 50_000


class Runs(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of runs."""

    runs: list[RunMessage] = []
    next_page_token: str = ""


class Experiments(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of experiments."""

    experiments: list[ExperimentMessage] = []
    next_page_token: str = ""


def runs(call: Call) -> Runs:
    """Return the runs of experiments that pass a filter."""
    given = values_of(
        call,
        Field("experiment_ids", "strings"),
        Field("filter"),
        Field("max_results", "int"),
        Field("order_by", "strings"),
        Field("page_token"),
    )
    limit, offset = _limit(given["max_results"]), offset_of(given["page_token"])
    stages = _stages(call, "run_view_type")
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        held = [experiment_of(reader, scope.project, each) for each in given["experiment_ids"] or ()]
        try:
            found = search_runs(
                reader,
                scope.project,
                given["filter"] or "",
                experiments=tuple(each.name for each in held),
                environments=_environments(call, reader, scope),
                order_by=tuple(given["order_by"] or ()),
                stages=stages,
                offset=offset,
                limit=limit + 1,
            )
        except BadFilter as error:
            raise InvalidParameter(text=error.text, where="filter") from None
        ids = {each.name: outer_id(each) for each in held}
        messages = [run_message(get_run(reader, run.id), ids[run.experiment]) for run in found[:limit]]
    return Runs(messages, token_of(offset + limit) if len(found) > limit else "")


def experiments(call: Call) -> Experiments:
    """Return the experiments that pass a filter."""
    given = values_of(call, Field("filter"), Field("max_results", "int"), Field("order_by", "strings"), Field("page_token"))
    limit, offset = _limit(given["max_results"]), offset_of(given["page_token"])
    stages, condition = _stages(call, "view_type"), condition_of(given["filter"])
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        held = [each for each in list_experiments(reader, scope.project, stages) if matches(condition, _lookup(each))]
    for clause in reversed(given["order_by"] or ()):
        held = _ordered(held, clause)
    page = held[offset : offset + limit]
    return Experiments(
        [experiment_message(each) for each in page], token_of(offset + limit) if len(held) > offset + limit else ""
    )


def condition_of(text: str | None) -> Condition:
    """Return what a filter says. Raises `mlflow/invalid-parameter`."""
    try:
        return parse_filter(text or "")
    except BadFilter as error:
        raise InvalidParameter(text=error.text, where="filter") from None


def refused(asked: Comparison, reason: str) -> InvalidParameter:
    """Return the refusal of a comparison of what there is not."""
    return InvalidParameter(text=refusal(asked, reason).text, where="filter")


def token_of(offset: int) -> str:
    """Return the token of the page that begins there; clients send it back as it is."""
    return base64.b64encode(msgspec.json.encode({"offset": offset})).decode()


def offset_of(token: str | None) -> int:
    """Return where a page begins. Raises `mlflow/invalid-parameter`."""
    if not token:
        return 0
    try:
        found = msgspec.json.decode(base64.b64decode(token, validate=True), type=dict[str, int])["offset"]
    except (binascii.Error, msgspec.MsgspecError, KeyError, UnicodeError, ValueError):
        found = -1
    if not 0 <= found < 2**53:
        raise InvalidParameter(text="Invalid page token, could not base64-decode", where="page_token")
    return found


def _limit(given: int | None) -> int:
    if given is not None and not 0 < given <= _MOST:
        text = f"Invalid value {given} for parameter 'max_results' supplied. It must be a positive integer of at most {_MOST}."
        raise InvalidParameter(text=text, where="max_results")
    return given or _PAGE


def _stages(call: Call, name: str) -> tuple[Stage, ...]:
    wanted = (call.query if call.body is None else body_of(call)).get(name)
    if isinstance(wanted, list | dict) or wanted not in _STAGES:
        raise InvalidParameter(text=f"Invalid value for parameter '{name}' supplied.", where=name)
    return _STAGES[wanted]


def _environments(call: Call, reader: Reader, scope: Scope) -> tuple[str, ...] | None:
    """Return the environments whose runs the caller may see, None when those are all."""
    if call.may("tracking.read", Scope(scope.project)):
        return None
    rows = reader.rows("SELECT DISTINCT environment FROM run WHERE project = ?", (scope.project,))
    return tuple(row[0] for row in rows if call.may("tracking.read", Scope(scope.project, row[0])))


def _lookup(held: Experiment) -> Callable[[Comparison], str | float | None]:
    attributes = _attributes(held)

    def lookup(asked: Comparison) -> str | float | None:
        if asked.entity in ("tag", "tags"):
            return held.tags.get(asked.key)
        if asked.entity not in ("", "attribute", "attributes", "attr") or asked.key not in attributes:
            raise refused(asked, f"Invalid attribute key '{asked.key}' specified. Valid keys are '{sorted(attributes)}'")
        return attributes[asked.key]

    return lookup


def _attributes(held: Experiment) -> dict[str, str | float]:
    message = experiment_message(held)
    return {
        "name": message.name,
        "experiment_id": message.experiment_id,
        "creation_time": float(milliseconds(held.created)),
        "last_update_time": float(milliseconds(held.changed)),
    }


def _ordered(held: list[Experiment], clause: str) -> list[Experiment]:
    key, _, direction = clause.strip().removeprefix("attributes.").partition(" ")
    direction = direction.strip().upper() or "ASC"
    if direction not in ("ASC", "DESC") or key not in ("name", "experiment_id", "creation_time", "last_update_time"):
        raise InvalidParameter(text=f"Invalid order_by clause '{clause[:100]}'", where="order_by")
    return sorted(held, key=lambda each: _attributes(each)[key], reverse=direction == "DESC")
