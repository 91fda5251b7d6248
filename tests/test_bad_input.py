"""What a user can do wrong, done as a user does it: each is refused by code, place and next step, and nothing is lost by it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.live import Server, bucle, environment, up
from tests.shop import START, write_shop

from bucle.ledger import Home


@dataclass
class Shop:
    """A project with a model that answers, and its server."""

    root: Path
    home: Path
    server: Server

    def command(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return bucle(*words, "--json", "--home", self.home, cwd=self.root)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.server.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def service(self, verb: str, body: object) -> tuple[int, Any]:
        return self.ask("POST", f"/api/v1/projects/shop/services/buys/{verb}?environment=dev", body)

    def predict(self, row: dict[str, Any]) -> tuple[int, Any]:
        return self.service("predict", {"rows": [row]})

    def state(self) -> tuple[object, ...]:
        """What the home holds: models, deployments, predictions, labels, releases."""
        self.ask("GET", "/api/v1/projects/shop/services/buys/predictions?environment=dev")
        tables = ("model_version", "deployment", "prediction", "label", "release")
        with closing(sqlite3.connect(f"file:{self.home / 'ledger.db'}?mode=ro", uri=True)) as database:
            return tuple(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("bad-input")
    root, home = folder / "shop", folder / "home"
    write_shop(root)
    Home.open(home, replay_from=START + timedelta(days=40)).close()
    with up(home) as server:
        made = Shop(root, home, server)
        status, _ = made.ask("POST", "/api/v1/projects", {"root": str(root)})
        assert status == 200
        for words in (("run", "train"), ("promote", "buys@1", "dev")):
            done = made.command(*words)
            assert done.returncode == 0, done.stderr
        yield made


@contextmanager
def nothing_lost(shop: Shop) -> Iterator[None]:
    """What is refused within leaves the home as it was, and the service answering."""
    before = shop.state()
    yield
    assert shop.state() == before, "something was lost or half-written"
    status, answer = shop.predict(ROW | {"visit": "after"})
    assert status == 200, answer


@contextmanager
def changed(file: Path, old: str, new: str) -> Iterator[int]:
    """Change a file of the project, and put it back; gives the line of the change."""
    text = file.read_text()
    assert old in text
    line = text[: text.index(old)].count("\n") + 1
    file.write_text(text.replace(old, new, 1))
    try:
        yield line
    finally:
        file.write_text(text)


def refused(done: "subprocess.CompletedProcess[str]", code: str, status: int = 1) -> dict[str, str]:
    """Check the form of a refusal: one JSON document with a place and a next step, and no stack trace."""
    assert done.returncode == status, (done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    document: dict[str, str] = json.loads(done.stderr.strip().splitlines()[-1])
    assert document["code"] == code, document
    assert document["message"] and document["next"] and "none." not in document["next"]
    return document


ROW: dict[str, Any] = {"visit": "n1", "city": "Rome", "pages": 4, "sure": True}
PROBLEM = {"type", "title", "status", "detail", "code", "where", "next"}


def refused_with(answer: tuple[int, Any], status: int, code: str, where: str) -> dict[str, str]:
    found, problem = answer
    assert (found, problem["code"], problem["where"]) == (status, code, where), problem
    assert problem.keys() == PROBLEM and problem["next"] and "Traceback" not in json.dumps(problem)
    return dict(problem)


def test_an_unknown_key_in_bucle_toml(shop: Shop) -> None:
    with nothing_lost(shop), changed(shop.root / "bucle.toml", "owner =", "ownr =") as line:
        document = refused(shop.command("run", "train"), "project/unknown-key")
    assert document["where"].endswith(f"bucle.toml:{line}") and "owner" in document["next"]


STEPS = {
    "a misspelt step": ("fit(past)", "fti(past)", "pipelines/unknown-step", "fit"),
    "steps that wait on themselves": (
        "bucle.evaluate(fit(past), recent)",
        "bucle.evaluate(train(), recent)",
        "pipelines/cycle",
        "",
    ),
}


@pytest.mark.parametrize(("old", "new", "code", "following"), STEPS.values(), ids=STEPS)
def test_a_pipeline_that_cannot_be(shop: Shop, old: str, new: str, code: str, following: str) -> None:
    with nothing_lost(shop), changed(shop.root / "shop.py", old, new) as line:
        document = refused(shop.command("run", "train"), code)
    assert "shop.py:" in document["where"] and following in document["next"]
    assert line - 3 <= int(document["where"].rpartition(":")[2]) <= line, "the call, or the pipeline's own line"


def test_a_misspelt_feature_in_the_code(shop: Shop) -> None:
    with nothing_lost(shop), changed(shop.root / "shop.py", "features=[]", "features=[bussy]") as line:
        document = refused(shop.command("run", "train"), "project/import-failed")
    assert f"shop.py:{line}" in document["where"] and "bussy" in document["message"]


def test_a_misspelt_column_of_a_training_set(shop: Shop) -> None:
    with nothing_lost(shop), changed(shop.root / "shop.py", '"pages"', '"pagse"') as line:
        document = refused(shop.command("run", "train"), "features/unknown-column")
    assert "shop.py:" in document["where"] and abs(int(document["where"].rpartition(":")[2]) - line) <= 1
    assert "pages" in document["next"]


NAMES = {
    "a pipeline": (("run", "trian"), "project/unknown-definition", "train"),
    "a view": (("features", "materialize", "--view", "buzy"), "features/unknown", "busy"),
    "a source": (("data", "add", "visit"), "data/unknown-source", "visits"),
    "an environment": (("run", "train", "--environment", "tset"), "project/unknown-environment", "test"),
    "a version": (("promote", "buys@9", "dev"), "registry/unknown-version", "bucle models"),
    "a run": (("resume", "run_0"), "pipelines/unknown-run", "bucle runs"),
}


@pytest.mark.parametrize(("words", "code", "following"), NAMES.values(), ids=NAMES)
def test_a_misspelt_name_on_the_command_line(shop: Shop, words: tuple[str, ...], code: str, following: str) -> None:
    with nothing_lost(shop):
        assert following in refused(shop.command(*words), code)["next"]


def test_a_name_where_nothing_is_declared_yet(tmp_path: Path) -> None:
    (tmp_path / "bucle.toml").write_text('[project]\nname = "bare"\ndefinitions = "bare"\n')
    (tmp_path / "bare.py").write_text('"""Nothing yet."""\n')
    for words in (("run", "train"), ("data", "add", "visits"), ("features", "materialize", "--view", "busy")):
        done = bucle(*words, "--json", cwd=tmp_path)
        assert "declare it first" in refused(done, json.loads(done.stderr)["code"])["next"]


def test_a_source_whose_files_are_not_there(shop: Shop) -> None:
    with nothing_lost(shop), changed(shop.root / "shop.py", "data/visits/", "data/visitz/") as line:
        document = refused(shop.command("data", "add", "visits"), "data/no-files")
    assert f"shop.py:{line}" in document["where"] and "visitz" in document["message"]


LEAKS = {"a copy": "paid", "shifted, as a column like any other": "paid + 3", "as truth": "paid > 50"}


@pytest.mark.parametrize("expression", LEAKS.values(), ids=LEAKS)
def test_a_leak_under_any_column_name(shop: Shop, expression: str) -> None:
    late = expression.replace("paid", 'pl.col("paid")')
    with nothing_lost(shop), changed(shop.root / "shop.py", "return raw", f"return raw.with_columns(tone={late})"):
        document = refused(shop.command("run", "train"), "data/refused")
    assert "shop.py:" in document["where"] and "tone" in document["message"]


def test_a_malformed_parquet_file(shop: Shop) -> None:
    bad = shop.root / "data" / "visits" / "2.parquet"
    bad.write_bytes(b"PAR1 this is no parquet file PAR1")
    try:
        with nothing_lost(shop):
            document = refused(shop.command("data", "add", "visits"), "data/malformed-file")
    finally:
        bad.unlink()
    assert "2.parquet" in document["message"] and document["where"]
    assert shop.command("data", "add", "visits").returncode == 0


def test_a_push_without_bucle_toml(shop: Shop, tmp_path: Path) -> None:
    def git(*words: str) -> "subprocess.CompletedProcess[str]":
        options = ["-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "init.defaultBranch=main"]
        return subprocess.run(
            ["git", *options, *words], cwd=tmp_path, capture_output=True, text=True, env=environment(), timeout=120
        )

    (tmp_path / "notes.txt").write_text("no project\n")
    for words in (("init", "--quiet"), ("add", "-A"), ("commit", "--quiet", "-m", "Begin")):
        assert git(*words).returncode == 0
    with nothing_lost(shop):
        pushed = git("push", f"{shop.server.url}/git/bare.git", "HEAD:main")
    said = "\n".join(line for line in pushed.stderr.splitlines() if line.startswith("remote:"))
    assert "bucle.toml" in said and "bucle init" in said and "Traceback" not in pushed.stderr
    assert shop.ask("GET", "/api/v1/projects/bare/releases")[1] in ([], None)


INPUTS = {
    "missing": ({key: value for key, value in ROW.items() if key != "pages"}, "serving/missing-input", "pages"),
    "null": (ROW | {"pages": None}, "serving/null-input", "pages"),
    "extra": (ROW | {"hat": "red"}, "serving/extra-input", "hat"),
    "of the wrong type": (ROW | {"pages": "four"}, "serving/wrong-type", "pages"),
    "a null key": (ROW | {"visit": None}, "serving/null-input", "visit"),
}


@pytest.mark.parametrize(("row", "code", "column"), INPUTS.values(), ids=INPUTS)
def test_a_prediction_with_an_input_that_is(shop: Shop, row: dict[str, Any], code: str, column: str) -> None:
    with nothing_lost(shop):
        problem = refused_with(shop.predict(row), 422, code, f"rows[0].{column}")
    assert column in problem["detail"]


def test_a_row_file_with_a_column_missing(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("visit,city,sure\nn1,Rome,true\n")
    with nothing_lost(shop):
        document = refused(shop.command("predict", "buys", "--rows", tmp_path / "rows.csv"), "serving/missing-input")
    assert document["where"] == "rows[0].pages"


def test_a_label_for_an_unknown_prediction(shop: Shop) -> None:
    with nothing_lost(shop):
        by_id = shop.service("labels", {"labels": [{"prediction_id": "pred_0", "value": True}]})
        by_key = shop.service("labels", {"labels": [{"key": "nobody", "value": True}]})
    refused_with(by_id, 422, "serving/unknown-prediction", "labels[0].prediction_id")
    refused_with(by_key, 422, "serving/unknown-prediction", "labels[0].key")


def test_a_second_label(shop: Shop) -> None:
    id = shop.predict(ROW | {"visit": "twice"})[1]["predictions"][0]["id"]
    first = {"prediction_id": id, "value": True}
    assert shop.service("labels", {"labels": [first]})[1]["recorded"] == 1
    assert shop.service("labels", {"labels": [first]})[1]["repeated"] == 1
    other = shop.predict(ROW | {"visit": "fresh"})[1]["predictions"][0]["id"]
    with nothing_lost(shop):
        batch = [{"prediction_id": other, "value": True}, first | {"value": False}]
        problem = refused_with(shop.service("labels", {"labels": batch}), 409, "serving/label-differs", "labels[1].value")
    assert "replace" in problem["next"]


def test_a_port_in_use(shop: Shop, tmp_path: Path) -> None:
    port = shop.server.url.rpartition(":")[2]
    with nothing_lost(shop):
        for more in ((), ("--detach",)):
            document = refused(bucle("up", "--port", port, "--json", "--home", tmp_path / "h", *more), "server/port-in-use")
            assert document["where"] == "--port" and "--port 0" in document["next"]
    assert not (tmp_path / "h" / "ledger.db").exists()


def test_two_servers_on_one_home(shop: Shop) -> None:
    with nothing_lost(shop):
        for more in ((), ("--detach",)):
            document = refused(shop.command("up", "--port", "0", *more), "ledger/home-busy")
            assert str(shop.server.pid) in document["message"] and "bucle down" in document["next"]
    assert json.loads(shop.command("status").stdout)["pid"] == shop.server.pid


def test_a_home_of_a_newer_version(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert bucle("events", "--json", "--home", home).returncode == 0
    with sqlite3.connect(home / "ledger.db") as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version + 1000}")
    database.close()
    before = (home / "ledger.db").read_bytes()
    for words in (("events",), ("up", "--port", "0"), ("up", "--port", "0", "--detach")):
        document = refused(bucle(*words, "--json", "--home", home), "ledger/home-newer")
        assert "Upgrade" in document["next"] and str(version + 1000) in document["message"]
    assert (home / "ledger.db").read_bytes() == before
    with sqlite3.connect(home / "ledger.db") as database:
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    assert bucle("events", "--json", "--home", home).returncode == 0


SMALL_DISK = "BUCLE_TEST_SMALL_DISK"
FULL = """
import json, os, sys, urllib.error, urllib.request
from pathlib import Path
from tests.live import bucle, up
disk = Path(sys.argv[1])
home = disk / "home"
names = lambda: [each["name"] for each in json.loads(bucle("token", "list", "--json", "--home", home).stdout)]
with up(home) as server:
    made = bucle("token", "create", "before", "--role", "viewer", "--json", "--home", home)
    assert made.returncode == 0, made.stderr
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass
    outcomes = [bucle("token", "create", f"n{n}" + "x" * 60, "--role", "viewer", "--json", "--home", home) for n in range(12)]
    failed = [each for each in outcomes if each.returncode]
    kept = [f"n{n}" + "x" * 60 for n, each in enumerate(outcomes) if not each.returncode]
    held = names()
    os.unlink(disk / "filler")
    again = bucle("token", "create", "after", "--role", "viewer", "--json", "--home", home)
