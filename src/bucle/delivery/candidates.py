"""Checks of a candidate: contract, load and replay on the very model that is to answer, where it is to answer (G2-cd).

They come after the gates and before anything is decided, in a child of their own, which no traffic reaches.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bucle.artifacts import refer
from bucle.delivery.checks.contract import problems
from bucle.delivery.checks.load import example_vectors, load_candidate
from bucle.delivery.checks.replay import replay_service
from bucle.delivery.errors import CandidateFailed
from bucle.delivery.events import CandidateChecked
from bucle.delivery.results import Finding, Kind, Verdict, failed, passed, report
from bucle.delivery.store import insert_trial, select_waived
from bucle.errors import BucleError, RemoteError
from bucle.ledger import Scope, because, within
from bucle.project import LoadTerms
from bucle.runtimes import Code
from bucle.serving import Candidate, ServicePool, runner_starter

if TYPE_CHECKING:
    from bucle.delivery.delivery import Delivery


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate on trial in an environment; `where` is the place of its service's definition."""

    delivery: "Delivery"
    scope: Scope
    candidate: Candidate
    terms: LoadTerms
    pool: ServicePool
    where: str | None
    log: Path

    def ask(self, vectors: list[list[float | None]]) -> Sequence[float | str | None]:
        """Return the candidate's outputs."""
        return self.pool.infer(self.candidate, vectors)


@dataclass(frozen=True, slots=True)
class CandidateCheck:
    """A named check of a candidate and its kind (L-07)."""

    name: str
    kind: Kind
    run: Callable[[Trial], Verdict]


class Tried(NamedTuple):
    """A check that was made of a candidate; `log` is an artifact."""

    check: CandidateCheck
    verdict: Verdict
    seconds: float
    log: str


def must_pass(
    delivery: "Delivery", scope: Scope, code: Code, candidates: Sequence[Candidate], terms: LoadTerms, evidence: Sequence[int]
) -> list[int]:
    """Check candidates, because of the `evidence` for their model, and return the results' events: the promotion rests on them.

    Raises `delivery/candidate-failed` for the first that fails a check that nobody waived; the results are recorded also then.
    """
    places = {record.name: record.where for record in code.description.of("service")}
    events: list[int] = []
    for candidate in candidates:
        with tempfile.NamedTemporaryFile(dir=delivery.home.folder("tmp"), suffix=".log") as file:
            log = Path(file.name)
            start = runner_starter(delivery.home, delivery.home.folder("artifacts"), log, delivery.runners.seeds)
            pool = ServicePool(start)
            try:
                trial = Trial(delivery, scope, candidate, terms, pool, places.get(candidate.service), log)
                tried = [_decide(check, trial) for check in CANDIDATE_CHECKS]
            finally:
                pool.close()
        with because(*evidence):
            events += _record(trial, tried)
        with delivery.home.ledger.read() as reader:
            waived = select_waived(reader, scope, candidate.model_version)
        failures = [each for each in tried if each.verdict.outcome == "failed"]
        events += [waived[each.check.name] for each in failures if each.check.name in waived]
        _refuse(trial, [each for each in failures if each.check.name not in waived])
    return events


def _decide(check: CandidateCheck, trial: Trial) -> Tried:
    begun, told = time.monotonic(), trial.log.stat().st_size
    try:
        verdict = check.run(trial)
    except (BucleError, RemoteError) as error:
        said = f"{trial.candidate.service}: {error.code}: {error.text}"
        verdict = failed([Finding(said, error.where or trial.where, error.next_step)])
    seconds = time.monotonic() - begun
    printed = trial.log.read_bytes()[told:]
    log = trial.delivery.artifacts.put_bytes("\n".join((*report(check.name, verdict, seconds), "")).encode() + printed)
    return Tried(check, verdict, seconds, log)


def _record(trial: Trial, tried: Sequence[Tried]) -> list[int]:
    candidate, events = trial.candidate, []
    with trial.delivery.home.ledger.write() as transaction, within(trial.scope):
        for check, verdict, seconds, log in tried:
            checked = CandidateChecked(
                target=f"{candidate.model}@{candidate.version}",
                service=candidate.service,
                name=check.name,
                check_kind=check.kind,
                outcome=verdict.outcome,
                message=verdict.message,
                seconds=round(seconds, 3),
                log=log,
            )
            event = transaction.emit(checked, candidate.model_version)
            insert_trial(transaction, trial.scope, candidate, (event, check.name, check.kind, log), verdict, seconds)
            refer(transaction, log, candidate.model_version, f"log:{event}")
            events.append(event)
    return events


def _refuse(trial: Trial, failures: Sequence[Tried]) -> None:
    if not failures:
        return
    finding = failures[0].verdict.findings[0]
    raise CandidateFailed(
        target=f"{trial.candidate.model}@{trial.candidate.version}",
        environment=trial.scope.environment,
        checks=", ".join(each.check.name for each in failures),
        reason="; ".join(each.verdict.message for each in failures),
        advice=finding.next or "Train a better one.",
        where=finding.where,
    )


def _contract(trial: Trial) -> Verdict:
    contract = trial.candidate.contract
    rows = example_vectors(trial.delivery.artifacts, trial.candidate)
    example = _example(trial.candidate, rows[0]) if rows else {}
    found = [
        Finding(f"{contract.service}: {text}", trial.where, advice) for text, advice in problems(contract, example, trial.ask)
    ]
    return failed(found) if found else passed(f"{contract.service} takes {', '.join(contract.fields)}")


def _load(trial: Trial) -> Verdict:
    rows = example_vectors(trial.delivery.artifacts, trial.candidate)
    return load_candidate(trial.pool, trial.candidate, rows, trial.terms, trial.where)


def _replay(trial: Trial) -> Verdict:
    trial.delivery.services.ship()
    return replay_service(trial.delivery.home, trial.scope, trial.candidate.contract, trial.ask, trial.where)


def _example(candidate: Candidate, vector: Sequence[float | None]) -> dict[str, object]:
    """Return a row as a caller would write it, from the numbers that the model takes."""
    example: dict[str, object] = {}
    for column, number in zip(candidate.contract.inputs, vector, strict=True):
        if number is None:
            example[column.name] = None
        elif column.dtype == "category":
            example[column.name] = column.categories[int(number)]
        else:
            example[column.name] = {"bool": bool, "int": int, "float": float}[column.dtype](number)
    return example


CANDIDATE_CHECKS: tuple[CandidateCheck, ...] = (
    CandidateCheck("contract", "integration", _contract),
    CandidateCheck("load", "performance", _load),
    CandidateCheck("replay", "integration", _replay),
)
"""All checks of a candidate, in the order in which they run."""
