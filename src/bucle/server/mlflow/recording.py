"""What MLflow clients log: parameters, metrics, tags, one by one and in batches; and the history of a metric."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from bucle.ledger import within
from bucle.server.mlflow.errors import DoesNotExist, InvalidParameter
from bucle.server.mlflow.reading import (
    LONGEST_KEY,
    LONGEST_PARAM,
    LONGEST_TAG,
    Field,
    at_most,
    checked_key,
    invalid,
    missing,
    pairs_of,
    values_of,
)
from bucle.server.mlflow.runs import script_of
from bucle.server.mlflow.scopes import run_of, scope_of
from bucle.server.mlflow.searching import offset_of, token_of
from bucle.server.mlflow.wire import Empty, Metric, metric_message
from bucle.server.routing import Call
from bucle.tracking import MetricPoint, ParameterChanged, RunLog, UnknownTag, change_run, metric_series, record, remove_tag
from bucle.tracking import metric_point as checked_point

_NAME_TAG = "mlflow.runName"
_MOST = {"metrics": 1000, "params": 100, "tags": 100}
_MOST_TOGETHER = 1000
_PAGE = 25_000


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """A page of a metric's points."""

    metrics: list[Metric] = []
    next_page_token: str = ""


def log_metric(call: Call) -> Empty:
    """Log a value of a metric."""
    given = values_of(
        call,
        Field("run_id", required=True),
        Field("key", required=True),
        Field("value", "float", required=True),
        Field("timestamp", "int", required=True),
        Field("step", "int"),
    )
    return _record(call, given["run_id"], RunLog(metrics=[_point(given, "")]))


def log_param(call: Call) -> Empty:
    """Log a parameter."""
    given = values_of(call, Field("run_id", required=True), Field("key", required=True), Field("value"))
    key = at_most("key", LONGEST_KEY, checked_key(given["key"], "key"))
    return _record(call, given["run_id"], RunLog(params={key: at_most("value", LONGEST_PARAM, given["value"] or "")}))


def set_tag(call: Call) -> Empty:
    """Set a tag of a run."""
    given = values_of(call, Field("run_id", required=True), Field("key", required=True), Field("value"))
    key = at_most("key", LONGEST_KEY, checked_key(given["key"], "key"))
    return _record(call, given["run_id"], RunLog(tags={key: at_most("value", LONGEST_TAG, given["value"] or "")}))


def delete_tag(call: Call) -> Empty:
    """Remove a tag of a run."""
    given = values_of(call, Field("run_id", required=True), Field("key", required=True))
    with within(scope_of(call, "tracking.write")), call.house.ledger.write() as tx:
        run = script_of(call, tx, given["run_id"])
        try:
            remove_tag(tx, run.id, given["key"])
        except UnknownTag:
            text = f"No tag with name: {given['key'][:100]} in run with id {given['run_id']}"
            raise DoesNotExist(text=text, where="key") from None
    return Empty()


def log_batch(call: Call) -> Empty:
    """Log metrics, parameters and tags at once: all or none."""
    given = values_of(
        call, Field("run_id", required=True), Field("metrics", "array"), Field("params", "array"), Field("tags", "array")
    )
    metrics, params, tags = (given[name] or [] for name in _MOST)
    counts = [("metrics", len(metrics)), ("params", len(params)), ("tags", len(tags))]
    for name, count in counts:
        _check_count(name, _MOST[name], count)
    _check_count("metrics, params, and tags", _MOST_TOGETHER, len(metrics) + len(params) + len(tags))
    _check_unique(params)
    log = RunLog(
        metrics=[_point(_fields(each, f"metrics[{place}]"), f"metrics[{place}].") for place, each in enumerate(metrics)],
        params=dict(pairs_of(params, "params", LONGEST_PARAM)),
        tags=pairs_of(tags, "tags", LONGEST_TAG),
    )
    return _record(call, given["run_id"], log)


def history(call: Call) -> History:
    """Return the points of a metric, all of them or a page."""
    given = values_of(
        call,
        Field("run_id", required=True),
        Field("metric_key", required=True),
        Field("max_results", "int"),
        Field("page_token"),
    )
    wanted = given["max_results"]
    if wanted is not None and wanted <= 0:
        text = f"Invalid value {wanted} for parameter 'max_results' supplied. It must be a positive integer."
        raise InvalidParameter(text=text, where="max_results")
    after = offset_of(given["page_token"])
    limit = min(wanted or _PAGE, _PAGE) if wanted is not None or given["page_token"] else None
    scope = scope_of(call, "tracking.read")
    with call.house.ledger.read() as reader:
        run = run_of(call, reader, scope, given["run_id"], "tracking.read")
        points = metric_series(reader, run.id, given["metric_key"], after, None if limit is None else limit + 1)
    more = limit is not None and len(points) > limit
    return History([metric_message(point) for point in points[:limit]], token_of(after + (limit or 0)) if more else "")


def _record(call: Call, digits: str, log: RunLog) -> Empty:
    scope = scope_of(call, "tracking.write")
    with within(scope), call.house.ledger.write() as tx:
        run = script_of(call, tx, digits)
        name = log.tags.pop(_NAME_TAG, "")
        if name:
            change_run(tx, scope.project, run.id, name=name)
        try:
            record(tx, run.id, log)
        except ParameterChanged as error:
            key, old, new = (error.fields[each] for each in ("name", "old", "new"))
            text = (
                f"Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' "
                f"for run ID='{digits}'. Attempted logging new value '{new}'."
            )
            raise InvalidParameter(text=text, where="params") from None
    return Empty()


def _fields(entry: Any, path: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise invalid(path, entry)
    for name in ("key", "value", "timestamp"):
        if entry.get(name) in (None, ""):
            raise missing(f"{path}.{name}")
    return entry


def _point(given: dict[str, Any], path: str) -> MetricPoint:
    name = at_most("Metric name", LONGEST_KEY, checked_key(given["key"], f"{path}name"))
    try:
        if isinstance(given["value"], bool):
            raise ValueError
        number, at, step = float(given["value"]), int(given["timestamp"]), int(given.get("step") or 0)
    except (TypeError, ValueError, OverflowError):
        raise invalid(
            f"{path}value", given["value"], "Please specify value as a valid double (64-bit floating point)"
        ) from None
    if not 0 <= at < 2**53:
        reason = f"metric '{name}' (value={number}). Timestamp must be a nonnegative long (64-bit integer) "
        raise invalid(f"{path}timestamp", at, reason)
    if not -(2**63) <= step < 2**63:
        reason = f"metric '{name}' (value={number}). Step must be a valid long (64-bit integer)."
        raise invalid(f"{path}step", step, reason)
    kept = number if math.isfinite(number) else checked_point(name, number).value
    return MetricPoint(name, kept, step, at * 1000)


def _check_count(what: str, most: int, count: int) -> None:
    if count > most:
        text = (
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}. "
            f"Please split up {what} across multiple requests and try again."
        )
        raise InvalidParameter(text=text, where=what.partition(",")[0])


def _check_unique(params: Sequence[Any]) -> None:
    keys = [each.get("key") for each in params if isinstance(each, dict)]
    twice = [key for place, key in enumerate(keys) if key in keys[:place]]
    if twice:
        text = (
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains only one param value "
            "per param key."
        )
        raise InvalidParameter(text=text, where="params")
