"""S-07, direct feedback loops: how many rows a model learned from had been answered by its own service before.

A model whose answers change what happens learns from what it brought about itself (Sculley et al., section 4, "direct feedback
loops"). Rows that were kept from that at random, with known chances, would show how much: bucle records none (docs/audit.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bucle.audit.debts import DebtFinding, DebtRow, DebtState, unknown
from bucle.audit.learned import LearnedOrder, LearnedRows
from bucle.audit.live import Live, description_at
from bucle.features import TrainingSetSpec
from bucle.ledger import Home, Reader, Scope, to_us
from bucle.messages import Phrase
from bucle.pipelines import ValueRef, list_steps
from bucle.project import LOCK_NAME, Checkout
from bucle.registry import ModelVersion, list_versions
from bucle.runtimes import RunnerPool, current_runtime
from bucle.serving import Deployment, count_before, first_answers, score_spread

ID = "S-07"
MOST_INFLUENCED = 0.10
"""The share of influenced rows above which a randomised or isolated holdout is wanted (at least 1 % of the rows)."""

_SECONDS = 300.0
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class _Judged:
    """A model's newest version trained here, with what of its rows was answered before; `reason` says what is not known."""

    version: ModelVersion
    service: str
    rows: int = 0
    influenced: int = 0
    predictions: int = 0
    events: tuple[int, ...] = ()
    reason: str = ""

    @property
    def share(self) -> float:
        """The share of rows that the service had answered before their label was known."""
        return self.influenced / self.rows if self.rows else 0.0


_judged: dict[tuple[str, str, int], _Judged] = {}
"""What was found for a version, a service and so many predictions before its training: frames are large, and do not change."""


def audit_feedback(home: Home, runners: RunnerPool, live: Live) -> DebtRow:
    """Join the rows that the newest version of each live model learned from with what its service had answered before."""
    with home.ledger.read() as reader:
        pairs = list(_newest(reader, live))
    if not pairs:
        return unknown(ID, "none_trained", environment=live.scope.environment)
    found = [_judge(home, runners, live, version, deployment) for version, deployment in pairs]
    known = [each for each in found if not each.reason]
    numbers = _numbers(home, live.scope, found)
    if not known:
        fields = {"model": found[0].version.name, "service": found[0].service}
        return DebtRow(ID, "insufficient data", Phrase(f"debt.{ID}.{found[0].reason}", dict(fields)), numbers)
    looping = [each for each in known if each.share > MOST_INFLUENCED]
    worst = max(known, key=lambda each: each.share)
    state: DebtState = "found" if looping else "clean"
    why = Phrase(f"debt.{ID}.{state}", dict(_fields(worst)))
    events = tuple(sorted({seq for each in known for seq in each.events}))
    return DebtRow(ID, state, why, numbers, tuple(_finding(live, each) for each in looping), () if looping else events)


def _newest(reader: Reader, live: Live) -> Iterator[tuple[ModelVersion, Deployment]]:
    """Yield for each model that serves here its newest version that a pipeline trained here, and a deployment of it."""
    versions = list_versions(reader, live.scope.project, None, 1000)
    for deployment in {each.candidate.model: each for each in reversed(live.deployments)}.values():
        for version in versions:
            if (version.model, version.environment) == (deployment.candidate.model, live.scope.environment) and version.run:
                yield version, deployment
                break


def _judge(home: Home, runners: RunnerPool, live: Live, version: ModelVersion, deployment: Deployment) -> _Judged:
    contract = deployment.candidate.contract
    as_of_us = _as_of_us(version, live.now_us)
    with home.ledger.read() as reader:
        before = count_before(reader, live.scope, deployment.service, as_of_us)
        frames = _frames(reader, version)
        matures_us = _matures_us(reader, version, contract.label)
    place = (version.id, deployment.service, before)
    if place in _judged:
        return _judged[place]
    if not before or contract.key is None or not frames:
        reason = "no_predictions" if not before else "no_key" if contract.key is None else "no_frame"
        return _Judged(version, deployment.service, predictions=before, reason=reason)
    judged_from = version.evaluation.first_us if version.evaluation else None
    learned = _read(home, runners, live.scope.project, LearnedOrder(frames, contract.key, judged_from))
    if not learned.keys:
        reason = "other_key" if learned.rows else "no_frame"
        return _Judged(version, deployment.service, learned.rows, predictions=before, reason=reason)
    influenced, events = _influenced(home, live.scope, deployment.service, learned, matures_us)
    made = _Judged(version, deployment.service, learned.rows, influenced, before, (version.event, *events))
    while len(_judged) >= _REMEMBERED:
        _judged.pop(next(iter(_judged)), None)
    _judged[place] = made
    return made


