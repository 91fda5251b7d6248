"""The story that the demo tells, chapter by chapter: every act is a command, a request or a push of somebody with a role."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bucle.demo.beginning import MARK, begin, look_at_data
from bucle.demo.experiments import experiment
from bucle.demo.looking_back import look_back
from bucle.demo.measuring import Meter
from bucle.demo.outcome import Missing, Outcome, StepShown, Told, causal_chain, find_missing, shown_steps
from bucle.demo.refusals import refuse_leak, roll_back_gusts
from bucle.demo.releasing import deliver, newest_event, train_and_deploy
from bucle.demo.stage import Stage
from bucle.demo.weeks import Weeks
from bucle.ledger import find_server
from bucle.messages import say


@dataclass(frozen=True, slots=True)
class Options:
    """Where to play, on which port, and whether the server stays up at the end."""

    directory: Path
    port: int
    keep: bool


def tell(options: Options, narrate: Callable[[str], None]) -> Outcome:
    """Play the whole story and return what the ledger then shows."""
    began = time.monotonic()
    home = options.directory.absolute() / ".bucle"
    meter = Meter(lambda: [server.pid] if (server := find_server(home)) is not None else [])
    with meter.watching():
        with meter.chapter("1 a project"):
            stage = begin(options.directory, options.port, narrate)
        try:
            steps, chain, missing = _play(stage, meter)
        finally:
            if not options.keep:
                stage.leave()
    seconds = round(time.monotonic() - began, 1)
    for chapter in meter.chapters:
        stage.say(f"  {chapter.seconds:6.1f} s  {chapter.name}")
    if meter.peak_mb is not None:
        stage.say(say("demo.memory", peak=meter.peak_mb))
    for each in missing:
        stage.say(say("demo.missing", what=each.what, why=each.why))
    return Outcome(not missing, missing, seconds, steps, chain, meter.chapters, meter.peak_mb)


def _play(stage: Stage, meter: Meter) -> tuple[list[StepShown], list[int], list[Missing]]:
    weeks = Weeks(stage)
    with meter.chapter("1 its data"):
        look_at_data(stage)
    with meter.chapter("2 experiments"):
        experiment(stage)
    with meter.chapter("2 a push"):
        deliver(stage)
    with meter.chapter("3 training and deployment"):
        train_and_deploy(stage)
    with meter.chapter("4-6 weeks"):
        weeks.play()
    with meter.chapter("7 a leak"):
        refused = refuse_leak(stage)
    with meter.chapter("7 a bad release"):
        gusts = roll_back_gusts(stage, weeks)
    with meter.chapter("8 looking back"):
        last = weeks.last or newest_event(stage, "monitoring.window_evaluated") or 1
        steps = stage.call("ana", shown_steps)
        chain = stage.call("ana", lambda client: causal_chain(client, last))
        look_back(stage, steps, chain)
        told = Told(weeks.promoted, "" if weeks.promoted else weeks.why, refused, gusts.version, gusts.why_not)
        missing = stage.call("ana", lambda client: find_missing(client, told))
    return steps, chain, missing


def clear(directory: Path) -> None:
    """Remove what an earlier demo left in its directory, and nothing else: a demo leaves a mark. Its server is stopped."""
    if not (directory / MARK).exists():
        return
    stage = Stage(directory.absolute(), directory.absolute() / ".bucle", lambda line: None)
    stage.leave()
    shutil.rmtree(directory)
