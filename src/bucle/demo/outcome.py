"""What the demo shows at its end: each step of the workflow with its event or an honest reason, and the chain of causes."""

from dataclasses import dataclass
from typing import Any

from bucle.client import Client
from bucle.demo.measuring import ChapterShown

_LINKS = (
    "delivery.commit_received",
    "delivery.released",
    "pipelines.run_started",
    "registry.version_registered",
    "serving.deployed",
    "monitoring.alert_fired",
)


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step of the workflow: the seq of its event, or why there is none."""

    id: str
    event: int | None
    why: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`ok`: every chapter came to its end; `chain`: seqs from the push to the verdict, each caused by the one before.

    `chapters` say how long each took; `peak_mb` is the most memory of the whole tree of processes, None where nobody can tell.
    """

    ok: bool
    seconds: float
    steps: list[StepShown]
    chain: list[int]
    chapters: list[ChapterShown]
    peak_mb: int | None


def shown_steps(client: Client) -> list[StepShown]:
    """Return the workflow table of `bucle audit workflow`."""
    rows = client.get(client.path("audit", "workflow"))["steps"]
    return [StepShown(row["id"], row["event"], row["why"] or None) for row in rows]


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
