"""S-07: a model that learned from rows which its own service had answered is found; few such rows, or late ones, are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tests.audit.clinic import BEGIN, CODE, Clinic

from bucle.artifacts import ArtifactStore
from bucle.audit.learned import LearnedOrder, LearnedRows, rows_in_child
from bucle.features import FrameColumn, FrameFacts, TrainingFrame
from bucle.ledger import to_us
from bucle.runtimes import Child

PER_DAY = 40


def live_through(clinic: Clinic, ask: Callable[[int], list[int]], until: int = 60) -> str:
    """Let each day begin, ask about what `ask` gives, and train anew at the end; return the version's name."""
    for day in range(40, until):
        clinic.move(day)
        if wanted := ask(day):
            clinic.ask("gates", *wanted)
    clinic.move(until + 1)
    return clinic.train(live=False)


def test_rows_that_were_answered_before_their_label_was_known_are_a_loop(clinic: Clinic) -> None:
    version = live_through(clinic, lambda day: [day * PER_DAY + number for number in range(PER_DAY)])
    row = clinic.debt("S-07")
    assert row["state"] == "found"
    (found,) = row["findings"]
    counted = found["numbers"]
    assert counted["rows"] == pytest.approx(30 * PER_DAY, abs=2)
    assert counted["share"] == pytest.approx(13 / 30, abs=0.01), "the window is days 23 to 53, asked about from day 40 on"
    assert version in found["what"] and found["ids"][0].startswith("mv_") and "1 %" in found["next"]
    line = next(number for number, text in enumerate(CODE.splitlines(), 1) if text.startswith("sale = "))
    assert found["where"] == f"clinic.py:{line}"
    kinds = [clinic.house.ledger.event(seq).kind for seq in found["events"]]
    assert kinds[0] == "registry.version_registered" and set(kinds[1:]) == {"serving.predictions_logged"}
    assert row["numbers"]["score_sd sale sale@1"] > 0 and row["numbers"]["randomised_rows_known"] == 0


def test_few_answered_rows_are_let_pass_and_answers_after_the_label_influenced_nothing(clinic: Clinic) -> None:
    def ask(day: int) -> list[int]:
        late = range((day - 3) * PER_DAY, (day - 2) * PER_DAY)
        return [*range(day * PER_DAY, day * PER_DAY + 3), *late[3:]]

    live_through(clinic, ask)
    row = clinic.debt("S-07")
    assert (row["state"], row["findings"]) == ("clean", [])
    assert row["numbers"]["share"] == pytest.approx(13 * 3 / (30 * PER_DAY), abs=0.004) and row["events"]


def test_a_model_that_was_trained_before_anybody_asked_gives_too_little_to_say(clinic: Clinic) -> None:
    assert clinic.debt("S-07")["state"] == "insufficient data"
    clinic.ask("gates", 40 * PER_DAY)
    assert clinic.debt("S-07")["state"] == "insufficient data", (
        "on a clock that stands still this was no earlier than the training"
    )
    clinic.move(41)
    clinic.ask("gates", 41 * PER_DAY)
    row = clinic.debt("S-07")
    assert row["state"] == "insufficient data" and "had answered nothing" in row["why"]
    assert clinic.debt("S-07", "staging")["state"] == "insufficient data"


def test_rows_without_the_services_key_cannot_be_joined(tmp_path: Path) -> None:
    """And of several frames the one counts that was learned from: what the model was judged by begins later."""
    store = ArtifactStore(tmp_path)
    table = pl.DataFrame({"__key": ["a", "b"], "__time": [BEGIN, BEGIN], "person": ["p1", None], "buys": [True, False]})
    past = TrainingFrame(table, (FrameColumn("person", "category"),), "buys", "visit", "at", facts=FrameFacts(start_us=5))
    recent = replace(past, table=pl.concat([table, table]), facts=FrameFacts(start_us=10))
    frames = []
    for name, frame in (("past", past), ("recent", recent)):
        frame.save(tmp_path / name)
        frames.append({each.name: store.put_file(each) for each in sorted((tmp_path / name).iterdir())})

    def learned(key: str) -> LearnedRows:
        child = Child(tmp_path, tmp_path, lambda message: lambda: message)
        return rows_in_child(LearnedOrder(tuple(frames), key, judged_from_us=10), child)

    assert (learned("visit").keys, learned("person").keys, learned("ticket").keys) == (["a", "b"], ["p1", ""], [])
    assert learned("ticket").rows == 2 and learned("visit").times_us == [to_us(BEGIN)] * 2
