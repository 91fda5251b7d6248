"""Entities, views, labels and training sets: what may be declared, and how their rules are told apart and recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import bucle
from bucle.errors import BucleError
from bucle.features import RoleView, record_rules
from bucle.ledger import EventFilter, Home, Scope, within
from bucle.project import Definitions, describe

ENTITY = bucle.Entity("airport", key="origin")
LABEL = bucle.Label("late", pl.col("x") > 1)


def view(ttl: str | None = None, column: str = "wind") -> Any:
    @bucle.features(ENTITY, source="weather", ttl=ttl, name="now")
    def compute(rows: pl.LazyFrame) -> pl.LazyFrame:
        """Seen."""
        return rows.select(column)

    return compute


def traffic(**changes: Any) -> Any:
    settings: dict[str, Any] = {"source": "flights", "at": "t", "window": "2h", "name": "traffic", "mean": ("delay", "mean")}
    return bucle.aggregates(ENTITY, **(settings | changes))


def training_set(**changes: Any) -> Any:
    settings: dict[str, Any] = {
        "spine": "flights",
        "columns": ["carrier"],
        "features": [traffic()],
        "label": LABEL,
        "name": "delays",
    }
    return bucle.TrainingSet(**(settings | changes))


@pytest.mark.parametrize(
    ("code", "declare"),
    [
        ("features/bad-definition", lambda: bucle.Entity("e", key=["a", "a"])),
        ("features/bad-definition", lambda: bucle.features("airport", source="s")),
        ("features/bad-definition", lambda: traffic(window="0s")),
        ("features/bad-definition", lambda: traffic(mean=("delay", "median"))),
        ("features/bad-definition", lambda: traffic(mean="delay")),
        ("features/bad-definition", lambda: bucle.aggregates(ENTITY, source="s", at="t", window="1h")),
        ("features/bad-definition", lambda: bucle.Label("late", "x > 1")),  # type: ignore[arg-type]
        ("features/bad-definition", lambda: training_set(features=["traffic"])),
        ("features/bad-definition", lambda: training_set(columns="carrier")),
        ("features/bad-definition", lambda: training_set(label="late")),
        ("features/bad-definition", lambda: training_set(columns=[], features=[])),
        ("features/bad-definition", lambda: traffic().on(carrier="x")),
        ("features/duplicate-name", lambda: training_set(columns=["mean"])),
        ("features/duplicate-name", lambda: training_set(features=[traffic(), traffic(name="again")])),
        ("ledger/bad-duration", lambda: traffic(window="two hours")),
        ("ledger/bad-duration", lambda: view(ttl="3 hours")),
        ("ledger/bad-duration", lambda: bucle.Label("late", pl.col("x"), matures="soon")),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_declared(code: str, declare: Callable[[], Any]) -> None:
    with pytest.raises(BucleError) as refused:
        declare()
    assert refused.value.code == code


def test_a_name_that_ends_like_a_suffix_is_a_name() -> None:
    assert traffic(mean_y=("delay", "mean"), mean_right=("delay", "max")).spec().aggregates[1].name == "mean_y"


def test_the_digest_of_rules_follows_what_they_do() -> None:
    assert view().spec().digest == view().spec().digest
    assert len({each.spec().digest for each in (view(), view(ttl="3h"), view(column="sky"))}) == 3
    assert len({each.spec().digest for each in (traffic(), traffic(window="3h"), traffic(mean=("delay", "max")))}) == 3
    other = bucle.Label("late", pl.col("x") > 2)
    assert training_set().spec().digest != training_set(label=other).spec().digest
    assert training_set().spec().digest == training_set().spec().digest
    assert "file" not in str(training_set().spec().views[0].file)


def test_a_view_in_a_role_keeps_its_rules_and_prefixes_its_names() -> None:
    role = traffic().on(origin="dest")
    assert isinstance(role, RoleView)
    assert (role.name, role.spec().prefix, role.spec().spine_keys) == ("dest_traffic", "dest_", ("dest",))
    assert role.spec().digest == traffic().spec().digest


def test_bucle_features_is_a_decorator_and_a_package() -> None:
    import bucle.features.views as module

    assert module.features is not None
    assert callable(bucle.features)
    assert view()(pl.LazyFrame({"wind": [1], "x": [2]})).collect().columns == ["wind"]


def test_rules_are_recorded_once_and_again_with_the_run_that_asked_for_the_change(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    asked: list[str] = []

    def why(run: str) -> Callable[[], str]:
        return lambda: (asked.append(run), run)[1]

    def record(window: str, commit: str, run: str) -> None:
        described = describe("air", tmp_path, Definitions([ENTITY, traffic(window=window)]))
        with home.ledger.write() as transaction, within(Scope("air", "test")):
            record_rules(transaction, described, commit, why(run))

    record("2h", "c1", "run_1")
    record("2h", "c2", "run_2")
    record("3h", "c3", "run_3")
    events = home.ledger.events(EventFilter(kinds=("features.rules_recorded",)))
    assert [(event.data["commit"], event.data["because_run"]) for event in events] == [("c1", "run_1"), ("c3", "run_3")]
    assert events[1].data["before"] == events[0].data["digest"]
    assert events[1].caused_by == (events[0].seq,)
    assert asked == ["run_1", "run_3"]
    home.close()