print(json.dumps([[json.loads(each.stderr) for each in failed], kept, held, again.returncode, again.stderr]))
"""


def small_disk(folder: Path) -> tuple[list[str], Path]:
    """Return the words before a program that uses a small disk, and where it is: the one that is given, else `folder`.

    In a user's own namespace anybody may mount one, unless the machine forbids that; without it only root may.
    """
    if given := os.environ.get(SMALL_DISK):
        assert shutil.disk_usage(given).total <= 64 << 20, (
            f"{SMALL_DISK}={given} is larger than 64 MB; it is filled to the brim"
        )
        return [], Path(tempfile.mkdtemp(dir=given))
    mount = ["sh", "-c", 'mount -t tmpfs -o size=4m none "$0" && exec "$@"', str(folder)]
    for way in (["unshare", "-rm"], ["unshare", "-m"]):
        if shutil.which("unshare") and not subprocess.run([*way, *mount, "true"], capture_output=True, timeout=30).returncode:
            return [*way, *mount], folder
    pytest.fail(
        "This test fills a small disk and may mount none here. Allow namespaces of users (sysctl user.max_user_namespaces, "
        "kernel.apparmor_restrict_unprivileged_userns=0), run it as root, or mount one and name it: "
        f"sudo mount -t tmpfs -o size=8m,mode=777 none /mnt && {SMALL_DISK}=/mnt make test"
    )


def test_a_full_disk(tmp_path: Path) -> None:
    """On a file system of its own, a few megabytes in memory."""
    before, disk = small_disk(tmp_path)
    words = [*before, sys.executable, "-c", FULL, str(disk)]
    root = str(Path(__file__).parent.parent)
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment(PYTHONPATH=f"{root}/src:{root}"), timeout=120, cwd=root
    )
    assert done.returncode == 0, done.stderr[-2000:]
    failed, kept, held, again, said = json.loads(done.stdout)
    assert failed and {each["code"] for each in failed} == {"ledger/disk-full"}
    assert all("bucle gc" in each["next"] for each in failed)
    assert sorted(held) == sorted(["before", *kept]), "what was acknowledged is there, and nothing else"
    assert again == 0, said