def _as_of_us(version: ModelVersion, now_us: int) -> int:
    return to_us(version.as_of) if version.as_of is not None else now_us


def _frames(reader: Reader, version: ModelVersion) -> tuple[dict[str, str], ...]:
    outputs = [step.output for step in list_steps(reader, version.run or "") if step.output is not None]
    stored = {ref.artifact: ref for output in outputs for ref in _within(output) if ref.codec == "training-frame"}
    return tuple({part.name: part.artifact for part in ref.parts} for ref in stored.values())


def _within(ref: ValueRef) -> Iterator[ValueRef]:
    yield ref
    for part in ref.parts:
        yield from _within(part)


def _matures_us(reader: Reader, version: ModelVersion, label: str) -> int:
    """Return how long after a row its label is final, by the code that trained the version."""
    description = description_at(reader, version.project, version.commit)
    sets = description.specs("training_set", TrainingSetSpec) if description else []
    return max((each.label.matures_us for each in sets if each.label.name == label), default=0)


def _read(home: Home, runners: RunnerPool, project: str, order: LearnedOrder) -> LearnedRows:
    root = home.folder("tmp")
    checkout = Checkout(root, project, None, False, root / LOCK_NAME, "audit")
    with runners.lend(current_runtime(), checkout) as runner:
        return runner.call("bucle.audit.learned:rows_in_child", order, LearnedRows, timeout=_SECONDS)


def _influenced(home: Home, scope: Scope, service: str, learned: LearnedRows, matures_us: int) -> tuple[int, tuple[int, ...]]:
    """Count rows that were answered before their label was known: when it came, at the latest when it was final."""
    influenced, events = 0, set[int]()
    with home.ledger.read() as reader:
        answers = first_answers(reader, scope, service, list(dict.fromkeys(learned.keys)))
    for key, time_us in zip(learned.keys, learned.times_us, strict=True):
        answer = answers.get(key)
        if answer is None:
            continue
        known_us = min(time_us + matures_us, learned.as_of_us or time_us + matures_us)
        if answer.at_us <= (known_us if answer.observed_us is None else min(known_us, answer.observed_us)):
            influenced += 1
            events.add(answer.event)
    return influenced, tuple(sorted(events)[-20:])


def _numbers(home: Home, scope: Scope, found: Sequence[_Judged]) -> dict[str, float]:
    """Return counts over all models, and how far each version's scores spread: a loop narrows them from one to the next."""
    numbers: dict[str, float] = {
        "models": len(found),
        "rows": sum(each.rows for each in found),
        "influenced": sum(each.influenced for each in found),
        "share": round(max(each.share for each in found), 4),
        "randomised_rows_known": 0,
    }
    with home.ledger.read() as reader:
        for each in found:
            for version, _, deviation in score_spread(reader, scope, each.service):
                numbers[f"score_sd {each.service} {version}"] = round(deviation, 5)
    return numbers


def _fields(each: _Judged) -> dict[str, str | int | float]:
    names = {"model": each.version.name, "service": each.service}
    return {**names, "rows": each.rows, "influenced": each.influenced, "share": each.share, "most": MOST_INFLUENCED}


def _finding(live: Live, each: _Judged) -> DebtFinding:
    records = live.description.of("service") if live.description else []
    where = next((record.where for record in records if record.name == each.service), None)
    fields = _fields(each)
    return DebtFinding(
        Phrase(f"debt.{ID}.loop", fields),
        Phrase(f"debt.{ID}.hold_out", fields),
        where,
        each.events,
        (each.version.id, each.version.run or ""),
        {"rows": each.rows, "influenced": each.influenced, "share": round(each.share, 4)},
    )
