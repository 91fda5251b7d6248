"""Files of rows, online and in batch: both modes agree, each kind of file is read, bad files are refused with their line."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from bucle.cli.main import root
from bucle.cli.session import Session
from bucle.errors import RemoteError
from bucle.ledger import format_instant
from bucle.server import idempotency
from bucle.serving import Services
from bucle.serving import batch as batches


def rows(served, count: int = 60) -> list[dict[str, Any]]:
    """Rows whose moment is now, by the home's clock."""
    now = served.house.ledger.clock.now()
    return [
        {
            "flight_id": f"file{number}",
            "scheduled_at": now,
            "carrier": ("AA", "B6", "ZZ")[number % 3],
            "origin": ("JFK", "LGA")[number % 2],
            "distance": 100 + number,
            "gate": number,
        }
        for number in range(count)
    ]


def batch(served, file: Path, kind: str) -> Any:
    return served.client.post(served.client.path("services", "delay", "batch"), file, {"format": kind})


def taken(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("flight_id", "carrier", "origin", "distance")}


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_batch_with_offline_features_says_what_online_says_about_the_same_rows_now(served, tmp_path: Path, kind: str) -> None:
    table, file = pl.DataFrame(rows(served)), tmp_path / f"rows.{kind}"
    {"parquet": table.write_parquet, "csv": table.write_csv, "jsonl": table.write_ndjson}[kind](file)
    offline = batch(served, file, kind)["predictions"]
    online = served.predict(*(taken(row) for row in rows(served)))["predictions"]
    assert [each["key"] for each in offline] == [each["key"] for each in online]
    assert [each["prediction"] for each in offline] == pytest.approx([each["prediction"] for each in online], abs=1e-12)
    assert [each.get("unseen") for each in offline] == [each.get("unseen") for each in online]


def test_rows_of_the_past_get_the_features_of_their_own_moment_and_are_logged_as_offline(served, tmp_path: Path) -> None:
    now = served.house.ledger.clock.now()
    moments = [now - dt.timedelta(hours=3 * hours) for hours in range(20)]
    table = pl.DataFrame(
        [taken(row) | {"flight_id": f"past{i}", "distance": 500, "carrier": "AA", "origin": "JFK", "scheduled_at": moments[i]}
         for i, row in enumerate(rows(served, 20))]
    )  # fmt: skip
    table.write_parquet(tmp_path / "rows.parquet")
    answers = batch(served, tmp_path / "rows.parquet", "parquet")["predictions"]
    assert len({each["prediction"] for each in answers}) > 1, "only the weather and traffic of their moments differ"
    shown = served.client.get(served.client.path("predictions", answers[7]["id"]))
    assert shown["store"] == "offline"
    assert shown["as_of"] == format_instant(moments[7])


@pytest.mark.parametrize(
    ("content", "kind", "code", "where"),
    [
        (b"", "csv", "serving/bad-rows", "the file"),
        (b"PAR1 and then nothing", "parquet", "serving/bad-rows", "the file"),
        (b'{"flight_id": "a"}\n{"flight_id": ', "jsonl", "serving/bad-rows", "the file"),
        (b'{"flight_id": "a", "carrier": "AA", "origin": "JFK"}\n', "jsonl", "serving/missing-input", "rows[0].distance"),
        (b"", "jsonl", "serving/empty-request", "the file"),
        (b"x", "xml", "server/bad-parameter", "query.format"),
    ],
)
def test_a_file_that_cannot_be_scored_is_refused_with_its_place(
    served, tmp_path: Path, content: bytes, kind: str, code: str, where: str
) -> None:
    file = tmp_path / "rows"
    file.write_bytes(content)
    with pytest.raises(RemoteError) as caught:
        batch(served, file, kind)
    assert (caught.value.code, caught.value.where) == (code, where)


def repeatable(served, file: Path) -> Any:
    """Send a file under one key, as a client does that got no answer the first time."""
    return served.client.post(served.client.path("services", "delay", "batch"), file, {"format": "parquet"}, key="the same")


