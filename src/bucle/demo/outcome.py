"""What the demo shows at its end: each step of the workflow with its event or an honest reason, and the chain of causes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bucle.client import Client
from bucle.demo.measuring import ChapterShown
from bucle.messages import say

_LINKS = (
    "delivery.commit_received",
    "delivery.released",
    "pipelines.run_started",
    "registry.version_registered",
    "serving.deployed",
    "monitoring.alert_fired",
)
_JUDGES = ("errors", "latency", "loss")


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step of the workflow: the seq of its event, or why there is none."""

    id: str
    event: int | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that the story is told for and that did not happen, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """How the turns of the story ended: the retrained version that came to all traffic and the gusts', where there was one.

    `why_not_retrained` and `why_not_rolled_back` say what stood in the way so far.
    """

    retrained: int | None
    why_not_retrained: str
    leak_refused: bool
    gusts: int | None
    why_not_rolled_back: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """`ok`: the ledger holds every turn of the story, `missing` is empty; `chain`: seqs, each caused by the one before.

    `chapters` say how long each took; `peak_mb` is the most memory of the whole tree of processes, None where nobody can tell.
    """

    ok: bool
    missing: list[Missing]
    seconds: float
    steps: list[StepShown]
    chain: list[int]
    chapters: list[ChapterShown]
    peak_mb: int | None


def shown_steps(client: Client) -> list[StepShown]:
    """Return the workflow table of `bucle audit workflow`."""
    rows = client.get(client.path("audit", "workflow"))["steps"]
    return [StepShown(row["id"], row["event"], row["why"] or None) for row in rows]


def find_missing(client: Client, told: Told) -> list[Missing]:
    """Return the turns of the story that the ledger does not hold, whatever the story said of them."""
    completed = {event["target"] for event in _events(client, "delivery.rollout_completed")}
    reasons = {event["target"]: event["reason"] for event in _events(client, "delivery.rollout_rolled_back")}
    return missing_of(told, completed, reasons)


def missing_of(told: Told, completed: set[str], rolled_back: Mapping[str, str]) -> list[Missing]:
    """`completed` are versions that a rollout brought to all traffic, `rolled_back` says why others went back."""
    found = []
    if told.retrained is None or f"delay@{told.retrained}" not in completed:
        found.append(Missing(say("demo.second"), told.why_not_retrained or say("demo.not_in_ledger")))
    if not told.leak_refused:
        found.append(Missing(say("demo.refusal"), say("demo.leak_passed")))
    if told.gusts is None or rolled_back.get(f"delay@{told.gusts}") not in _JUDGES:
        found.append(Missing(say("demo.rolled_back"), told.why_not_rolled_back or say("demo.not_in_ledger")))
    return found


def _events(client: Client, kind: str) -> list[dict[str, Any]]:
    query = {"kind": kind, "project": "flights", "environment": "production"}
    return [event["data"] for event in client.get("/api/v1/events", query)["events"]]


def causal_chain(client: Client, last: int) -> list[int]:
    """Return the seqs that lead to event `last`, oldest first, one for each link of the loop that was passed."""
    events: dict[int, Any] = {event["seq"]: event for event in client.why(str(last))["events"]}
    chain, wanted = [last], last
    while (before := _nearest_link(events, wanted)) is not None:
        chain.append(before)
        wanted = before
    return chain[::-1]


def _nearest_link(events: dict[int, Any], seq: int) -> int | None:
    """Return the newest ancestor of `seq` that is a link of the loop."""
    frontier, seen = list(events[seq]["caused_by"]), set[int]()
    ancestors = []
    while frontier:
        current = frontier.pop()
        if current in seen or current not in events:
            continue
        seen.add(current)
        ancestors.append(current)
        frontier += events[current]["caused_by"]
    links = [each for each in ancestors if events[each]["kind"] in _LINKS]
    return max(links, default=None)
