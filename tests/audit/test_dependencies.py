"""S-06: what a step reads without a definition that names it is found with its line; declared, annotated data is clean."""

from tests.audit.clinic import CODE, PRODUCTION, Clinic

from bucle.data import infer_reviewed
from bucle.delivery import Delivery
from bucle.delivery.models import code_of
from bucle.ledger import acting

BEHIND = CODE.replace("import polars as pl\n", "import polars as pl\nfrom pathlib import Path\n").replace(
    "def fit(frame):\n", 'def fit(frame):\n    prices = pl.read_csv(Path("data") / ("pri" + "ces.csv"))\n'
)


def reviewed(clinic: Clinic) -> None:
    """Put a reviewed schema into the tree: what the clean project has and the template has not."""
    with acting("dora", "data_engineer"):
        house = clinic.house
        code = code_of(house.part(Delivery), PRODUCTION)
        path, _ = infer_reviewed(house.home, house.runners, code, PRODUCTION, "visits")
    target = clinic.work / "schemas" / path.name
    target.parent.mkdir(exist_ok=True)
    path.rename(target)


def line_of(code: str, text: str) -> int:
    return next(number for number, line in enumerate(code.splitlines(), 1) if text in line)


def test_declared_and_annotated_data_is_clean(clinic: Clinic) -> None:
    reviewed(clinic)
    clinic.release(CODE)
    clinic.train(live=False)
    row = clinic.debt("S-06")
    assert (row["state"], row["findings"]) == ("clean", [])
    assert row["numbers"]["sources"] == 1 and row["numbers"]["annotated"] == 1.0 and row["numbers"]["steps"] > 3
    assert {clinic.house.ledger.event(seq).kind for seq in row["events"]} >= {"pipelines.run_started", "serving.deployed"}


def test_a_file_that_a_step_reads_behind_bucles_back_is_found_with_its_line(clinic: Clinic) -> None:
    reviewed(clinic)
    (clinic.work / "data").mkdir()
    (clinic.work / "data" / "prices.csv").write_text("a\n1\n")
    (clinic.work / ".gitignore").write_text("visits.csv\n")
    clinic.release(BEHIND)
    clinic.train(live=False)
    row = clinic.debt("S-06")
    assert (row["state"], row["numbers"]["undeclared"]) == ("found", 1)
    (found,) = row["findings"]
    assert found["where"] == f"clinic.py:{line_of(BEHIND, 'prices = ')}"
    assert "fit" in found["what"] and "data/prices.csv" in found["what"] and "does not run the step again" in found["what"]
    assert "@bucle.source" in found["next"]
    event = clinic.house.ledger.event(found["events"][0])
    assert (event.kind, event.data["reads"]) == ("pipelines.step_finished", ["data/prices.csv"])
    assert found["ids"][0].startswith("run_")


def test_where_a_step_starts_a_program_nothing_is_called_clean(clinic: Clinic) -> None:
    reviewed(clinic)
    code = CODE.replace("import polars as pl\n", "import subprocess\n\nimport polars as pl\n")
    clinic.release(code.replace("def fit(frame):\n", 'def fit(frame):\n    subprocess.run(["true"], check=True)\n'))
    clinic.train(live=False)
    row = clinic.debt("S-06")
    assert (row["state"], row["numbers"]["undeclared"], row["numbers"]["unseen"]) == ("insufficient data", 0, 1)
    (found,) = row["findings"]
    assert "fit" in found["what"] and "true" in found["what"] and found["where"].startswith("clinic.py:")


def test_a_source_without_owner_doc_or_reviewed_schema_is_named(clinic: Clinic) -> None:
    row = clinic.debt("S-06")
    (found,) = row["findings"]
    assert (row["state"], found["what"]) == ("found", "The source visits lacks: schema.")
    assert found["where"] == f"clinic.py:{line_of(CODE, 'def visits') - 1}" and "bucle data infer visits" in found["next"]
    assert row["numbers"]["annotated"] == 0.75


def test_a_live_version_whose_view_is_declared_no_more_is_unresolved(clinic: Clinic) -> None:
    clinic.release(CODE.replace("last_visit", "newest_visit"))
    found = [each for each in clinic.debt("S-06")["findings"] if "depends on" in each["what"]]
    assert [each["what"] for each in found] == [
        "The live sale@1 depends on the view last_visit, which the release does not declare."
    ]
    assert clinic.house.ledger.event(found[0]["events"][0]).kind == "serving.deployed"


def test_where_nothing_is_live_there_is_not_enough_to_say(clinic: Clinic) -> None:
    assert clinic.debt("S-06", "staging")["state"] == "insufficient data"
