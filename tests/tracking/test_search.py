"""The filter language: what it means, against a slow and obvious evaluator; what it refuses, and where (K-C7)."""

import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.ledger import Home, Scope, acting, within
from bucle.tracking import BadFilter, MetricPoint, RunLog, RunStart, begin_run, parse_filter, record, search_runs
from bucle.tracking.search.grammar import Both, Comparison, Condition, Either, Negation

SPECIAL = {"NaN": math.nan, "Infinity": math.inf}
VALUES: list[float | str] = [0.0, 1.0, 2.5, "NaN", "Infinity"]
TEXTS = ["", "a", "A", "ab", "it's", "%", "*", "[x", "5"]
NAMES = ["x", "y", "a b"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, dict[str, dict[str, Any]]]]:
    """Sixty runs, each with some of the metrics, parameters and tags."""
    home = Home.open(tmp_path_factory.mktemp("home") / "h")
    known: dict[str, dict[str, Any]] = {}
    with acting("ana", "data_scientist"), within(Scope("p", "dev")), home.ledger.write() as tx:
        for number in range(60):
            run = begin_run(tx, RunStart(f"run {TEXTS[number % len(TEXTS)]}!"))
            metrics = {name: VALUES[(number + place) % 5] for place, name in enumerate(NAMES) if (number >> place) & 1}
            texts = {
                name: TEXTS[(number * 7 + place) % len(TEXTS)] for place, name in enumerate(NAMES) if (number >> place) & 2
            }
            points = [MetricPoint(name, value) for name, value in metrics.items()]  # type: ignore[arg-type]
            record(tx, run, RunLog(params=dict(texts), tags=dict(texts), metrics=points))
            known[run] = {"metric": metrics, "param": texts, "tag": texts, "name": f"run {TEXTS[number % len(TEXTS)]}!"}
    yield home, known
    home.close()


def holds(condition: Condition, run: dict[str, Any]) -> bool:
    """What a condition means, as slowly and obviously as can be."""
    match condition:
        case Both(parts):
            return all(holds(part, run) for part in parts)
        case Either(parts):
            return any(holds(part, run) for part in parts)
        case Negation(part):
            return not holds(part, run)
        case Comparison("", "run_name", operator, wanted, _):
            return compared(run["name"], operator, wanted)
        case Comparison(entity, key, operator, wanted, _):
            held = run[entity.rstrip("s")].get(key)
            if operator in ("IS NULL", "IS NOT NULL"):
                return (held is None) is (operator == "IS NULL")
            return held is not None and compared(SPECIAL.get(held, held) if entity == "metrics" else held, operator, wanted)


def compared(held: Any, operator: str, wanted: Any) -> bool:
    if isinstance(held, float):
        held = None if math.isnan(held) else min(held, 1.7976931348623157e308)
        table = {"=": "__eq__", "!=": "__ne__", ">": "__gt__", ">=": "__ge__", "<": "__lt__", "<=": "__le__"}
        return held is not None and bool(getattr(held, table[operator])(wanted))
    if operator in ("LIKE", "ILIKE"):
        pattern = re.escape(wanted).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, held, re.DOTALL | (re.IGNORECASE if operator == "ILIKE" else 0)) is not None
    if operator in ("IN", "NOT IN"):
        return (held in wanted) is (operator == "IN")
    return (held == wanted) is (operator == "=")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


