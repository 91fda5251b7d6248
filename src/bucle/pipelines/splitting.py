"""`.split` of a training set inside a pipeline: a step that makes both frames from the run's snapshot."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bucle.features import TrainingSet, planner
from bucle.pipelines.executing import current_work
from bucle.pipelines.sessions import Session
from bucle.pipelines.steps import built_in
from bucle.tracking import current_collector


@contextmanager
def planning_splits(session: Session) -> Iterator[None]:
    """Let `.split` within plan a step of `session`."""

    def plan(target: str, training_set: str, parameters: Mapping[str, Any]) -> tuple[Any, Any]:
        declared = session.place.definitions().get(TrainingSet, training_set)
        arguments = {"training_set": training_set, "seed": session.seed, **parameters, "snapshot": session.snapshot}
        code = {f"training set {training_set}": declared.spec().digest}
        past, recent = session.call(_SPLIT, (), arguments, code=code)
        return past, recent

    token = planner.set(plan)
    try:
        yield
    finally:
        planner.reset(token)


def split_step(training_set: str, window: str, holdout: str, seed: int, snapshot: str | None) -> tuple[Any, Any]:
    """Make the past and the recent frame, and note what was read and how it was split (K-14, K-18, K-19)."""
    from bucle.data import Snapshot
    from bucle.features import noted, split

    place = current_work().place
    data = place.store.get_json(snapshot, Snapshot) if snapshot else Snapshot(current_work().order.as_of_us, {})
    token = noted.set(_note)
    try:
        return split(place.store, place.definitions(), data, training_set, window=window, holdout=holdout, seed=seed)
    finally:
        noted.reset(token)


def _note(kind: str, facts: Mapping[str, Any]) -> None:
    collector = current_collector()
    if collector is not None:
        collector.note(kind, **facts)


_SPLIT = built_in(split_step, "split")
