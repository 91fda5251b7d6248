"""What a rollout could detect at all, computed from the traffic of the last days, before anything is tried."""

from dataclasses import dataclass, replace
from datetime import timedelta

import msgspec

from bucle.delivery.judging import Counts, Detectability, detectable
from bucle.ledger import Reader, Scope, Transaction, to_us
from bucle.messages import Phrase, joined
from bucle.project import RolloutPolicy, Step
from bucle.serving import Traffic, labels_between, list_deployments, traffic_between

LOOK_BACK = timedelta(days=7)
BOUND = 1.0
"""Of the difference of losses of probabilities and classes: nothing is cut off."""

_DAY_US = 86_400_000_000
_LEAST_DAYS = 1 / 24


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is to be expected of a rollout of a service.

    `requests_a_day` and `labels_a_day` are those of the last days; `days` how long all steps take at that rate, None when
    one would not get there within its time. `sentence` says all of it in English, `said` in any language.
    """

    service: str
    strategy: str
    requests_a_day: float
    labels_a_day: float
    days: float | None
    detectable: Detectability
    sentence: str
    said: Phrase

    def told(self, lang: str) -> "Prospect":
        """Return the prospect with its sentences in a language."""
        found = msgspec.structs.replace(self.detectable, sentence=self.detectable.said.text(lang))
        return replace(self, detectable=found, sentence=self.said.text(lang))

    @property
    def nothing(self) -> bool:
        """Whether the rollout could detect nothing."""
        return self.detectable.nothing


def prospect_of(
    reader: Reader | Transaction, scope: Scope, service: str, policy: RolloutPolicy, now_us: int, bound: float = BOUND
) -> Prospect:
    """Return what a rollout of a service could detect if the traffic stays as it was."""
    since_us = now_us - LOOK_BACK // timedelta(microseconds=1)
    seen = _days_seen(reader, scope, service, now_us)
    traffic = traffic_between(reader, scope, service, since_us, now_us + 1)
    rate = traffic.predictions / seen
    labels = labels_between(reader, scope, service, since_us, now_us + 1) / seen
    days = [_days(step, policy, rate, labels) for step in policy.stages]
    found = _detectable(policy, traffic, rate, labels, bound)
    within = policy.within / timedelta(days=1)
    late = [step for step, took in zip(policy.stages, days, strict=True) if took is None or took > within]
    total = None if late else sum(took for took in days if took is not None)
    said = _said(found, policy, rate, labels, total, late)
    return Prospect(service, policy.strategy, rate, labels, total, found, str(said), said)


def history_of(reader: Reader | Transaction, scope: Scope, service: str, now_us: int) -> Counts:
    """Return how many rows a service was asked for in the last days, and how many of them it failed to answer."""
    traffic = traffic_between(reader, scope, service, now_us - LOOK_BACK // timedelta(microseconds=1), now_us + 1)
    return Counts(traffic.predictions + traffic.failed, traffic.failed)


def step_phrase(step: Step) -> Phrase:
    """Return a step for people: "shadow", "canary 10 %"."""
    return Phrase("rollout.step.shadow") if step.mode == "shadow" else Phrase("rollout.step.canary", {"share": step.share})


def step_name(step: Step) -> str:
    """Return the name of a step as events tell it."""
    return str(step_phrase(step))


def _days(step: Step, policy: RolloutPolicy, rate: float, labels: float) -> float | None:
    """Return how long a step takes at the present rates, None for ever."""
    share = 1.0 if step.mode == "shadow" else step.share / 100
    if rate <= 0 or (step.mode == "shadow" and policy.labels and labels <= 0):
        return None
    waits = [policy.requests / (rate * share), policy.hold / timedelta(days=1)]
    if step.mode == "shadow" and policy.labels:
        waits.append(policy.labels / labels)
    return max(waits)


def _detectable(policy: RolloutPolicy, traffic: Traffic, rate: float, labels: float, bound: float) -> Detectability:
    within = policy.within / timedelta(days=1)
    shares = [step.share for step in policy.stages if step.mode == "canary"]
    shadow = len(shares) < len(policy.stages)
    requests = sum(int(min(policy.requests, rate * within * share / 100)) for share in shares)
    pairs = int(min(policy.labels, labels * within)) if shadow else 0
    history = Counts(traffic.predictions + traffic.failed, traffic.failed)
    if shares:
        return detectable(requests, shares, history=history, latencies=traffic.buckets, pairs=pairs, bound=bound)
    both = int(min(policy.requests, rate * within))  # in shadow both arms see every row: as many of one as of the other
    return detectable(both, [50], history=history, pairs=pairs, bound=bound, canary=False)


def _said(
    found: Detectability, policy: RolloutPolicy, rate: float, labels: float, total: float | None, late: list[Step]
) -> Phrase:
    pace = {"rate": rate, "labels": labels}
    if total is not None:
        return joined("then", found.said, Phrase("prospect.takes", {**pace, "days": total}))
    within = policy.within / timedelta(days=1)
    return joined("then", found.said, Phrase("prospect.late", {**pace, "step": step_phrase(late[0]), "days": within}))


def _days_seen(reader: Reader | Transaction, scope: Scope, service: str, now_us: int) -> float:
    """Return how many of the last days the service has been answering."""
    since = [to_us(each.as_of) for each in list_deployments(reader, scope, service, limit=1000)]
    return min(LOOK_BACK / timedelta(days=1), max(_LEAST_DAYS, (now_us - min(since, default=now_us)) / _DAY_US))