@pytest.mark.parametrize("count", [7, 8])
def test_a_file_that_comes_again_after_a_deployment_is_answered_as_the_first_time(
    fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(idempotency, "_LARGEST_KEPT", 0)  # as if the answer were large: only the log remembers it
    monkeypatch.setattr(batches, "_CHUNK", 4)
    pl.DataFrame(rows(fresh, count)).write_parquet(tmp_path / "rows.parquet")
    first = repeatable(fresh, tmp_path / "rows.parquet")
    fresh.deploy(1)
    assert batch(fresh, tmp_path / "rows.parquet", "parquet")["version"] != first["version"]
    assert repeatable(fresh, tmp_path / "rows.parquet") == first


def test_a_file_whose_request_died_on_the_way_is_finished_by_the_deployment_that_began_it(
    fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_CHUNK", 4)
    pl.DataFrame(rows(fresh, 9)).write_parquet(tmp_path / "rows.parquet")
    expected = [each["prediction"] for each in batch(fresh, tmp_path / "rows.parquet", "parquet")["predictions"]]
    answer = Services.answer

    def dying(self: Services, deployment: Any, rows: Any, store: str, client: str, part: int = 0) -> Any:
        if part == 1:
            raise RuntimeError("killed")
        return answer(self, deployment, rows, store, client, part)

    monkeypatch.setattr(Services, "answer", dying)
    with pytest.raises(RemoteError):
        repeatable(fresh, tmp_path / "rows.parquet")
    monkeypatch.setattr(Services, "answer", answer)
    fresh.deploy(1)
    finished = repeatable(fresh, tmp_path / "rows.parquet")
    assert [each["prediction"] for each in finished["predictions"]] == expected
    assert len({each["id"] for each in finished["predictions"]}) == 9 and finished["version"] == 1


def cli(served, *arguments: str) -> Result:
    """Run a command as `bucle` would, on the home that this process holds."""
    session = Session()
    session._client = served.client
    return CliRunner().invoke(root, [*arguments], obj=session, catch_exceptions=False)


def test_the_command_line_predicts_a_file_and_writes_the_answers(served, tmp_path: Path) -> None:
    pl.DataFrame(rows(served, 5)).write_csv(tmp_path / "rows.csv")
    answer = json.loads(cli(served, "predict", "delay", "--rows", str(tmp_path / "rows.csv"), "--json").stdout)
    assert [each["key"] for each in answer["predictions"]] == [f"file{number}" for number in range(5)]
    out = tmp_path / "answers.parquet"
    done = cli(served, "predict", "delay", "--rows", str(tmp_path / "rows.csv"), "--out", str(out), "--batch", "--json")
    assert json.loads(done.stdout)["rows"] == 5
    assert pl.read_parquet(out)["prediction"].to_list() == pytest.approx([each["prediction"] for each in answer["predictions"]])


def test_the_command_line_sends_labels_from_a_file_and_sends_them_again(served, tmp_path: Path) -> None:
    served.predict(*(taken(row) | {"flight_id": f"sent{place}"} for place, row in enumerate(rows(served, 3))))
    moment = format_instant(served.house.ledger.clock.now())
    pl.DataFrame({"key": [f"sent{n}" for n in range(3)], "value": [True, False, True], "observed_at": [moment] * 3}).write_csv(
        tmp_path / "labels.csv"
    )
    first = json.loads(cli(served, "labels", "send", str(tmp_path / "labels.csv"), "--json").stdout)
    again = json.loads(cli(served, "labels", "send", str(tmp_path / "labels.csv"), "--json").stdout)
    assert (first["recorded"], first["repeated"]) == (3, 0)
    assert (again["recorded"], again["repeated"]) == (0, 3)


def test_the_command_line_shows_how_a_service_does_and_its_alerts(served) -> None:
    shown = json.loads(cli(served, "monitor", "delay", "--json").stdout)
    assert shown["monitor"] == "watch"
    assert "delay in dev: insufficient data" in cli(served, "monitor", "delay").stdout
    assert json.loads(cli(served, "alerts", "--json").stdout) == []
