"""Chapter 2: experiments from a script and a session, and a rule that changes because of one (K-13 to K-16, K-F1)."""

from pathlib import Path

from bucle.demo.stage import Stage
from bucle.messages import say

_SCRIPT = '''"""Train the model of the project from a script; bucle keeps the run."""

import sys

from flights import train_delay

run = train_delay.run(learning_rate=float(sys.argv[1]))
print(run.id)
'''

_CELLS = (
    "import bucle, polars as pl",
    'frame = bucle.connect().training_frame("delays", start="2013-03-01T00:00:00Z").to_polars()',
    'flights = frame.rename({frame.columns[1]: "at"}).sort("at")',
    'weather = pl.read_parquet("data/weather/*.parquet").select("origin", at="observed_at", seen="observed_at").sort("at")',
    'aged = flights.join_asof(weather, on="at", by="origin").with_columns(age=pl.col("at") - pl.col("seen"))',
    """with bucle.start_run("how old is the weather?", experiment="weather") as run:
    bucle.log_metric("rows", len(aged))
    for hours in (1, 2, 3):
        bucle.log_metric(f"older_than_{hours}h", aged.select((pl.col("age") > pl.duration(hours=hours)).sum()).item())

""",
    "print(run.id)",
)
"""What Ana types into her session, a cell at a time."""


def experiment(stage: Stage) -> None:
    """Train from a script, ask a question in a session, change a rule because of the answer, and train again."""
    stage.say(say("demo.experiment"))
    script = stage.directory / "experiments" / "train.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(_SCRIPT, "utf-8")
    _say_run(stage, stage.python(str(script), "0.1", actor="ana"))
    stage.say(say("demo.session"))
    asked = stage.python("-q", "-i", actor="ana", typed="\n".join(_CELLS) + "\n")
    for name, value in sorted(_metrics(stage, asked).items()):
        stage.say(f"    {name} = {value:g}")
    stage.say(say("demo.rule"))
    _change(stage.directory / "flights" / "__init__.py", 'ttl="3h"', 'ttl="2h"')
    stage.git("add", "--all", actor="ana")
    message = ("--message", "Let weather go stale after two hours", "--message", f"Bucle-Run: {asked}")
    stage.git("commit", "--quiet", *message, actor="ana")
    _say_run(stage, stage.python(str(script), "0.1", actor="ana"))


def _change(file: Path, old: str, new: str) -> None:
    file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")


def _metrics(stage: Stage, run: str) -> dict[str, float]:
    record = stage.call("ana", lambda client: client.get(client.path("runs", run)))["record"]
    return {point["name"]: point["value"] for point in record["metrics"]}


def _say_run(stage: Stage, run: str) -> None:
    record = stage.call("ana", lambda client: client.get(client.path("runs", run)))["record"]["run"]
    stage.say(say("demo.run", id=run, status=record["status"]))
