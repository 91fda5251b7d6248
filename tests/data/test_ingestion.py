"""From files to versions: what is new, what is reused, what is refused, and what a moment sees."""

from .conftest import Shop, orders_table


def test_files_become_a_version_with_events_that_cause_each_other(shop: Shop) -> None:
    shop.put(orders_table())
    version = shop.ingest()
    kinds = {event.kind: event for event in shop.events()}
    assert version.rows == 600
    assert list(kinds) == [
        "data.source_connected",
        "data.rules_recorded",
        "data.version_created",
        "data.source_profiled",
        "data.validated",
    ]
    created = kinds["data.version_created"]
    assert created.caused_by == (kinds["data.source_connected"].seq, kinds["data.rules_recorded"].seq)
    assert created.data["rules"] == kinds["data.rules_recorded"].data["digest"]
    assert created.seq in kinds["data.source_profiled"].caused_by
    assert created.seq in kinds["data.validated"].caused_by
    assert created.actor == "ana"
