"""Checks of a candidate: contract, load and replay on the very model that is to answer, where it is to answer (G2-cd).

They come after the gates and before anything is decided, in a child of their own, which no traffic reaches.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bucle.delivery.checks.contract import problems
from bucle.delivery.checks.load import example_vectors, load_candidate
from bucle.delivery.checks.replay import replay_service
from bucle.delivery.errors import CandidateFailed
from bucle.delivery.events import CandidateChecked
from bucle.delivery.results import Finding, Kind, Verdict, failed, passed
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

    def ask(self, vectors: list[list[float | None]]) -> Sequence[float | str | None]:
        """Return the candidate's outputs."""
        return self.pool.infer(self.candidate, vectors)


@dataclass(frozen=True, slots=True)
class CandidateCheck:
    """A named check of a candidate and its kind (L-07)."""

    name: str
    kind: Kind
    run: Callable[[Trial], Verdict]


def must_pass(
    delivery: "Delivery", scope: Scope, code: Code, candidates: Sequence[Candidate], terms: LoadTerms, evidence: Sequence[int]
) -> list[int]:
    """Check candidates, because of the `evidence` for their model, and return the results' events: the promotion rests on them.

    Raises `delivery/candidate-failed` for the first that fails a check; the results are recorded also then.
    """
    places = {record.name: record.where for record in code.description.of("service")}
    events: list[int] = []
    for candidate in candidates:
        pool = ServicePool(runner_starter(delivery.home, delivery.home.folder("artifacts")))
        try:
            trial = Trial(delivery, scope, candidate, terms, pool, places.get(candidate.service))
            verdicts = [(check, *_decide(check, trial)) for check in CANDIDATE_CHECKS]
        finally:
            pool.close()
        with because(*evidence):
            events += _record(trial, verdicts)
        _refuse(trial, [(check, verdict) for check, verdict, _ in verdicts if verdict.outcome == "failed"])
    return events


def _decide(check: CandidateCheck, trial: Trial) -> tuple[Verdict, float]:
    begun = time.monotonic()
    try:
        verdict = check.run(trial)
    except (BucleError, RemoteError) as error:
        said = f"{trial.candidate.service}: {error.code}: {error.text}"
        verdict = failed([Finding(said, error.where or trial.where, error.next_step)])
    return verdict, time.monotonic() - begun


def _record(trial: Trial, verdicts: Sequence[tuple[CandidateCheck, Verdict, float]]) -> list[int]:
    candidate = trial.candidate
    with trial.delivery.home.ledger.write() as transaction, within(trial.scope):
        return [
            transaction.emit(
                CandidateChecked(
                    target=f"{candidate.model}@{candidate.version}",
                    service=candidate.service,
                    name=check.name,
                    check_kind=check.kind,
                    outcome=verdict.outcome,
                    message=verdict.message,
                    seconds=round(seconds, 3),
                ),
                candidate.model_version,
            )
            for check, verdict, seconds in verdicts
        ]


def _refuse(trial: Trial, failures: Sequence[tuple[CandidateCheck, Verdict]]) -> None:
    if not failures:
        return
    finding = failures[0][1].findings[0]
    raise CandidateFailed(
        target=f"{trial.candidate.model}@{trial.candidate.version}",
        environment=trial.scope.environment,
        checks=", ".join(check.name for check, _ in failures),
        reason="; ".join(verdict.message for _, verdict in failures),
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
