"""Chapters 4 to 6: weeks of predictions and labels, hour by hour; bad wind, degradation, a refusal, a better model."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bucle.client import Client
from bucle.demo.beginning import BEGINS
from bucle.demo.releasing import PRODUCTION, newest_event, promote, say_run, show_gates
from bucle.demo.replay import Hour, hours, predict, send_labels
from bucle.demo.rollouts import Following
from bucle.demo.stage import Stage, wait_for
from bucle.ledger import format_instant, parse_instant
from bucle.messages import say

LONGEST = timedelta(days=44)
MOST_PREDICTIONS = 45_000
"""What is served at most; the story ends earlier, a day after a retraining that monitoring asked for has all traffic."""

_DAY = timedelta(days=1)


@dataclass(slots=True)
class Weeks:
    """What the weeks brought: alerts already told, retrainings already judged, the version that came to all traffic.

    `last` is the seq of the event that the chain of causes leads to; `why` says what kept the last retraining from all traffic.
    """

    stage: Stage
    served: int = 0
    told: set[str] = field(default_factory=set)
    judged: set[str] = field(default_factory=set)
    following: Following | None = None
    until: datetime = BEGINS + LONGEST
    candidate: int = 0
    promoted: int | None = None
    why: str = field(default_factory=lambda: say("demo.none_asked"))
    last: int | None = None
    at: datetime = BEGINS

    def play(self) -> None:
        """Serve hour by hour until a day after the second promotion is through, or the time is over."""
        self.stage.say(say("demo.replay"))
        for hour in self._hours():
            if hour.begins >= self.until or self.served + len(hour.departing) > MOST_PREDICTIONS:
                break
            self.live(hour)
            if hour.begins.hour == BEGINS.hour:
                self._morning(hour)
        if self.promoted is None:
            self.stage.say(say("demo.no_second", why=self.why))

    def live(self, hour: Hour) -> None:
        """Move the clock to this hour; labels of what has landed come in, what departs is predicted."""
        self.at = hour.begins
        _advance(self.stage, hour.begins)
        self.stage.call("dario", lambda client: send_labels(client, hour))
        self.served += self.stage.call("dario", lambda client: predict(client, hour))

    def following_hours(self, until: datetime) -> Iterator[Hour]:
        """Yield the hours after the last one."""
        yield from hours(self.stage.directory / "data", self.at + timedelta(hours=1), until)

    def _hours(self) -> Iterator[Hour]:
        yield from hours(self.stage.directory / "data", BEGINS, BEGINS + LONGEST)

    def _morning(self, hour: Hour) -> None:
        """What people look at once a day: alerts, what retrainings came to, how far a rollout is."""
        self._tell_alerts(hour)
        if self.promoted is not None:
            return
        if self.following is None:
            self._judge_retrainings()
        elif (state := self.following.look()) != "running":
            self._rollout_ended(state, hour)

    def _tell_alerts(self, hour: Hour) -> None:
        alerts = self.stage.call("dario", lambda client: client.get(client.path("alerts"), PRODUCTION))
        firing = sorted(f"{each['kind']} {each['feature']}".strip() for each in alerts if each["state"] != "resolved")
        shown = ", ".join(firing) or "-"
        self.stage.say(say("demo.day", day=hour.begins.date(), served=self.served, alerts=shown))
        for alert in reversed(alerts):
            if alert["id"] not in self.told:
                self.told.add(alert["id"])
                self.stage.say(f"    {alert['fired'][:16]} {alert['kind']}: {alert['sentence']}")
                if alert["kind"] == "data_quality":
                    self._look_at_weather()

    def _look_at_weather(self) -> None:
        """Bruno has the source of the feature judged as it is known by now: days that it finds odd are not trained on."""
        report = self.stage.call(
            "bruno",
            lambda client: client.post(client.path("data", "sources", "weather", "validations"), None, PRODUCTION),
        )
        self.stage.say(say("demo.vetoed", days=", ".join(report["vetoed"]) or "-"))
        for finding in report["findings"]:
            self.stage.say(f"      {finding['message']}")
        items = self.stage.call("bruno", lambda client: client.get(client.path("work"), PRODUCTION))
        for item in items:
            if item["feature"]:
                self.stage.say(say("demo.work", item=item["id"], title=item["title"]))

    def _judge_retrainings(self) -> None:
        for run in _retrainings(self.stage):
            if run["id"] in self.judged or run["status"] == "running":
                continue
            self.judged.add(run["id"])
            say_run(self.stage, run["id"], run["status"])
            self.why = say("demo.run_ended", id=run["id"], status=run["status"])
            self._judge(run)

    def _judge(self, run: dict[str, Any]) -> None:
        versions = self.stage.call("ana", lambda client: client.get(client.path("models", "delay")))["versions"]
        version = next((each for each in versions if each["run"] == run["id"]), None)
        if version is None:
            return
        number = int(version["version"])
        self.last = newest_event(self.stage, "registry.version_registered")
        if not show_gates(self.stage, number):
            self.why = say("demo.refused", version=number)
            self.stage.say(self.why)
            return
        promote(self.stage, f"delay@{number}", "production", "elena")
        self.last = newest_event(self.stage, "serving.deployed")
        self.candidate, self.following = number, Following(self.stage, number)
        self.why = say("demo.still_on_its_way", version=number)

    def _rollout_ended(self, state: str, hour: Hour) -> None:
        """Note that the version has all traffic; one that went back leaves the loop to ask again."""
        self.following = None
        if state == "completed":
            self.promoted, self.until = self.candidate, hour.begins + _DAY
            self.last = newest_event(self.stage, "delivery.rollout_completed") or self.last
        else:
            self.why = say("demo.went_back", version=self.candidate)


def _advance(stage: Stage, to: datetime) -> None:
    path, body = "/api/v1/clock/advance", {"to": format_instant(to)}
    stage.call("dario", lambda client: client.post(path, body, key=f"demo-clock-{body['to']}"))
    stage.call("dario", lambda client: wait_for(lambda: _arrived(client, to), "bucle clock advance"))


def _arrived(client: Client, to: datetime) -> bool | None:
    state = client.get("/api/v1/clock", {"wait": 1})
    return True if parse_instant(state["now"]) >= to and state["until"] is None else None


def _retrainings(stage: Stage) -> list[dict[str, Any]]:
    """Return the runs that alerts of degradation started, the oldest first."""
    query = {"kind": "pipelines.run_started", "project": "flights", **PRODUCTION}
    events = stage.call("ana", lambda client: client.get("/api/v1/events", query))["events"]
    asked = [event["subject"] for event in events if event["data"]["trigger"] == "degradation"]
    return [
        stage.call("ana", lambda client, run=run: client.get(client.path("runs", run)))["record"]["run"]  # type: ignore[misc]
        for run in asked
    ]
