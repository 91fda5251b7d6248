"""The check `load`: a service's model bears the requests that bucle.toml says it must, and its process does not grow (L-07).

What is loaded is the child that would answer, with requests that meet in it as in production (micro-batches of what waits).
HTTP, the online store and the prediction log are the server's, the same for every model, and are not part of it.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from bucle.artifacts import ArtifactStore
from bucle.delivery.checks.arrivals import Sent, drive, poisson
from bucle.delivery.checks.check import Bench
from bucle.delivery.checks.memory import Memory, judge_memory, nanoseconds_without_processor, resident_bytes
from bucle.delivery.checks.together import together
from bucle.delivery.checks.training import rehearsals
from bucle.delivery.results import Finding, Verdict, failed, passed, skipped
from bucle.errors import BucleError, RemoteError
from bucle.project import LoadTerms, load_project_file
from bucle.registry import read_package
from bucle.serving import Candidate, ServicePool, ServiceSpec, contract_of, runner_starter

SECONDS = 2.0
"""How long requests arrive."""

_PATIENCE = 1.5
_SOAK_SECONDS, _SOAK_REQUESTS = 0.6, 600
_SLOW_SHARE = 0.01
_SURE = 0.01
_STARVED = 0.3
"""The share of the test that the child waited for a processor, from which slowness is the machine's, not the model's."""

Vector = list[float | None]


@dataclass(frozen=True, slots=True)
class Load:
    """What a load test measured; `starved` is the share of its time that the child could compute but got no processor."""

    sent: tuple[Sent, ...]
    memory: Memory
    starved: float

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which this share of the requests were answered, from when they were due."""
        times = sorted(each.seconds for each in self.sent)
        return 1000 * times[min(len(times) - 1, int(share * len(times)))]

    @property
    def lag(self) -> float:
        """By how many milliseconds 99 of 100 requests at most were sent late: the machine was busy with other things."""
        lags = sorted(each.lag for each in self.sent)
        return 1000 * lags[min(len(lags) - 1, int(0.99 * len(lags)))]


def check_load(bench: Bench) -> Verdict:
    """Load the sample's model of each service on the terms of test."""
    found = rehearsals(bench)
    if isinstance(found, Verdict):
        return found
    packages = {each.spec.model: each.answer.package for each in found if each.answer.package is not None}
    terms = load_project_file(bench.checkout.root).environment(bench.scope.environment).load
    records = {record.name: record.where for record in bench.code.description.of("service")}
    verdicts: list[Verdict] = []
    pool = ServicePool(runner_starter(bench.home, bench.home.folder("artifacts"), bench.log, bench.runners.seeds))
    try:
        for spec in bench.code.description.specs("service", ServiceSpec):
            if spec.model in packages:
                candidate = sample_candidate(bench, spec, packages[spec.model])
                rows = example_vectors(bench.artifacts, candidate)
                verdicts.append(load_candidate(pool, candidate, rows, terms, records[spec.name]))
    finally:
        pool.close()
    return together(verdicts) if verdicts else skipped("no service answers with a model of these pipelines")


def sample_candidate(bench: Bench, spec: ServiceSpec, package: str) -> Candidate:
    """Return what would answer for a service with the sample's model. Raises `serving/contract-broken`."""
    signature = read_package(bench.artifacts, package).signature
    return Candidate(
        service=spec.name,
        model=spec.model,
        version=0,
        model_version="",
        package=package,
        runtime=bench.runtime.digest,
        root=str(bench.checkout.root),
        commit=bench.checkout.commit or "",
        release="",
        contract=contract_of(bench.code, spec, signature, f"{spec.model} of the sample"),
    )


def example_vectors(artifacts: ArtifactStore, candidate: Candidate) -> list[Vector]:
    """Return the rows that a model was packaged with, as it takes them; zeros for a package without."""
    rows = [list(row) for row in read_package(artifacts, candidate.package).example.rows]
    return rows or [[0.0] * len(candidate.contract.inputs)]


