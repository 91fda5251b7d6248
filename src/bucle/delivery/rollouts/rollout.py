"""A rollout: what is tried against what, on which terms, how far it is, and how it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bucle.delivery.judging import Judgement
from bucle.delivery.rollouts.evidence import Evidence
from bucle.ledger import Scope
from bucle.messages import Phrase
from bucle.project import RolloutPolicy, Step

RolloutState = Literal["running", "completed", "rolled back"]

Cause = Literal["", "errors", "latency", "loss", "time", "hand", "other service"]
"""Why a rollout went back: a judge's name, a step's time was over, somebody's word, another service of the same promotion."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A model version on its way to all traffic of a service.

    `champion` and `challenger` are deployments, `left` and `target` their names (delay@7); `kind` is what the model answers,
    `maturity` how long a label takes (microseconds). `step` counts from 0, `stepped` is when it began by the home's clock.
    `prospect` is what could be detected, said before it started; `reason` says how it ended. `event` is the seq of its start,
    `last` of its last step.
    """

    id: str
    project: str
    environment: str
    service: str
    promotion: str
    target: str
    left: str
    model_version: str
    champion: str
    challenger: str
    policy: RolloutPolicy
    kind: str
    maturity: int
    state: RolloutState
    step: int
    stepped: datetime
    evidence: Evidence
    prospect: Phrase
    cause: Cause
    reason: Phrase | None
    created: datetime
    ended: datetime | None
    event: int
    last: int

    @property
    def scope(self) -> Scope:
        """Project and environment."""
        return Scope(self.project, self.environment)

    @property
    def stage(self) -> Step:
        """The step that it is in, or was when it ended."""
        return self.policy.stages[min(self.step, len(self.policy.stages) - 1)]

    @property
    def judgements(self) -> list[Judgement]:
        """What the judges say now."""
        return self.evidence.judgements(self.policy.strategy)

    def missing(self, now: datetime) -> list[Phrase]:
        """Return what the present step still lacks before the next can begin, in words; empty when nothing."""
        policy, lacks = self.policy, list[Phrase]()
        if self.evidence.step_rows < policy.requests:
            lacks.append(Phrase("rollout.lacks.requests", {"count": policy.requests - self.evidence.step_rows}))
        if self.stage.mode == "shadow" and self.evidence.loss.rows < policy.labels:
            lacks.append(Phrase("rollout.lacks.labels", {"count": policy.labels - self.evidence.loss.rows}))
        if now - self.stepped < policy.hold:
            lacks.append(Phrase("rollout.lacks.time", {"hours": (policy.hold - (now - self.stepped)) / timedelta(hours=1)}))
        return lacks


@dataclass(frozen=True, slots=True)
class Decisions:
    """How often the rollouts of a service "advanced" by a step, were "completed" or "rolled back", and by which cause."""

    project: str
    environment: str
    service: str
    decision: str
    cause: Cause
    rollouts: int


@dataclass(frozen=True, slots=True)
class Point:
    """The evidence at a moment: rows and failures of both arms since the start, and the evidence of each judge."""

    number: int
    step: int
    at: datetime
    as_of: datetime
    champion_rows: int
    champion_failed: int
    challenger_rows: int
    challenger_failed: int
    labelled: int
    judgements: tuple[Judgement, ...]