keys = st.sampled_from(["x", "y", "`a b`", '"a b"', "none"])
numbers = st.tuples(
    st.just("metrics."),
    keys,
    st.sampled_from(["=", "!=", ">", ">=", "<", "<="]),
    st.sampled_from(["0", "1.0", "2.5", "-1", "1e3"]),
)
texts = st.tuples(
    st.sampled_from(["params.", "tags."]),
    keys,
    st.sampled_from(["=", "!=", " LIKE ", " ILIKE ", " like "]),
    st.sampled_from([*TEXTS, "a%", "_", "%b"]).map(quoted),
)
lists = st.tuples(
    st.sampled_from(["params.", "tags."]),
    keys,
    st.sampled_from([" IN ", " NOT IN "]),
    st.lists(st.sampled_from(TEXTS).map(quoted), min_size=1, max_size=3).map(lambda items: f"({', '.join(items)})"),
)
absent = st.tuples(
    st.sampled_from(["metrics.", "params.", "tags."]), keys, st.sampled_from([" IS NULL", " IS NOT NULL"]), st.just("")
)
named = st.tuples(st.just("run_name"), st.just(""), st.just(" LIKE "), st.sampled_from(["run%", "run a_", "%!"]).map(quoted))
comparisons = st.one_of(numbers, texts, lists, absent, named).map("".join)
filters = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR ", " and "]), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"NOT ({text})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(filters)
def test_a_filter_finds_what_it_says(runs: tuple[Home, dict[str, dict[str, Any]]], text: str) -> None:
    home, known = runs
    condition = parse_filter(text)
    with home.ledger.read() as reader:
        found = {run.id for run in search_runs(reader, "p", text)}
    assert found == {id for id, run in known.items() if holds(condition, run)}


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab.'\"`()=<>!,% _NOTINANDORLIKE019-\\;\x00é", max_size=40))
def test_nonsense_is_refused_with_its_place(runs: tuple[Home, dict[str, dict[str, Any]]], text: str) -> None:
    home, _ = runs
    with home.ledger.read() as reader:
        try:
            search_runs(reader, "p", text)
        except BadFilter as error:
            assert 1 <= int(str(error.fields["place"])) <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("metrics.x >", 12),
        ("metrics.x > 'a'", 1),
        ("params.x = 1", 1),
        ("foo.x = 1", 1),
        ("run_name = 'a' AND bad = 'b'", 20),
        ("metrics.x > 1 metrics.y > 2", 15),
        ("(metrics.x > 1", 15),
        ("NOT", 4),
        ("metrics.x LIKE 'a'", 1),
        ("tags.x IN ()", 12),
        ("a ~ 'b'", 3),
        ("(" * 60 + "metrics.x > 1" + ")" * 60, 52),
    ],
)
def test_an_error_says_where(runs: tuple[Home, dict[str, dict[str, Any]]], text: str, place: int) -> None:
    with runs[0].ledger.read() as reader, pytest.raises(BadFilter) as refused:
        search_runs(reader, "p", text)
    assert refused.value.fields["place"] == place


def test_values_are_never_part_of_the_statement(runs: tuple[Home, dict[str, dict[str, Any]]]) -> None:
    home, known = runs
    probe = "x'' OR 1=1 --"
    with home.ledger.read() as reader:
        assert search_runs(reader, "p", f"params.x = '{probe}'") == []
        assert search_runs(reader, "p", f"tags.`{probe}` IS NOT NULL") == []
        assert len(search_runs(reader, "p", "", order_by=("metrics.`x; DROP TABLE run` DESC",))) == len(known)


def test_order_puts_nothing_last_and_nan_after_numbers(runs: tuple[Home, dict[str, dict[str, Any]]]) -> None:
    home, known = runs
    with home.ledger.read() as reader:
        for direction in ("ASC", "DESC"):
            found = [known[run.id]["metric"].get("x") for run in search_runs(reader, "p", order_by=(f"metrics.x {direction}",))]
            ranks = [2 if value is None else 1 if value == "NaN" else 0 for value in found]
            assert ranks == sorted(ranks)
            numbers = [SPECIAL.get(value, value) for value in found if value not in (None, "NaN")]
            assert numbers == sorted(numbers, reverse=direction == "DESC")
        with pytest.raises(BadFilter):
            search_runs(reader, "p", order_by=("metrics.x SIDEWAYS",))


def test_who_may_not_see_an_environment_does_not_find_its_runs(
    runs: tuple[Home, dict[str, dict[str, Any]]],
) -> None:
    with runs[0].ledger.read() as reader:
        assert search_runs(reader, "p", environments=("production",)) == []
        assert search_runs(reader, "other") == []