def load_candidate(
    pool: ServicePool, candidate: Candidate, rows: Sequence[Vector], terms: LoadTerms, where: str | None
) -> Verdict:
    """Load a candidate's child and judge it; once more when the machine was too busy for a verdict."""
    try:
        load = measure(pool, candidate, rows, terms)
        if too_busy(load, terms):
            load = measure(pool, candidate, rows, terms)
    except (BucleError, RemoteError) as error:
        return failed([Finding(f"{candidate.service}: {error.code}: {error.text}", error.where or where, error.next_step)])
    return judge(load, terms, candidate.service, where)


def measure(pool: ServicePool, candidate: Candidate, rows: Sequence[Vector], terms: LoadTerms) -> Load:
    """Send requests one after the other to see memory, which warms the child too, then open loop to see latency."""
    pool.warm(candidate)
    pid = pool.pid(candidate) or 0
    resident: list[int] = []
    until = time.monotonic() + _SOAK_SECONDS
    while time.monotonic() < until and len(resident) < _SOAK_REQUESTS:
        pool.infer(candidate, [rows[len(resident) % len(rows)]])
        resident.append(resident_bytes(pid) or 0)

    def ask(place: int) -> str | None:
        (output,) = pool.infer(candidate, [rows[place % len(rows)]], SECONDS + _PATIENCE)
        resident.append(resident_bytes(pid) or 0)
        return output if isinstance(output, str) else None if output is not None else "the answer is no finite number"

    waited, begun = nanoseconds_without_processor(pid), time.monotonic_ns()
    sent = drive(poisson(terms.rate, SECONDS), ask, _PATIENCE)
    starved = (nanoseconds_without_processor(pid) - waited) / (time.monotonic_ns() - begun)
    memory = judge_memory(tuple(resident), 1000 * terms.growth_kb)
    return Load(tuple(sent), memory, starved)


def judge(load: Load, terms: LoadTerms, service: str, where: str | None) -> Verdict:
    """Return the verdict on a load: failures and leaks count always, slowness only when it was the model's own."""
    findings: list[Finding] = []
    causes = Counter(each.failure for each in load.sent if each.failure is not None)
    for cause, count in causes.most_common(3):
        said = f"{service}: {count} of {len(load.sent)} requests failed: {cause}"
        findings.append(Finding(said, where, "Let the model answer every row like those that it learned from."))
    if load.memory.growth == "leak":
        grown = f"its process grows by {load.memory.per_request / 1000:.1f} kB with every request"
        advice = "Let the model keep nothing of what it is asked, or declare load = { growth_kb = ... }."
        findings.append(Finding(f"{service}: {grown}, over {load.memory.requests} requests", where, advice))
    if is_slow(load, terms) and not too_busy(load, terms):
        said = f"99 of 100 are to be answered within {terms.p99_ms} ms"
        advice = "Make the model smaller, or declare what the service needs: load = { rate = ..., p99_ms = ... }."
        findings.append(Finding(f"{service}: {_latency(load, terms)}; {said}", where, advice))
    if findings:
        return failed(findings)
    if is_slow(load, terms):
        busy = f"the machine was too busy to tell ({load.starved:.0%} of the time no processor, sent {load.lag:.0f} ms late)"
        return skipped(f"{service}: {_latency(load, terms)}; {busy}")
    return passed(f"{service}: {_latency(load, terms)}; {load.memory.sentence}")


def is_slow(load: Load, terms: LoadTerms) -> bool:
    """Whether more requests than 1 in 100 took too long, beyond what chance does to so few (1 % significance)."""
    slow = sum(1000 * each.seconds > terms.p99_ms for each in load.sent)
    return at_least(slow, len(load.sent), _SLOW_SHARE) < _SURE


def too_busy(load: Load, terms: LoadTerms) -> bool:
    """Whether slowness would be the machine's: the child waited for a processor, or requests could not be sent in time."""
    return is_slow(load, terms) and (load.starved > _STARVED or load.lag > terms.p99_ms / 2)


def at_least(successes: int, trials: int, share: float) -> float:
    """Return the probability of so many successes or more when each has the probability `share`."""
    return 1 - sum(comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(successes))


def _latency(load: Load, terms: LoadTerms) -> str:
    p50, p90, p99 = (f"{load.percentile(share):.0f}" for share in (0.5, 0.9, 0.99))
    return f"{len(load.sent)} requests, {terms.rate} a second: p50 {p50}, p90 {p90}, p99 {p99} ms"
