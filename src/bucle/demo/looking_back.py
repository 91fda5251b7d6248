"""Chapter 8: why, the workflow table, the maturity level, debts, the pages."""

from collections.abc import Sequence
from typing import Any

from bucle.client import Client
from bucle.demo.outcome import StepShown
from bucle.demo.releasing import PRODUCTION
from bucle.demo.stage import Stage
from bucle.messages import say

_MOST_FINDINGS = 1


def look_back(stage: Stage, steps: Sequence[StepShown], chain: Sequence[int]) -> None:
    """Say why, and what the evidence shows."""
    stage.say(say("demo.why"))
    for title, id in stage.call("ana", _asked).items():
        stage.say(f"  {title} {id}: {stage.call('ana', lambda client, id=id: _because(client.why(id)))}")  # type: ignore[misc]
    stage.say(say("demo.workflow", shown=sum(step.event is not None for step in steps), total=len(steps)))
    for step in steps:
        mark = f"event {step.event}" if step.event is not None else step.why
        stage.say(f"  {step.id:<6} {mark}")
    found = stage.command("audit", "maturity", actor="ana")
    stage.say(say("demo.maturity", level=found["level"]))
    for row in found["criteria"]:
        proof = f"event {row['event']}" if row["met"] else row["why"]
        stage.say(f"  {'+' if row['met'] else '-'} {row['level']} {row['id']:<8} {row['title']}: {proof}")
    _show_debts(stage)
    stage.say(say("demo.chain", chain=" > ".join(str(seq) for seq in chain)))
    stage.say(say("demo.pages", url=f"{stage.url()}/projects/flights"))


def _show_debts(stage: Stage) -> None:
    """What each detector of hidden debt says, with the first thing that it found."""
    stage.say(say("demo.debts"))
    for detector in stage.command("audit", "debt", actor="ana")["detectors"]:
        stage.say(f"  {detector['id']} {detector['title']}: {detector['state']}")
        for finding in detector["findings"][:_MOST_FINDINGS]:
            stage.say(f"    {finding['what']}")


def _asked(client: Client) -> dict[str, str]:
    """The newest prediction, alert and promotion of production."""
    rows = client.get(client.path("services", "delay", "predictions"), {**PRODUCTION, "limit": 1})
    alerts = client.get(client.path("alerts"), {**PRODUCTION, "limit": 1})
    promotions = client.get(client.path("promotions"), {**PRODUCTION, "limit": 1})
    found = {"prediction": rows["predictions"] if isinstance(rows, dict) else rows, "alert": alerts, "promotion": promotions}
    return {name: each[0]["id"] for name, each in found.items() if each}


def _because(why: dict[str, Any]) -> str:
    """The kinds of events that led to an id, newest first, each once."""
    kinds = dict.fromkeys(event["kind"] for event in why["events"])
    return " < ".join(kinds)
