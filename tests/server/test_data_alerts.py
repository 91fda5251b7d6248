"""An alert about the quality of inputs has the data looked at again; what is read of it is what its emitter says."""

from dataclasses import fields
from pathlib import Path

import pytest

from bucle.ledger import Scope, within
from bucle.monitoring.events import AlertFired
from bucle.server import House, open_house
from bucle.server.api import data


def test_the_fields_that_are_read_of_an_alert_are_those_of_its_emitter() -> None:
    assert set(data.AlertTerms.__struct_fields__) <= {field.name for field in fields(AlertFired)}


@pytest.mark.parametrize(("kind", "looked"), [("data_quality", [Scope("shop", "production")]), ("drift", [])])
def test_only_bad_inputs_have_the_data_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, looked: list[Scope]
) -> None:
    """What the look does is the data room's own test; here it is only seen to be asked for."""
    asked: list[Scope] = []
    monkeypatch.setattr(data.Codes, "of", lambda self, scope: None)
    monkeypatch.setattr(data, "validate_reviewed", lambda home, artifacts, runners, code, scope: asked.append(scope))
    house: House = open_house(tmp_path / "home", "call")
    try:
        with house.ledger.write() as tx, within(Scope("shop", "production")):
            tx.emit(AlertFired("alert_1", kind, "shop", "dep_1", "buys", "wind", "It blows.", {}), "alert_1")
        house.settle(lambda waits: None)
    finally:
        house.close()
    assert asked == looked
