"""The order of found runs: clauses such as `metrics.roc_auc DESC`; what has no value comes last, NaN after numbers."""

from dataclasses import dataclass

from bucle.tracking.errors import BadFilter
from bucle.tracking.search.compiling import ENTITIES, NUMBER, NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES
from bucle.tracking.search.tokens import tokens_of

_TABLES = {"metric": "run_metric_last", "param": "run_param", "tag": "run_tag"}


@dataclass(frozen=True, slots=True)
class Order:
    """An ORDER BY with the joins that it needs; `parameters` are those of the joins."""

    joins: str
    clauses: str
    parameters: tuple[object, ...]


def compile_order(clauses: tuple[str, ...]) -> Order:
    """Return the order of clauses, always ended by MLflow's: begun last first, then the id. Raises `tracking/bad-filter`."""
    joins, parts, parameters = "", [], []  # type: str, list[str], list[object]
    for place, clause in enumerate(clauses):
        entity, key, direction = _parsed(clause)
        if entity == "attribute":
            column = {**TEXT_ATTRIBUTES, **NUMBER_ATTRIBUTES}.get(key)
            if column is None:
                raise BadFilter(reason=f"Invalid attribute key '{key}' specified", filter=clause[:200], place=1)
            parts += [f"({column}) IS NULL", f"{column} {direction}"]
            continue
        alias = f"o{place}"
        joins += f" LEFT JOIN {_TABLES[entity]} {alias} ON {alias}.run = run.id AND {alias}.name = ?"
        parameters.append(key)
        if entity == "metric":
            parts.append(f"CASE WHEN {alias}.special = 'NaN' THEN 1 WHEN {alias}.run IS NULL THEN 2 ELSE 0 END")
            parts.append(f"{NUMBER.replace('x.', alias + '.')} {direction}")
        else:
            parts += [f"{alias}.value IS NULL", f"{alias}.value {direction}"]
    return Order(joins, ", ".join([*parts, "run.started_us DESC", "run.id"]), tuple(parameters))


def _parsed(clause: str) -> tuple[str, str, str]:
    *words, end = tokens_of(clause)
    direction = "ASC"
    if words and words[-1].kind == "word" and words[-1].text.upper() in ("ASC", "DESC") and len(words) > 1:
        direction = words.pop().text.upper()
    names = [word.text for word in words[::2] if word.kind in ("word", "quoted", "number")]
    dots = all(word.text == "." for word in words[1::2])
    if not names or not dots or len(names) != (len(words) + 1) // 2 or len(words) % 2 == 0:
        raise BadFilter(reason=f"Invalid order_by clause '{clause[:100]}'", filter=clause[:200], place=end.place)
    entity = ENTITIES.get(names[0].lower() if len(names) > 1 else "")
    if entity is None or entity == "dataset":
        raise BadFilter(reason=f"Invalid order_by entity '{names[0]}'", filter=clause[:200], place=1)
    return entity, ".".join(names[1:] if len(names) > 1 else names), direction
