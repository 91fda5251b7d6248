"""A demo is well only when the ledger holds every turn that its story is told for."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import bucle.demo
from bucle.cli import root
from bucle.demo import Missing, Outcome
from bucle.demo.outcome import Told, missing_of

GOOD = Told(retrained=3, why_not_retrained="", leak_refused=True, gusts=5, why_not_rolled_back="")
COMPLETED = {"delay@3"}
ROLLED_BACK = {"delay@5": "errors"}


def test_nothing_is_missing_when_every_turn_is_in_the_ledger() -> None:
    assert missing_of(GOOD, COMPLETED, ROLLED_BACK) == []


@pytest.mark.parametrize(
    ("told", "completed", "rolled_back", "what", "why"),
    [
        (replace(GOOD, retrained=None, why_not_retrained="gates"), COMPLETED, ROLLED_BACK, "retraining", "gates"),
        (GOOD, set(), ROLLED_BACK, "retraining", "The ledger has no such rollout."),
        (replace(GOOD, leak_refused=False), COMPLETED, ROLLED_BACK, "leaks", "The checks let it pass."),
        (replace(GOOD, gusts=None, why_not_rolled_back="checks"), COMPLETED, ROLLED_BACK, "rollback", "checks"),
        (GOOD, COMPLETED, {}, "rollback", "The ledger has no such rollout."),
        (GOOD, COMPLETED, {"delay@5": "time"}, "rollback", "The ledger has no such rollout."),
    ],
)
def test_a_turn_that_the_ledger_lacks_is_named_with_its_reason(
    told: Told, completed: set[str], rolled_back: dict[str, str], what: str, why: str
) -> None:
    (missing,) = missing_of(told, completed, rolled_back)
    assert what in missing.what
    assert missing.why == why


@pytest.mark.parametrize(("missing", "status"), [([], 0), ([Missing("the rollback", "nobody knows")], 1)])
def test_the_command_exits_1_when_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: list[Missing], status: int
) -> None:
    outcome = Outcome(not missing, missing, 1.0, [], [], [], None)
    monkeypatch.setattr(bucle.demo, "tell", lambda options, narrate: outcome)
    done = CliRunner().invoke(root, ["demo", "--json", "--directory", str(tmp_path / "demo")])
    assert done.exit_code == status
    assert [each["what"] for each in json.loads(done.stdout)["missing"]] == [each.what for each in missing]
