"""The check `replay`: what a service was asked is asked again, of what is to answer next, before anybody gets its answers.

The inputs are those of the prediction log, feature values as they were found then. A column whose definition is another one
now was never recorded, so a model that takes it cannot be replayed: what traffic brings there only shadow and canary can tell.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bucle.delivery.checks.check import Bench
from bucle.delivery.checks.contract import Ask
from bucle.delivery.checks.load import sample_candidate
from bucle.delivery.checks.together import together
from bucle.delivery.checks.training import rehearsals
from bucle.delivery.results import Finding, Verdict, failed, passed, skipped
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Home, Scope
from bucle.serving import (
    Contract,
    Encoder,
    InferOrder,
    Inferred,
    LoggedPrediction,
    ServiceSpec,
    Value,
    get_deployment,
    recent_predictions,
)

REPLAYED = 1000
"""So many of the newest predictions of a service are asked again."""

_EXAMPLES = 3
_LEAST_FOR_CONSTANT = 50


@dataclass(frozen=True, slots=True)
class Recorded:
    """A prediction of the log: the inputs by name, the contract by which they were taken, and what was answered."""

    id: str
    contract: Contract
    values: Mapping[str, Value]
    output: float


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay: failures by prediction, the pairs (recorded, new) that can be compared, what training never saw.

    `strange` counts the rows by "INPUT is null" or "INPUT is new", of inputs that had no null in training, or no such category.
    """

    rows: int
    failures: tuple[tuple[str, str, tuple[str, ...]], ...]
    pairs: tuple[tuple[float, float], ...]
    strange: Mapping[str, int]


def check_replay(bench: Bench) -> Verdict:
    """Replay what was predicted in test through the sample's models."""
    found = rehearsals(bench)
    if isinstance(found, Verdict):
        return found
    packages = {each.spec.model: each.answer.package for each in found if each.answer.package is not None}
    records = {record.name: record.where for record in bench.code.description.of("service")}
    verdicts: list[Verdict] = []
    for spec in bench.code.description.specs("service", ServiceSpec):
        package = packages.get(spec.model)
        if package is None:
            continue

        def ask(vectors: list[list[float | None]], package: str = package) -> Sequence[float | str | None]:
            return bench.call("bucle.serving.worker:infer", InferOrder(package, vectors), Inferred).outputs

        contract = sample_candidate(bench, spec, package).contract
        verdicts.append(replay_service(bench.home, bench.scope, contract, ask, records[spec.name]))
    return together(verdicts) if verdicts else skipped("no service answers with a model of these pipelines")


def replay_service(home: Home, scope: Scope, contract: Contract, ask: Ask, where: str | None) -> Verdict:
    """Replay a service's newest predictions in an environment through what is to answer by `contract`."""
    name = contract.service
    rows = recorded(home, scope, name)
    if not rows:
        return skipped(f"{name}: no prediction is recorded in {scope.environment}")
    missing = sorted({column for row in rows for column in never_recorded(contract, row.contract)})
    known = [row for row in rows if not never_recorded(contract, row.contract)]
    if not known:
        said = f"{', '.join(missing)} was never recorded as it is defined now: only shadow and canary can tell"
        return skipped(f"{name}: {said}")
    try:
        replayed = replay(contract, known, ask)
    except (BucleError, RemoteError) as error:
        said = f"{name}: {len(known)} recorded requests are not answered: {error.text}"
        return failed([Finding(said, error.where or where, error.next_step)])
    return judge_replay(contract, replayed, where)


def recorded(home: Home, scope: Scope, service: str) -> list[Recorded]:
    """Return a service's newest predictions that have reached the ledger."""
    with home.ledger.read() as reader:
        logged = recent_predictions(reader, scope, service, REPLAYED)
        contracts = {id: get_deployment(reader, id).candidate.contract for id in {each.deployment for each in logged}}
    return [_recorded(each, contracts[each.deployment]) for each in logged]


def never_recorded(new: Contract, old: Contract) -> list[str]:
    """Return the inputs by `new` of which the log of `old` holds no value, or one that another definition gave."""
    held = {column.name: column for column in old.inputs}
    before, now = ({view.name: view.digest for view in each.views} for each in (old, new))
    missing = []
    for column in new.inputs:
        same, view = held.get(column.name), column.view or ""
        alike = same is not None and (same.dtype, same.view) == (column.dtype, column.view)
        if not alike or before.get(view) != now.get(view):
            missing.append(column.name)
    return missing


