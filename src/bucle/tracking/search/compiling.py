"""From a condition to SQL over the runs of the ledger. Values are parameters of the statement, never part of its text."""

from collections.abc import Callable
from dataclasses import dataclass

from bucle.tracking.errors import BadFilter, UnknownRun
from bucle.tracking.ids import run_from_hex
from bucle.tracking.search.grammar import Both, Comparison, Condition, Either, Literals, Negation

ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("", "attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_NUMBERS = ("=", "!=", ">", ">=", "<", "<=")
_TEXTS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
NUMBER = (
    "CASE x.special WHEN 'Infinity' THEN 1.7976931348623157e308 WHEN '-Infinity' THEN -1.7976931348623157e308 ELSE x.value END"
)
_PARAM = "CASE WHEN substr(x.value, 1, 1) = '\"' THEN json_extract(x.value, '$') ELSE x.value END"
_USER = "coalesce((SELECT u.value FROM run_tag u WHERE u.run = run.id AND u.name = 'mlflow.user'), run.actor)"
_STATUS = (
    "CASE run.status WHEN 'running' THEN 'RUNNING' WHEN 'succeeded' THEN 'FINISHED' WHEN 'failed' THEN 'FAILED' "
    "ELSE 'KILLED' END"
)
TEXT_ATTRIBUTES = {"run_id": "run.id", "run_name": "run.name", "name": "run.name", "status": _STATUS, "user_id": _USER}
NUMBER_ATTRIBUTES = {
    "start_time": "run.started_us / 1000",
    "created": "run.started_us / 1000",
    "end_time": "run.ended_us / 1000",
}
_DATASET = {name: f"json_extract(x.data, '$.dataset.{name}')" for name in ("name", "digest")}
_CONTEXT = "json_extract(t.value, '$.value')"


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a WHERE clause with its parameters."""

    sql: str
    parameters: tuple[object, ...] = ()


def compile_condition(condition: Condition) -> Clause:
    """Return the SQL of a condition on the row `run`. Raises `tracking/bad-filter` for what runs do not have."""
    if isinstance(condition, Negation):
        part = compile_condition(condition.part)
        return Clause(f"NOT ({part.sql})", part.parameters)
    if isinstance(condition, Comparison):
        return _comparison(condition)
    parts = [compile_condition(part) for part in condition.parts]
    word, empty = (" AND ", "1 = 1") if isinstance(condition, Both) else (" OR ", "1 = 0")
    assert isinstance(condition, Both | Either)
    sql = word.join(f"({part.sql})" for part in parts) or empty
    return Clause(sql, tuple(value for part in parts for value in part.parameters))


def _comparison(asked: Comparison) -> Clause:
    entity = ENTITIES.get(asked.entity)
    if entity is None:
        valid = ["metric", "parameter", "tag", "attribute", "dataset"]
        raise refusal(asked, f"Invalid entity type '{asked.entity}'. Valid values are {valid}")
    return _COMPILERS[entity](asked)


def _metric(asked: Comparison) -> Clause:
    return _recorded(asked, "run_metric_last", _number(asked, NUMBER))


def _param(asked: Comparison) -> Clause:
    return _recorded(asked, "run_param", _text(asked, _PARAM))


def _tag(asked: Comparison) -> Clause:
    return _recorded(asked, "run_tag", _text(asked, "x.value"))


def _recorded(asked: Comparison, table: str, test: Clause) -> Clause:
    within = f"SELECT 1 FROM {table} x WHERE x.run = run.id AND x.name = ?"
    if asked.operator in ("IS NULL", "IS NOT NULL"):
        return Clause(f"{'NOT ' * (asked.operator == 'IS NULL')}EXISTS ({within})", (asked.key,))
    return Clause(f"EXISTS ({within} AND {test.sql})", (asked.key, *test.parameters))


def _attribute(asked: Comparison) -> Clause:
    key = {"Run ID": "run_id", "run name": "run_name", "Run name": "run_name", "Created": "created"}.get(asked.key, asked.key)
    if key in NUMBER_ATTRIBUTES:
        return _number(asked, NUMBER_ATTRIBUTES[key])
    if key not in TEXT_ATTRIBUTES:
        valid = sorted({*TEXT_ATTRIBUTES, *NUMBER_ATTRIBUTES})
        raise refusal(asked, f"Invalid attribute key '{asked.key}' specified. Valid keys are '{valid}'")
    if key == "run_id":
        asked = Comparison(asked.entity, key, asked.operator, _inner(asked.value), asked.place)
    return _text(asked, TEXT_ATTRIBUTES[key])


def _dataset(asked: Comparison) -> Clause:
    if asked.key == "context":
        test = _text(asked, _CONTEXT)
        tags = "json_each(x.data, '$.tags') t"
        within = f"SELECT 1 FROM {tags} WHERE json_extract(t.value, '$.key') = 'mlflow.data.context' AND {test.sql}"
        test = Clause(f"EXISTS ({within})", test.parameters)
    elif asked.key in _DATASET:
        test = _text(asked, _DATASET[asked.key])
    else:
        raise refusal(asked, f"Invalid dataset key '{asked.key}' specified. Valid keys are '{sorted([*_DATASET, 'context'])}'")
    return Clause(
        f"EXISTS (SELECT 1 FROM run_note x WHERE x.run = run.id AND x.kind = 'mlflow.dataset_read' AND {test.sql})",
        test.parameters,
    )


_COMPILERS: dict[str, Callable[[Comparison], Clause]] = {
    "metric": _metric,
    "param": _param,
    "tag": _tag,
    "attribute": _attribute,
    "dataset": _dataset,
}


def _number(asked: Comparison, expression: str) -> Clause:
    if asked.operator in ("IS NULL", "IS NOT NULL"):
        return Clause(f"{expression} {asked.operator}")
    if asked.operator not in _NUMBERS:
        raise refusal(asked, f"Invalid comparator '{asked.operator}' not one of '{sorted(_NUMBERS)}'")
    try:
        value = float(asked.value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise refusal(asked, f"Expected numeric value type for {asked.key}. Found {asked.value!r}") from None
    return Clause(f"{expression} {asked.operator} ?", (value,))


def _text(asked: Comparison, expression: str) -> Clause:
    if asked.operator in ("IS NULL", "IS NOT NULL"):
        return Clause(f"{expression} {asked.operator}")
    values = asked.value if isinstance(asked.value, tuple) else (asked.value,)
    if not all(isinstance(value, str) for value in values):
        text = "Expected a quoted string value for {} (e.g. 'my-value'). Got value {}"
        raise refusal(asked, text.format(asked.key, asked.value))
    if asked.operator not in _TEXTS:
        raise refusal(asked, f"Invalid comparator '{asked.operator}' not one of '{sorted(_TEXTS)}'")
    if asked.operator in ("IN", "NOT IN"):
        return Clause(f"{expression} {asked.operator} ({', '.join('?' * len(values))})", values)
    if asked.operator == "LIKE":
        return Clause(f"{expression} GLOB ?", (_glob(str(asked.value)),))
    if asked.operator == "ILIKE":
        return Clause(f"lower({expression}) GLOB lower(?)", (_glob(str(asked.value)),))
    return Clause(f"{expression} {asked.operator} ?", values)


def _glob(pattern: str) -> str:
    """Return SQLite's GLOB, which minds case, for a LIKE pattern: % is any text, _ any character."""
    return "".join({"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}.get(letter, letter) for letter in pattern)


def _inner(value: Literals) -> Literals:
    if isinstance(value, tuple):
        return tuple(each for item in value if isinstance(each := _inner(item), str | float))
    try:
        return run_from_hex(value) if isinstance(value, str) else value
    except UnknownRun:
        return value


def refusal(asked: Comparison, reason: str) -> BadFilter:
    """Return the refusal of a comparison that cannot be made."""
    return BadFilter(reason=reason, filter=f"{asked.entity}.{asked.key}".strip("."), place=asked.place)
