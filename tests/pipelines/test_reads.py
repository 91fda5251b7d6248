"""What a step reads beside its inputs is recorded with its result: files, databases, hosts, with the line that did it."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from tests.pipelines.conftest import Place

from bucle.ledger import EventFilter
from bucle.pipelines import PipelineRun, StepRead, list_reads
from bucle.pipelines.reads import MOST, recording

HEAD = """
import csv, json, os, sqlite3, socket
from pathlib import Path
import polars as pl
from polars import read_csv

def where(name):
    return os.environ.get("NOWHERE", "data/") + name  # so that no constant of the code is the file's name

"""


@pytest.fixture
def data(place: Place) -> Path:
    folder = place.root / "data"
    folder.mkdir()
    for name in ("planes", "ports"):
        pl.DataFrame({"id": [1]}).write_csv(folder / f"{name}.csv")
    pl.DataFrame({"id": [1]}).write_parquet(folder / "planes.parquet")
    return folder


def reads(place: Place, run: PipelineRun) -> list[StepRead]:
    assert run.state == "done", run.failure
    with place.home.ledger.read() as reader:
        return list_reads(reader, run.id)


def read_by(place: Place, body: str, engine: str = "inline") -> list[StepRead]:
    step = f"\n@bucle.step\ndef work() -> int:\n    {body}\n    return 1\n"
    place.write(f"{HEAD}{step}\n@bucle.pipeline\ndef main():\n    return work()\n")
    return reads(place, place.run(engine=engine))


WAYS = {
    "open": 'open(where("planes.csv")).close()',
    "pathlib": 'Path(where("planes.csv")).read_bytes()',
    "os.open": 'os.close(os.open(where("planes.csv"), os.O_RDONLY))',
    "polars eagerly": 'pl.read_csv(where("planes.csv"))',
    "polars lazily": 'pl.scan_csv(source=where("planes.csv")).collect()',
    "polars of several": 'pl.read_csv([where("planes.csv")])',
    "polars by name": 'read_csv(where("planes.csv"))',
    "polars imported by the step": 'from polars import scan_csv; scan_csv(where("planes.csv")).collect()',
    "arrow": 'import pyarrow.csv; pyarrow.csv.read_csv(where("planes.csv"))',
    "a dataset of arrow": 'import pyarrow.dataset as ds; ds.dataset(where("planes.csv"), format="csv").to_table()',
    "duckdb": 'import duckdb; duckdb.read_csv(where("planes.csv")).fetchall()',
    "a statement of duckdb": """import duckdb; duckdb.sql("from '" + where("planes.csv") + "'").fetchall()""",
    "a parameter of duckdb": (
        'import duckdb; duckdb.connect().execute("select * from read_csv(?)", [where("planes.csv")]).fetchall()'
    ),
    "in a thread": 'from threading import Thread; t = Thread(target=lambda: open(where("planes.csv"))); t.start(); t.join()',
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_a_step_opens_is_recorded_with_the_line(place: Place, data: Path, way: str) -> None:
    (found,) = read_by(place, WAYS[way])
    line = next(n for n, text in enumerate((place.root / "demo.py").read_text().splitlines(), 1) if "planes.csv" in text)
    assert (found.kind, found.name, found.where, found.opened) == ("file", "data/planes.csv", f"demo.py:{line}", True)
    event = place.home.ledger.event(found.event)
    assert (event.kind, event.data["reads"]) == ("pipelines.step_finished", ["data/planes.csv"])


@pytest.mark.parametrize("engine", ["inline", "processes"])
def test_every_engine_records_it(place: Place, data: Path, engine: str) -> None:
    assert [each.name for each in read_by(place, WAYS["polars eagerly"], engine)] == ["data/planes.csv"]


UNSEEN = {
    "duckdb without a name": (
        """import duckdb; q = "from read_csv('data/pl'||'anes.csv')"; duckdb.sql(q).fetchall()""",
        [("unseen", "DuckDB")],
    ),
    "a program": ('import subprocess; subprocess.run(["sh", "-c", "cat data/*.csv"], stdout=-3)', [("unseen", "sh")]),
    "a shell": ('os.system("exit 0")', [("unseen", "sh")]),
    "a program with a file": (
        'import subprocess; subprocess.run(["cat", where("planes.csv")], stdout=-3)',
        [("file", "data/planes.csv"), ("unseen", "cat")],
    ),
    "a library": ('import sys, types; sys.modules["h5py"] = types.ModuleType("h5py")', [("unseen", "h5py")]),
    "what the machine is": ('import subprocess; subprocess.run(["uname"], stdout=-3)', []),
}


@pytest.mark.parametrize("way", UNSEEN)
def test_what_reads_without_being_seen_is_recorded_as_such(
    place: Place, data: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "h5py", raising=False)
    body, expected = UNSEEN[way]
    found = read_by(place, body)
    assert sorted((each.kind, each.name) for each in found) == expected
    sys.modules.pop("h5py", None)
    event = place.home.ledger.events(EventFilter(kinds=("pipelines.step_finished",), newest_first=True, limit=1))[0]
    assert event.data["reads"] == [name for kind, name in expected if kind == "file"]


CLEAN = {
    "duckdb on no file": """import duckdb; duckdb.sql("select 'data', 'a.*' from range(3)").fetchall()""",
    "nothing": "pass",
    "writing": 'open(where("made.csv"), "w").close()',
    "a file that is not there": 'Path(where("none.csv")).exists() or (lambda: None)()',
    "one that cannot be opened": 'import contextlib\n    with contextlib.suppress(OSError): open(where("none.csv"))',
    "temporary files": "import tempfile; f = tempfile.NamedTemporaryFile(); open(f.name).close(); f.close()",
    "code": "import wave, imaplib; Path(__file__).read_text()",
    "the system": 'Path("/etc/hosts").read_text(); Path("/proc/self/stat").read_text()',
    "settings": 'Path("bucle.toml").read_text()',
    "a hidden folder": 'Path(".git/HEAD").exists(); open(".venv/x").close()',
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("what", CLEAN)
def test_what_is_no_data_is_not_recorded(place: Place, data: Path, what: str) -> None:
    (place.root / ".venv").mkdir()
    (place.root / ".venv" / "x").write_text("x")
    assert read_by(place, CLEAN[what]) == []


def test_reading_a_file_twice_is_one_reading_and_many_are_bounded(place: Place, data: Path) -> None:
    for number in range(MOST + 20):
        (data / f"part{number:03}.json").write_text("{}")
    body = f'[json.loads(Path(where(f"part{{n:03}}.json")).read_text()) for n in range({MOST + 20}) for _ in (1, 2)]'
    found = read_by(place, body)
    assert len(found) == MOST == len({each.name for each in found})


def test_a_database_and_a_file_outside_of_the_project_are_read_too(
    place: Place, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = Path(__file__).parent / "conftest.py"
    body = f'sqlite3.connect(where("facts.db")).close(); open({str(outside)!r}.replace(".py", ".p") + "y").close()'
    assert [each.name for each in read_by(place, body)] == ["data/facts.db"], "code is no data"


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_connection_is_recorded_by_the_name_that_was_looked_up(place: Place, listener: int) -> None:
    (found,) = read_by(place, f'socket.create_connection(("localhost", {listener})).close()')
    assert (found.kind, found.name) == ("network", f"localhost:{listener}")
    (found,) = read_by(place, f's = socket.socket(); s.connect(("127.0.0.1", {listener})); s.close()')
    assert (found.kind, found.name) == ("network", f"127.0.0.1:{listener}")


def test_a_file_that_the_code_names_is_part_of_the_key_and_a_hit_has_its_readings(place: Place, data: Path) -> None:
    step = '@bucle.step\ndef work() -> int:\n    return len(pl.read_csv("data/planes.csv"))\n'
    place.write(f"{HEAD}{step}\n@bucle.pipeline\ndef main():\n    return work()\n")
    (first,) = reads(place, place.run())
    assert (first.name, first.opened, first.in_key) == ("data/planes.csv", True, True)
    again = place.run()
    assert place.steps(again)["work#1"].hit
    (found,) = reads(place, again)
    assert (found.run, found.event, found.name) == (again.id, first.event, first.name)
    hit = place.home.ledger.events(EventFilter(kinds=("pipelines.step_finished",), newest_first=True, limit=1))[0]
    assert hit.data["reads"] == [], "what came from the cache read nothing now"


def test_polars_is_as_it_was_after_a_step_even_if_the_step_failed(tmp_path: Path) -> None:
    before = {name: value for name, value in vars(pl).items() if name.startswith(("read_", "scan_"))}
    with pytest.raises(ZeroDivisionError), recording(tmp_path, (), only_from_project=False):
        assert pl.read_csv is not before["read_csv"]
        raise ZeroDivisionError
    assert {name: vars(pl)[name] for name in before} == before
