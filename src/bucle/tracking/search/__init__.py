"""Search: which runs of a project pass a filter, in which order, a page at a time."""

from bucle.ledger import Reader
from bucle.tracking.experiments import Stage
from bucle.tracking.runs import Run, RunFilter, as_run
from bucle.tracking.search.compiling import compile_condition, refusal
from bucle.tracking.search.grammar import Comparison, Condition, parse_filter
from bucle.tracking.search.matching import matches
from bucle.tracking.search.ordering import compile_order
from bucle.tracking.store import clauses_of

__all__ = ["Comparison", "Condition", "matches", "parse_filter", "refusal", "search_listed", "search_runs"]


def search_runs(
    reader: Reader,
    project: str,
    text: str = "",
    *,
    experiments: tuple[str, ...] | None = None,
    environments: tuple[str, ...] | None = None,
    order_by: tuple[str, ...] = (),
    stages: tuple[Stage, ...] = ("active",),
    offset: int = 0,
    limit: int = 1000,
) -> list[Run]:
    """Return the runs that pass a filter, begun last first unless ordered otherwise. Raises `tracking/bad-filter`.

    `experiments` are names; None means all of them, as for `environments`.
    """
    clauses, parameters = ["run.project = ?"], [project]  # type: list[str], list[object]
    for column, allowed in (("experiment", experiments), ("environment", environments), ("stage", stages)):
        if allowed is not None:
            clauses.append(f"run.{column} IN ({', '.join('?' * len(allowed))})")
            parameters += allowed
    return _found(reader, text, order_by, clauses, parameters, limit, offset)


def search_listed(reader: Reader, wanted: RunFilter, text: str, order_by: tuple[str, ...] = ()) -> list[Run]:
    """Return the runs that `list_runs` would, and that pass a filter besides, in an order. Raises `tracking/bad-filter`."""
    clauses, parameters = clauses_of(wanted)
    return _found(reader, text, order_by, clauses, parameters, wanted.limit, 0)


def _found(
    reader: Reader,
    text: str,
    order_by: tuple[str, ...],
    clauses: list[str],
    parameters: list[object],
    limit: int,
    offset: int,
) -> list[Run]:
    condition, order = compile_condition(parse_filter(text)), compile_order(order_by)
    sql = (
        f"SELECT run.* FROM run{order.joins} WHERE {' AND '.join(clauses)} AND ({condition.sql}) "
        f"ORDER BY {order.clauses} LIMIT ? OFFSET ?"
    )
    return [as_run(row) for row in reader.rows(sql, [*order.parameters, *parameters, *condition.parameters, limit, offset])]