def replay(contract: Contract, rows: Sequence[Recorded], ask: Ask) -> Replay:
    """Ask for recorded rows again, all in one batch; rows that would be refused now have failed too."""
    encoder = Encoder(contract)
    failures: list[tuple[str, str, tuple[str, ...]]] = []
    asked: list[Recorded] = []
    vectors: list[list[float | None]] = []
    strange: Counter[str] = Counter()
    odd: dict[str, tuple[str, ...]] = {}
    for row in rows:
        refused = [c.name for c in contract.inputs if c.view is None and not c.nullable and row.values[c.name] is None]
        try:
            encoded = encoder.encode([row.values], [row.values])
        except BucleError as error:
            failures.append((row.id, f"it would be refused: {error.code}", ()))
            continue
        nulls = [f"{c.name} is null" for c in contract.inputs if row.values[c.name] is None]
        new = [f"{name} is new" for name in encoded.unseen[0]]
        odd[row.id] = (*nulls, *new)
        strange.update(f"{c.name} is null" for c in contract.inputs if not c.nullable and row.values[c.name] is None)
        strange.update(new)
        if refused:
            failures.append((row.id, f"it would be refused: {refused[0]} may not be null any more", odd[row.id]))
            continue
        asked.append(row)
        vectors += encoded.vectors
    pairs: list[tuple[float, float]] = []
    for row, output in zip(asked, ask(vectors) if vectors else (), strict=True):
        if isinstance(output, str):
            failures.append((row.id, output, odd[row.id]))
        elif output is None or not math.isfinite(output):
            failures.append((row.id, "the answer is no finite number", odd[row.id]))
        elif (row.contract.kind, row.contract.classes) == (contract.kind, contract.classes):
            pairs.append((row.output, output))
    return Replay(len(rows), tuple(failures), tuple(pairs), strange)


def judge_replay(contract: Contract, replayed: Replay, where: str | None) -> Verdict:
    """Return the verdict: what was answered must still be answered, and not all with the same; other answers are only told."""
    name, findings = contract.service, []
    causes = Counter(cause for _, cause, _ in replayed.failures)
    for cause, count in causes.most_common(3):
        said = f"{name}: {count} of {replayed.rows} recorded requests are not answered any more: {cause}"
        findings.append(Finding(f"{said}; {_examples(replayed, cause)}", where, "Let the model deal with what traffic brings."))
    old, new = ({pair[place] for pair in replayed.pairs} for place in (0, 1))
    if len(replayed.pairs) >= _LEAST_FOR_CONSTANT and len(new) == 1 and len(old) > 1:
        said = f"{name}: all of {len(replayed.pairs)} recorded requests are answered with {next(iter(new)):.4g}"
        advice = "What answered them told them apart: look at what the model was trained on."
        findings.append(Finding(said, where, advice))
    if findings:
        return failed(findings)
    told = [f"{name}: {replayed.rows} recorded requests are answered", *_differences(contract, replayed)]
    told += [f"in {count} {what}, which training never saw" for what, count in Counter(replayed.strange).most_common(2)]
    return passed("; ".join(told))


def _differences(contract: Contract, replayed: Replay) -> list[str]:
    pairs = replayed.pairs
    if not pairs:
        return ["what was answered then cannot be compared"]
    if contract.kind == "class":
        return [f"{_share(sum(old != new for old, new in pairs), len(pairs))} of the answers are others"]
    apart = sorted(abs(new - old) for old, new in pairs)
    p95 = apart[min(len(apart) - 1, int(0.95 * len(apart)))]
    told = [f"answers differ by {sum(apart) / len(apart):.3g} on average, 95 % by at most {p95:.3g}"]
    if contract.threshold is not None:
        changed = sum((old >= contract.threshold) != (new >= contract.threshold) for old, new in pairs)
        told.append(f"{_share(changed, len(pairs))} of the decisions are others")
    return told


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _examples(replayed: Replay, cause: str) -> str:
    """Name some predictions, and what is common to all that failed so: ids, not values, which not everybody may read."""
    found = [(id, odd) for id, why, odd in replayed.failures if why == cause]
    common = [what for what in found[0][1] if all(what in odd for _, odd in found)]
    shown = f"such as {', '.join(id for id, _ in found[:_EXAMPLES])}"
    return f"in all of them {' and '.join(common)}, {shown}" if common else shown


def _recorded(logged: LoggedPrediction, contract: Contract) -> Recorded:
    names = (column.name for column in contract.inputs)
    return Recorded(logged.id, contract, dict(zip(names, logged.inputs, strict=True)), logged.output)
