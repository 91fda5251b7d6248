"""A new version on its way to all traffic: what the demo says of it while the hours go by."""

from typing import Any

from bucle.demo.stage import Stage
from bucle.errors import RemoteError
from bucle.messages import say

_NONE = "delivery/no-rollout"


class Following:
    """Follows the rollout of the service `delay` in production, and says each step once."""

    def __init__(self, stage: Stage, version: int) -> None:
        self._stage, self._version, self._said = stage, version, ""

    def look(self) -> str:
        """Say what changed since the last look; return "running", "completed" or "rolled back"."""
        found = self._stage.call("dario", _newest)
        if found is None:
            return "completed"
        step = next((each["name"] for each in found["steps"] if each["state"] == "current"), "")
        if (now := f"{found['state']} {step}") != self._said:
            self._said = now
            self._stage.say(say("demo.rollout", version=self._version, state=now.strip(), sentence=found["sentence"]))
            for judged in found["judgements"]:
                self._stage.say(f"    {judged['name']}: {judged['sentence']}")
            for cause, count in found["failures"].items():
                self._stage.say(f"    {count} x {cause}")
        return str(found["state"])


def _newest(client: Any) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.get(client.path("services", "delay", "rollout"), {"environment": "production"})
    except RemoteError as error:
        if error.code != _NONE:
            raise
        return None
    return found
