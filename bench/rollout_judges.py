"""The judges of a rollout, simulated through their own code: how often a healthy challenger is rolled back, a bad one found.

    python bench/rollout_judges.py [--rollouts 200] [--seed 20260407]

Each rollout looks after every canary request (latencies: after every fifth), at 10, 50 and 100 percent of the traffic with 200
canary requests each. Intervals are Wilson's, 95 %. The seed is not one of the tests' own.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from bucle.delivery.judging import (
    LATENCY_EDGES_MS,
    Counts,
    ErrorEvidence,
    LatencyEvidence,
    PairedLossEvidence,
    alpha_of,
    detectable,
)

STEPS = ((0.1, 200), (0.5, 200), (1.0, 200))
HISTORY = 5000
Arms = tuple[int, int]
Stream = Callable[[np.random.Generator], Iterator[tuple[Counts, Counts]]]


def wilson(hits: int, trials: int) -> str:
    z, share = 1.959964, hits / trials
    centre, spread = share + z * z / (2 * trials), z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    low, high = (centre - spread) / (1 + z * z / trials), (centre + spread) / (1 + z * z / trials)
    return f"{100 * share:5.1f} %  [{100 * max(0.0, low):4.1f}, {100 * high:5.1f}]"


def traffic(generator: np.random.Generator) -> Iterator[Arms]:
    """How many requests go to the champion before each canary request, routed at random."""
    for share, canaries in STEPS:
        for _ in range(canaries):
            yield (int(generator.geometric(share)) - 1, 1)


def steady(champion: float, challenger: float) -> Stream:
    def stream(generator: np.random.Generator) -> Iterator[tuple[Counts, Counts]]:
        for a, b in traffic(generator):
            yield Counts(a, int(generator.binomial(a, champion))), Counts(b, int(generator.binomial(b, challenger)))

    return stream


def bad_hours(generator: np.random.Generator) -> Iterator[tuple[Counts, Counts]]:
    """Both arms fail 30 % in a third of the stretches, 1 % else; a stretch lasts about 50 canary requests of the first step."""
    rate = 0.01
    for a, b in traffic(generator):
        if generator.random() < 0.02:
            rate = 0.3 if generator.random() < 1 / 3 else 0.01
        yield Counts(a, int(generator.binomial(a, rate))), Counts(b, int(generator.binomial(b, rate)))


def bursts(generator: np.random.Generator) -> Iterator[tuple[Counts, Counts]]:
    """A caller that fails repeats its request three times, and stays with the arm that it came to: not independent."""
    for a, b in traffic(generator):
        callers = (int(generator.binomial(a, 0.01)), int(generator.binomial(b, 0.01)))
        yield Counts(a + 2 * callers[0], 3 * callers[0]), Counts(b + 2 * callers[1], 3 * callers[1])


def lonely_hours(generator: np.random.Generator) -> Iterator[tuple[Counts, Counts]]:
    """All is well until the champion has no traffic any more; then every request fails four times as often, whoever answers."""
    for number, (a, b) in enumerate(traffic(generator)):
        rate = 0.01 if number < 400 else 0.04
        yield Counts(a, int(generator.binomial(a, rate))), Counts(b, int(generator.binomial(b, rate)))


def judge_errors(stream: Stream, generator: np.random.Generator, history: Counts) -> int | None:
    """Return after how many canary requests the challenger was found worse, None when it never was."""
    evidence, alpha = ErrorEvidence(history), alpha_of("errors")
    needed = math.log(1 / (alpha - 0.001) if history.requests else 1 / alpha)
    for champion, challenger in stream(generator):
        evidence = evidence.update(champion, challenger)
        if evidence.highest[0] >= needed:
            return evidence.challenger.requests
    return None


def judge_repeatedly(stream: Stream, generator: np.random.Generator) -> int | None:
    """Do what is usual: look again and again with an ordinary test at one-sided 5 %."""
    champion, challenger = Counts(), Counts()
    for ahead, behind in stream(generator):
        champion, challenger = champion + ahead, challenger + behind
        pooled = (champion + challenger).rate
        if min(champion.requests, challenger.requests) < 10 or not 0 < pooled < 1:
            continue
        error = math.sqrt(pooled * (1 - pooled) * (1 / champion.requests + 1 / challenger.requests))
        if (challenger.rate - champion.rate) / error > 1.644854:
            return challenger.requests
    return None


def histogram(latencies: np.ndarray) -> list[int]:
    where = np.searchsorted(np.array(LATENCY_EDGES_MS), latencies)
    return np.bincount(where, minlength=len(LATENCY_EDGES_MS) + 1).tolist()


def judge_latency(sigma: float, factor: float, memory: float, generator: np.random.Generator) -> int | None:
    """Lognormal latencies around 30 ms; `memory` is the autocorrelation of a load that both arms share."""
    evidence, needed, load = LatencyEvidence(), math.log(1 / alpha_of("latency")), 0.0
    for share, canaries in STEPS[:2]:
        for _ in range(canaries // 5):
            load = memory * load + math.sqrt(1 - memory**2) * generator.normal() if memory else 0.0
            champion = 30 * np.exp(0.5 * load + sigma * generator.normal(size=int(generator.negative_binomial(5, share))))
            challenger = 30 * factor * np.exp(0.5 * load + sigma * generator.normal(size=5))
            evidence = evidence.update(histogram(champion), histogram(challenger))
            if evidence.highest[0] >= needed:
                return sum(evidence.challenger)
    return None


def judge_losses(mean: float, daily: float, generator: np.random.Generator) -> int | None:
    """Thirty days of 100 paired rows, looked at every ten; days differ from each other by `daily`."""
    evidence, needed = PairedLossEvidence(), math.log(1 / alpha_of("loss"))
    for _ in range(30):
        level = mean + daily * generator.normal()
        for _ in range(10):
            evidence = evidence.update(generator.normal(level, 0.15, size=10).tolist())
            if evidence.highest[0] >= needed:
                return evidence.rows
    return None


def judge_all(generator: np.random.Generator) -> int | None:
    """The whole rollout of a challenger that fails, answers and predicts as the champion does."""
    stages = (
        judge_losses(0.0, 0.0, generator),
        judge_errors(steady(0.01, 0.01), generator, Counts(HISTORY, HISTORY // 100)),
        judge_latency(1.0, 1.41, 0.0, generator),
    )
    return next((each for each in stages if each is not None), None)


def line(name: str, found: list[int | None]) -> None:
    hits = sorted(each for each in found if each is not None)
    median = f"   median after {hits[len(hits) // 2]}" if hits else ""
    print(f"  {name:<74} {wilson(len(hits), len(found))}{median}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rollouts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20260407)
    given = parser.parse_args()
    began = time.process_time()
    generators = [np.random.default_rng([given.seed, number]) for number in range(given.rollouts)]
    history = {rate: Counts(HISTORY, int(HISTORY * rate)) for rate in (0.0, 0.01, 0.1)}
    print(f"{given.rollouts} rollouts each, seed {given.seed}\n\nHealthy challengers found worse (at most 5 % in all):")
    for rate in (0.0, 0.01, 0.1):
        line(f"errors {rate:.0%} in both arms", [judge_errors(steady(rate, rate), g, history[rate]) for g in generators])
    line("errors 1 %, no history of the champion", [judge_errors(steady(0.01, 0.01), g, Counts()) for g in generators])
    known = Counts(HISTORY, int(HISTORY * (0.01 + 0.29 / 3)))
    line("errors 1 % with hours of 30 % in both arms", [judge_errors(bad_hours, g, known) for g in generators])
    line(
        "errors 1 %, failing callers repeat in the same arm (assumption broken)",
        [judge_errors(bursts, g, Counts()) for g in generators],
    )
    line(
        "errors 1 %, 4 % at the last step, where only history is left (broken)",
        [judge_errors(lonely_hours, g, history[0.01]) for g in generators],
    )
    naive = [judge_repeatedly(steady(0.01, 0.01), g) for g in generators]
    line("the same 1 % by an ordinary test at every look, one-sided 5 %", naive)
    for sigma, factor, memory, name in (
        (0.5, 1.0, 0.0, "latency lognormal (0.5), the same"),
        (1.5, 1.0, 0.0, "latency heavy-tailed (1.5), the same"),
        (1.5, 1.41, 0.0, "latency heavy-tailed (1.5), slower by all that is tolerated"),
        (1.0, 1.41, 0.9, "latency (1.0) under autocorrelated load (0.9), slower by all that is tolerated"),
    ):
        line(name, [judge_latency(sigma, factor, memory, g) for g in generators])
    line("paired losses, the same on average", [judge_losses(0.0, 0.0, g) for g in generators])
    line("paired losses, days differ by 0.02 (sd), the same on average", [judge_losses(0.0, 0.02, g) for g in generators])
    line("all three judges together, healthy", [judge_all(g) for g in generators])
    print("\nBad challengers found (canary requests, or paired rows):")
    line("errors 1 % -> 10 %", [judge_errors(steady(0.01, 0.1), g, history[0.01]) for g in generators])
    line("errors 1 % -> 10 %, no history of the champion", [judge_errors(steady(0.01, 0.1), g, Counts()) for g in generators])
    line("errors 0 % -> 5 %", [judge_errors(steady(0.0, 0.05), g, history[0.0]) for g in generators])
    promised = detectable(600, (10, 50, 100), history=history[0.01])
    rate = promised.error_rate or 1.0
    line(
        f"errors 1 % -> {rate:.1%}, what is printed beforehand as detectable",
        [judge_errors(steady(0.01, rate), g, history[0.01]) for g in generators],
    )
    line("latency lognormal (0.5), twice as slow", [judge_latency(0.5, 2.0, 0.0, g) for g in generators])
    line("latency heavy-tailed (1.5), four times as slow", [judge_latency(1.5, 4.0, 0.0, g) for g in generators])
    line("paired losses higher by 0.03 (deviation 0.15)", [judge_losses(0.03, 0.0, g) for g in generators])
    print(f"\n{time.process_time() - began:.0f} CPU s")


if __name__ == "__main__":
    main()
