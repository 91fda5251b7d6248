"""S-03: whoever uses a service in production without being declared is found, and those who are declared are not."""

from tests.audit.clinic import CODE, Clinic

DECLARED = 'consumers=["gates", "till"]'


def test_declared_consumers_are_clean(clinic: Clinic) -> None:
    first = clinic.ask("gates", 1, 2, 3)[0]
    clinic.client("till").send_labels("sale", [{"prediction_id": first, "value": True}], environment="production")
    row = clinic.debt("S-03")
    assert (row["state"], row["findings"]) == ("clean", [])
    assert (row["numbers"]["consumers"], row["numbers"]["predictions"], row["numbers"]["labels"]) == (2, 3, 1)
    assert row["events"], "a clean answer names what it rests on"


def test_whoever_asks_without_being_declared_is_found_with_counts(clinic: Clinic) -> None:
    clinic.ask("gates", 1)
    clinic.ask("sheets", 2, 3)
    clinic.ask("sheets", 4)
    row = clinic.debt("S-03")
    assert row["state"] == "found" and row["why"].endswith("in the last 30 days, of which 0.0 are covered.")
    (found,) = row["findings"]
    assert found["numbers"] == {"predictions": 3, "requests": 2, "labels": 0, "predictions_read": 0}
    line = CODE.splitlines().index(next(each for each in CODE.splitlines() if each.startswith("sale = "))) + 1
    assert found["where"] == f"clinic.py:{line}"
    assert "sheets" in found["what"] and "sheets" in found["next"] and found["ids"] == ["sheets/1"]
    kinds = {clinic.house.ledger.event(seq).kind for seq in found["events"]}
    assert kinds == {"serving.predictions_logged"}


def test_whoever_reads_what_was_predicted_consumes_it_too(clinic: Clinic) -> None:
    id = clinic.ask("gates", 1, 2)[0]
    report = clinic.client("report", "viewer")
    for _ in range(3):
        report.get(report.path("services", "sale", "predictions"), {"environment": "production"})
    report.get(report.path("predictions", id), {"environment": "production"})
    (found,) = clinic.debt("S-03")["findings"]
    assert found["numbers"]["predictions_read"] == 7 and "report" in found["what"]
    events = [clinic.house.ledger.event(seq) for seq in found["events"]]
    assert [(each.kind, each.data["reader"]) for each in events] == [("serving.predictions_read", "report")]


def test_a_program_that_reads_the_pages_twin_counts_and_a_person_who_looks_does_not(clinic: Clinic) -> None:
    clinic.ask("gates", 1)
    boss = clinic.client("boss", "viewer")
    headers = {"Authorization": f"Bearer {clinic.tokens['boss']}"}
    assert boss._transport.send("GET", "/projects/clinic/services/sale?environment=production", headers, None).status == 200
    assert clinic.debt("S-03")["state"] == "clean"
    boss._transport.send("GET", "/projects/clinic/services/sale.json?environment=production", headers, None)
    (found,) = clinic.debt("S-03")["findings"]
    assert "boss" in found["what"]


def test_a_service_that_declares_nobody_has_undeclared_consumers(clinic: Clinic) -> None:
    clinic.release(CODE.replace(f", {DECLARED}", ""))
    clinic.ask("gates", 1)
    (found,) = clinic.debt("S-03")["findings"]
    assert "declares no consumers" in found["what"]


def test_what_lies_more_than_thirty_days_back_does_not_count(clinic: Clinic) -> None:
    clinic.ask("sheets", 1)
    clinic.move(40 + 31)
    clinic.ask("gates", 2)
    assert clinic.debt("S-03")["state"] == "clean"


def test_a_declared_consumer_that_is_silent_for_ninety_days_is_stale(clinic: Clinic) -> None:
    clinic.ask("till", 1)
    clinic.move(40 + 89)
    clinic.ask("gates", 2)
    assert clinic.debt("S-03")["state"] == "clean", "nobody has been silent for ninety days yet"
    clinic.move(40 + 91)
    row = clinic.debt("S-03")
    (found,) = row["findings"]
    assert (row["state"], row["numbers"]["stale"], row["numbers"]["undeclared"]) == ("found", 1, 0)
    assert "till" in found["what"] and "2013-02-10" in found["what"]


def test_where_nobody_came_or_nothing_was_released_there_is_not_enough_to_say(clinic: Clinic) -> None:
    assert clinic.debt("S-03")["state"] == "insufficient data"
    assert clinic.debt("S-03", "staging")["state"] == "insufficient data"


def test_the_answer_is_said_in_the_readers_language_and_shown_on_the_page(clinic: Clinic) -> None:
    clinic.ask("sheets", 1)
    send = clinic.owner._transport.send
    spanish = send("GET", "/api/v1/projects/clinic/audit/debt", {"Accept-Language": "es"}, None).body.decode()
    assert "no está declarado" in spanish
    page = send("GET", "/projects/clinic/audit", {"Accept-Language": "es"}, None).body.decode()
    assert "Deuda oculta" in page and "sheets" in page and "clinic.py:" in page
